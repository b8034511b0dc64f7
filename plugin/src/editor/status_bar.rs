//! The status bar: status, transport, timing, counters, memory. Items that do not fit are left out, the least
//! important first. Window thread.

use egui::{Align2, Color32, FontId, Rect, Role, Sense, Ui, WidgetInfo, pos2, vec2};

use super::theme;
use super::view::{Status, View};
use continuo_accompaniment::bar_grid::BarPosition;
use continuo_accompaniment::snapshot::{Health, MemoryState, NoteDialect};

/// Characters shown of the track's name.
const TRACK_CHARS: usize = 24;

/// Headroom below which the item is red, in quarter notes.
const LOW_HEADROOM: f64 = 0.5;

/// One item of the bar.
struct Item {
    text: String,
    color: Color32,
    help: &'static str,
    /// Items of higher rank are left out first.
    rank: u8,
}

impl Item {
    fn new(rank: u8, text: impl Into<String>, help: &'static str) -> Self {
        Self {
            text: text.into(),
            color: theme::TEXT,
            help,
            rank,
        }
    }

    fn weak(mut self) -> Self {
        self.color = theme::TEXT_WEAK;
        self
    }

    fn bad_if(mut self, bad: bool) -> Self {
        if bad {
            self.color = theme::BAD;
        }
        self
    }
}

/// Draws the bar into `rect`.
pub fn show(ui: &mut Ui, rect: Rect, view: &View) {
    let mut items = items(view);
    let font = theme::text();
    let dot = 16.0;
    let gap = 14.0;
    let width = |ui: &Ui, item: &Item| text_width(ui, &item.text, &font) + gap;
    let room = rect.width() - dot;
    while items.len() > 1 && items.iter().map(|i| width(ui, i)).sum::<f32>() - gap > room {
        let Some((index, _)) = items.iter().enumerate().max_by_key(|(_, i)| i.rank) else {
            break;
        };
        items.remove(index);
    }

    let color = match view.status() {
        Status::Playing => theme::PLAYED,
        Status::Listening => theme::HEARD,
        Status::Failed => theme::BAD,
        Status::Loading | Status::Stopped | Status::Off => theme::TEXT_WEAK,
    };
    let center = pos2(rect.left() + 5.0, rect.center().y);
    ui.painter().circle_filled(center, 4.5, color);
    let mut x = rect.left() + dot;
    for (number, item) in items.iter().enumerate() {
        let size = vec2(text_width(ui, &item.text, &font), rect.height());
        let place = Rect::from_min_size(pos2(x, rect.top()), size);
        x += size.x + gap;
        let response = ui.interact(
            place,
            ui.scope_id().with(("health", number)),
            Sense::hover(),
        );
        response.widget_info(|| WidgetInfo::labeled(Role::Label, true, &item.text));
        response.on_hover_text(item.help);
        let start = place.left_center();
        ui.painter().text(
            start,
            Align2::LEFT_CENTER,
            &item.text,
            font.clone(),
            item.color,
        );
    }
}

fn text_width(ui: &Ui, text: &str, font: &FontId) -> f32 {
    ui.painter()
        .layout_no_wrap(text.to_owned(), font.clone(), theme::TEXT)
        .size()
        .x
}

