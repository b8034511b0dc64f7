//! Checks of a bar: accidentals, beams and tuplets.

use std::collections::HashMap;

use roxmltree::Node;

use super::reader::{child, number, text};

/// The beams and tuplets of the voices of a bar, from their first to their last note, counted in each
/// voice.
#[derive(Default)]
pub(crate) struct Spans {
    count: HashMap<String, usize>,
    open: HashMap<(String, &'static str), usize>,
    closed: Vec<(String, usize, usize)>,
}

impl Spans {
    pub(crate) fn note(&mut self, node: Node<'_, '_>, voice: &str) {
        let count = self.count.entry(voice.into()).or_default();
        let now = *count;
        *count += 1;
        for span in node.descendants() {
            let (kind, change) = match span.tag_name().name() {
                "tuplet" => ("tuplet", span.attribute("type")),
                "beam" if span.attribute("number") == Some("1") => ("beam", span.text()),
                _ => continue,
            };
            let key = (voice.to_string(), kind);
            match change {
                Some("begin" | "start") => assert_eq!(self.open.insert(key, now), None),
                Some("end" | "stop") => {
                    let begun = self.open.remove(&key).expect("it has begun");
                    self.closed.push((voice.into(), begun, now));
                }
                _ => assert!(self.open.contains_key(&key), "{change:?}"),
            }
        }
    }

    /// Checks that of two spans of a voice, one contains the other, or they lie apart.
    pub(crate) fn are_nested(&self) -> bool {
        let nested = |a: &(String, usize, usize), b: &(String, usize, usize)| {
            let apart = a.2 < b.1 || b.2 < a.1;
            let inside = (a.1 >= b.1 && a.2 <= b.2) || (b.1 >= a.1 && b.2 <= a.2);
            a.0 != b.0 || apart || inside
        };
        let mut pairs = self
            .closed
            .iter()
            .flat_map(|a| self.closed.iter().map(move |b| (a, b)));
        self.open.is_empty() && pairs.all(|(a, b)| nested(a, b))
    }
}

/// A note on its line of a staff.
pub(crate) struct Line {
    onset: u32,
    staff: String,
    /// Step and octave.
    line: String,
    alter: i32,
    shown: Option<i32>,
    is_tied: bool,
}

impl Line {
    pub(crate) fn of(node: Node<'_, '_>, onset: u32, staff: String) -> Option<Self> {
        let pitch = child(node, "pitch")?;
        let shown = text(node, "accidental").map(|name| match name {
            "flat-flat" => -2,
            "flat" => -1,
            "natural" => 0,
            "sharp" => 1,
            "double-sharp" => 2,
            other => panic!("an unknown accidental {other}"),
        });
        let stops =
            |tie: Node<'_, '_>| tie.has_tag_name("tie") && tie.attribute("type") == Some("stop");
        Some(Self {
            onset,
            staff,
            line: text(pitch, "step")?.to_string() + text(pitch, "octave")?,
            alter: number(pitch, "alter").unwrap_or(0),
            shown,
            is_tied: node.children().any(stops),
        })
    }
}

/// Checks that someone who reads the page sounds the right notes.
pub(crate) fn accidentals(fifths: i32, mut lines: Vec<Line>) {
    lines.sort_by_key(|line| line.onset);
    let mut now: HashMap<(String, String), i32> = HashMap::new();
    for line in lines {
        let key = (line.staff, line.line.clone());
        let seen = match line.shown {
            Some(shown) => shown,
            None if line.is_tied => continue,
            None => *now.get(&key).unwrap_or(&signature(fifths, &line.line[..1])),
        };
        assert_eq!(seen, line.alter, "{} at {}", line.line, line.onset);
        now.insert(key, seen);
    }
}

/// Semitones by which a signature alters a step.
fn signature(fifths: i32, step: &str) -> i32 {
    let sharps = "FCGDAEB".find(step).unwrap() as i32;
    let flats = "BEADGCF".find(step).unwrap() as i32;
    i32::from(sharps < fifths) - i32::from(flats < -fifths)
}
