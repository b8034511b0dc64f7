//! Transport and health in one line. What does not fit is left out, the least important first;
//! nothing is cut in the middle.

use egui::{Align2, Color32, FontId, Rect, Role, Sense, Ui, WidgetInfo, pos2, vec2};

use super::bars::bars_at;
use super::theme;
use super::view::{Status, View};
use crate::editor_link::Dialect;

/// Characters of a track's name that are shown.
const TRACK: usize = 24;

/// A headroom below this, in quarter notes, is worth a colour.
const THIN: f64 = 0.5;

/// One figure of the line.
struct Item {
    text: String,
    color: Color32,
    tip: &'static str,
    /// Larger is left out sooner.
    rank: u8,
}

impl Item {
    fn new(rank: u8, text: impl Into<String>, tip: &'static str) -> Self {
        Self {
            text: text.into(),
            color: theme::TEXT,
            tip,
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

/// Draws the line into `rect`.
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

    let color = match view.status {
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
        response.on_hover_text(item.tip);
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
    let health = &view.health;
    let roll = &view.roll;
    let bars = bars_at(&roll.time_signatures, roll.now);
    let (bar, beat, _) = bars.place(roll.now);
    let mut items = vec![
        Item::new(0, view.status.word(), "What Continuo is doing"),
        Item::new(
            1,
            format!("{bar}.{beat}"),
            "Bar and beat of the host's playhead",
        ),
    ];
    let metre = format!("{}/{}", bars.numerator, bars.denominator);
    items.push(Item::new(6, metre, "The host's metre").weak());
    if let Some(tempo) = view.transport.tempo {
        items.push(
            Item::new(
                5,
                format!("{tempo:.1} BPM"),
                "The host's tempo, quarter notes a minute",
            )
            .weak(),
        );
    }
    if let Some(device) = &health.device {
        items.push(Item::new(4, device, "The device really in use"));
    }
    if let Some(model) = &health.model {
        items.push(Item::new(8, model, "The model that plays").weak());
    }
    if let Some(ms) = health.ms_per_token {
        items.push(
            Item::new(
                7,
                format!("{ms:.1} ms/token"),
                "Median time the model takes for one token; a note is two or three",
            )
            .weak(),
        );
    }
    if let Some(beats) = health.headroom {
        let tip = "How far ahead of the playhead notes are ready. Near zero, they may come late: lower the tempo or choose a smaller model";
        items.push(Item::new(2, format!("{beats:.1} beats ahead"), tip).bad_if(beats < THIN));
    }
    let late = format!("{} late", health.late);
    items.push(
        Item::new(
            3,
            late,
            "Notes that started late, since the plugin was loaded",
        )
        .weak()
        .bad_if(health.late > 0),
    );
    let dropped = format!("{} dropped", health.dropped);
    items.push(
        Item::new(
            3,
            dropped,
            "Notes that came too late to be played, since the plugin was loaded",
        )
        .weak()
        .bad_if(health.dropped > 0),
    );
    if health.bars_distrusted {
        let tip = "The host reports bar lines that contradict its positions. Bars are counted from the time signature instead";
        items.push(Item::new(3, "bars counted", tip).bad_if(true));
    }
    if health.refused > 0 {
        let text = format!("host refused {}", plural(count(health.refused), "note"));
        let tip = "Note-ons and note-offs that the host did not take. If the number rises, the host takes no notes from plugins, or too few in a block";
        items.push(Item::new(2, text, tip).bad_if(true));
    }
    if let Some(dialect) = health.switched {
        let text = match dialect {
            Dialect::Clap => "sends CLAP notes",
            Dialect::Midi => "sends MIDI",
        };
        let tip =
            "The host refused notes in the dialect that it declares; it takes them in this one";
        items.push(Item::new(4, text, tip).weak());
    }
    if let Some(name) = &view.track {
        let short: String = name.chars().take(TRACK).collect();
        items.push(Item::new(9, short, "The host's track").weak());
    }
    items.push(memory(view));
    items.extend(learning(view));
    items
}

/// What it learns from files, while it does.
fn learning(view: &View) -> Option<Item> {
    let learning = &view.learning;
    let text = match (learning.waiting, learning.progress) {
        (0, None) => return None,
        (0, Some(share)) => format!("learning, {:.0} %", 100.0 * share.clamp(0.0, 1.0)),
        (files, _) => format!("learning, {} to read", plural(files, "file")),
    };
    let mut item = Item::new(2, text, "MIDI files on their way into the long memory");
    item.color = theme::RECALLED;
    Some(item)
}

fn memory(view: &View) -> Item {
    let memory = view.health.memory;
    let pieces = view.learning.pieces.len();
    let mut what = Vec::new();
    if memory.notes > 0 {
        what.push(plural(memory.notes, "note"));
        what.push(plural(memory.bars, "bar"));
    }
    if pieces > 0 {
        what.push(plural(pieces, "piece"));
    }
    let mut text = match what.is_empty() {
        true => "remembers nothing yet".to_owned(),
        false => format!("remembers {}", what.join(", ")),
    };
    if memory.rebuilding {
        text.push_str(" (rebuilding…)");
    }
    Item::new(
        5,
        text,
        "What the next answer can draw on: notes and bars heard and played, pieces learned from files",
    ).weak()
}

/// A counter as a number of things.
fn count(counted: u64) -> usize {
    usize::try_from(counted).unwrap_or(usize::MAX)
}

/// So many of something.
fn plural(n: usize, what: &str) -> String {
    format!("{} {what}{}", grouped(n), if n == 1 { "" } else { "s" })
}

/// 12345 as 12 345.
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
    use super::*;

    #[test]
    fn the_track_is_named_and_no_longer_than_fits() {
        let view = View {
            track: Some("Ü".repeat(100)),
            ..View::default()
        };
        let shown = items(&view).into_iter().find(|i| i.text.starts_with('Ü'));
        assert_eq!(shown.unwrap().text.chars().count(), TRACK);
    }

    #[test]
    fn refused_notes_and_another_dialect_are_named() {
        let mut view = View::default();
        let texts = |view: &View| items(view).into_iter().map(|i| i.text).collect::<Vec<_>>();
        assert!(
            !texts(&view)
                .iter()
                .any(|t| t.contains("refused") || t.contains("sends"))
        );
        view.health.refused = 1;
        view.health.switched = Some(Dialect::Midi);
        assert!(texts(&view).contains(&"host refused 1 note".into()));
        assert!(texts(&view).contains(&"sends MIDI".into()));
        view.health.refused = 1_200;
        view.health.switched = Some(Dialect::Clap);
        assert!(texts(&view).contains(&"host refused 1\u{a0}200 notes".into()));
        assert!(texts(&view).contains(&"sends CLAP notes".into()));
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