fn items(view: &View) -> Vec<Item> {
    let health = &view.snapshot.health;
    let counters = &health.counters;
    let bars = view.grid.section_at(view.playhead);
    let BarPosition { bar, beat } = view.grid.position(view.playhead);
    let mut items = vec![
        Item::new(0, view.status().label(), "What Continuo is doing"),
        Item::new(
            1,
            format!("{bar}.{beat}"),
            "Bar and beat of the host's playhead",
        ),
    ];
    let time_signature = format!("{}/{}", bars.numerator, bars.denominator);
    items.push(Item::new(6, time_signature, "The host's time signature").weak());
    if let Some(tempo) = view.tempo() {
        items.push(
            Item::new(
                5,
                format!("{tempo:.1} BPM"),
                "The host's tempo, quarter notes a minute",
            )
            .weak(),
        );
    }
    if let Some(model) = view.model() {
        items.push(Item::new(4, &model.device, "The device really in use"));
        items.push(Item::new(8, &model.name, "The model that plays").weak());
    }
    if view.misses_parts() {
        let help = "This model knows no parts: it plays as one instrument on the output channel, whatever parts are on. Choose a model with parts";
        items.push(Item::new(2, "model without parts", help).bad_if(true));
    }
    if let Some(ms) = health.ms_per_token {
        items.push(
            Item::new(
                7,
                format!("{ms:.1} ms/token"),
                "Median time the model takes for one token; a note is about four",
            )
            .weak(),
        );
    }
    if let Some(beats) = health.headroom {
        let help = "How far ahead of the playhead notes are ready. Near zero, they may come late: lower the tempo or choose a smaller model";
        items.push(
            Item::new(2, format!("{beats:.1} beats ahead"), help).bad_if(beats < LOW_HEADROOM),
        );
    }
    let late = format!("{} late", counters.late);
    items.push(
        Item::new(
            3,
            late,
            "Notes that started late, since the plugin was loaded",
        )
        .weak()
        .bad_if(counters.late > 0),
    );
    let dropped = format!("{} dropped", counters.dropped);
    items.push(
        Item::new(
            3,
            dropped,
            "Notes that came too late to be played, since the plugin was loaded",
        )
        .weak()
        .bad_if(counters.dropped > 0),
    );
    items.extend(contradictions(health));
    if counters.refused > 0 {
        let text = format!("host refused {}", plural(count(counters.refused), "note"));
        let help = "Note-ons and note-offs that the host did not take. If the number rises, the host takes no notes from plugins, or too few in a block";
        items.push(Item::new(2, text, help).bad_if(true));
    }
    if let Some(dialect) = health.fallback_dialect {
        let text = match dialect {
            NoteDialect::Clap => "sends CLAP notes",
            NoteDialect::Midi => "sends MIDI",
        };
        let help =
            "The host refused notes in the dialect that it declares; it takes them in this one";
        items.push(Item::new(4, text, help).weak());
    }
    if let Some(name) = &view.track {
        let short: String = name.chars().take(TRACK_CHARS).collect();
        items.push(Item::new(9, short, "The host's track").weak());
    }
    items.push(memory(view));
    items.extend(learning(view));
    items
}

/// Ways in which the host's transport contradicts itself.
fn contradictions(health: &Health) -> impl Iterator<Item = Item> {
    let all = [
        (
            health.bars_distrusted,
            "host's bar lines are wrong",
            "The host reports bar lines that contradict its positions. Bars are counted from the time signature instead",
        ),
        (
            health.tempo_distrusted,
            "host's tempo is wrong",
            "The host's positions do not move at the tempo that it reports. The tempo is measured from the positions instead",
        ),
        (
            health.position_stands,
            "host's position stands still",
            "The host says that it plays, and reports the same position again and again. If this is no count-in, turn on Free Run",
        ),
    ];
    let found = all.into_iter().filter(|(found, ..)| *found);
    found.map(|(_, text, help)| Item::new(3, text, help).bad_if(true))
}

/// Progress of learning from files, while it lasts.
fn learning(view: &View) -> Option<Item> {
    let learning = &view.snapshot.learning;
    let text = match (learning.waiting, learning.progress) {
        (0, None) => return None,
        (0, Some(share)) => format!("learning, {:.0} %", 100.0 * share.clamp(0.0, 1.0)),
        (files, _) => format!("learning, {} to read", plural(files, "file")),
    };
    let mut item = Item::new(2, text, "Files on their way into the long memory");
    item.color = theme::RECALLED;
    Some(item)
}

/// Size of the memory.
fn memory(view: &View) -> Item {
    let MemoryState { notes, bars, .. } = view.snapshot.memory;
    let pieces = view.snapshot.learning.pieces.len();
    let mut what = Vec::new();
    if notes > 0 {
        what.push(plural(notes, "note"));
        what.push(plural(bars as usize, "bar"));
    }
    if pieces > 0 {
        what.push(plural(pieces, "piece"));
    }
    let mut text = match what.is_empty() {
        true => "remembers nothing yet".to_owned(),
        false => format!("remembers {}", what.join(", ")),
    };
    if view.rebuilding {
        text.push_str(" (rebuilding…)");
    }
    Item::new(
        5,
        text,
        "What the next answer can draw on: notes and bars heard and played, pieces learned from files",
    ).weak()
}

/// A counter as an amount.
fn count(counted: u64) -> usize {
    usize::try_from(counted).unwrap_or(usize::MAX)
}

/// An amount with its noun.
fn plural(n: usize, what: &str) -> String {
    format!("{} {what}{}", grouped(n), if n == 1 { "" } else { "s" })
}

/// Digits in groups of three: 12345 as 12 345.
fn grouped(n: usize) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push('\u{a0}');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use continuo_accompaniment::snapshot::{ModelInfo, ModelState, Snapshot};

    use super::*;
    use crate::editor::view::{Control, ControlKind, Group};

    #[test]
    fn track_name_is_shortened() {
        let view = View {
            track: Some("Ü".repeat(100)),
            ..View::default()
        };
        let shown = items(&view).into_iter().find(|i| i.text.starts_with('Ü'));
        assert_eq!(shown.unwrap().text.chars().count(), TRACK_CHARS);
    }

    #[test]
    fn refused_notes_and_fallback_dialect_are_shown() {
        let mut view = View::default();
        let set = |view: &mut View, refused, dialect| {
            let health = &mut Arc::make_mut(&mut view.snapshot).health;
            health.counters.refused = refused;
            health.fallback_dialect = Some(dialect);
        };
        let texts = |view: &View| items(view).into_iter().map(|i| i.text).collect::<Vec<_>>();
        assert!(
            !texts(&view)
                .iter()
                .any(|t| t.contains("refused") || t.contains("sends"))
        );
        set(&mut view, 1, NoteDialect::Midi);
        assert!(texts(&view).contains(&"host refused 1 note".into()));
        assert!(texts(&view).contains(&"sends MIDI".into()));
        set(&mut view, 1_200, NoteDialect::Clap);
        assert!(texts(&view).contains(&"host refused 1\u{a0}200 notes".into()));
        assert!(texts(&view).contains(&"sends CLAP notes".into()));
    }

    #[test]
    fn host_that_contradicts_itself_is_named() {
        let mut view = View::default();
        let texts = |view: &View| items(view).into_iter().map(|i| i.text).collect::<Vec<_>>();
        assert!(!texts(&view).iter().any(|text| text.contains("host's")));
        let health = &mut std::sync::Arc::make_mut(&mut view.snapshot).health;
        (health.bars_distrusted, health.tempo_distrusted) = (true, true);
        health.position_stands = true;
        for text in [
            "host's bar lines are wrong",
            "host's tempo is wrong",
            "host's position stands still",
        ] {
            assert!(texts(&view).contains(&text.into()), "{text}");
        }
    }

    #[test]
    fn model_without_the_parts_that_are_chosen_is_named() {
        let shows = |has_parts, on: f32| {
            let model = ModelInfo {
                has_parts,
                ..ModelInfo::default()
            };
            let snapshot = Snapshot {
                model: ModelState::Ready(model),
                ..Snapshot::default()
            };
            let view = View {
                snapshot: Arc::new(snapshot),
                controls: vec![Control {
                    name: "Play Bass".into(),
                    group: Group::Band,
                    cell: None,
                    kind: ControlKind::Switch,
                    value: on,
                    default: 0.0,
                    step: 1.0,
                    fine: 1.0,
                    text: String::new(),
                    help: "",
                }],
                ..View::default()
            };
            items(&view)
                .iter()
                .any(|item| item.text == "model without parts")
        };
        assert!(shows(false, 1.0));
        assert!(!shows(false, 0.0) && !shows(true, 1.0));
    }

    #[test]
    fn thousands_are_grouped() {
        let shown: Vec<_> = [0, 999, 1000, 12_345, 1_234_567].map(grouped).into();
        assert_eq!(
            shown,
            [
                "0",
                "999",
                "1\u{a0}000",
                "12\u{a0}345",
                "1\u{a0}234\u{a0}567"
            ]
        );
    }
}
