//! The chords of `continuo inspect --chords`.

use continuo_score::chord::{ChordSpan, beats, name_or_none, recognise_range};
use continuo_score::{Scale, Score};
use serde_json::{Value, json};

/// Bars on one line of text.
const BARS_A_LINE: usize = 4;

/// The chords of a score, and the key that spells them.
pub(super) struct Chords<'a> {
    score: &'a Score,
    key: Option<Scale>,
    spans: Vec<ChordSpan>,
}

impl<'a> Chords<'a> {
    /// Recognises the chords from the bar line `from` on.
    pub(super) fn new(score: &'a Score, from: u32) -> Self {
        let end = score.notes.iter().map(|note| note.end()).max();
        Self {
            score,
            key: Scale::detect(&score.notes, f64::INFINITY),
            spans: recognise_range(score, from, end.unwrap_or(from)),
        }
    }

    /// Returns the key and one entry for each chord; `tick` converts a step to ticks.
    pub(super) fn as_json(&self, tick: impl Fn(u32) -> u64) -> Value {
        let span = |span: &ChordSpan| {
            let place = self.score.time_signatures.position(span.start);
            let beat = f64::from(place.step_in_bar) / f64::from(self.score.steps_per_beat);
            json!({
                "start": tick(span.start), "end": tick(span.end), "bar": place.bar + 1,
                "beat": beat, "chord": name_or_none(span.chord, self.key),
            })
        };
        json!({
            "key": self.key.map(|key| key.to_string()),
            "chords": self.spans.iter().map(span).collect::<Vec<_>>(),
        })
    }

    /// Returns a lead sheet: `| C . G7 . | C |`. A point is a beat on which the chord continues. A
    /// bar of one chord has the name alone.
    pub(super) fn as_text(&self) -> String {
        let bars = self.bars();
        let mut text = match self.key {
            Some(key) if !bars.is_empty() => format!("  chords, in {key}:\n"),
            _ => "  chords: none, as there are no pitches\n".into(),
        };
        for line in bars.chunks(BARS_A_LINE) {
            text += &format!("  {:>6} |", line[0].0);
            line.iter()
                .for_each(|(_, bar)| text += &format!(" {bar} |"));
            text.push('\n');
        }
        text
    }

    /// Returns the number of each bar, from 1, and the names of its chords.
    fn bars(&self) -> Vec<(u32, String)> {
        let (Some(first), Some(last)) = (self.spans.first(), self.spans.last()) else {
            return Vec::new();
        };
        let time_signatures = &self.score.time_signatures;
        let mut bars: Vec<(u32, Vec<String>)> = Vec::new();
        let mut spans = self.spans.iter().peekable();
        for beat in beats(time_signatures, first.start, last.end) {
            while spans.next_if(|span| span.end <= beat.start).is_some() {}
            let bar = time_signatures.position(beat.start).bar + 1;
            let begins = bars.last().is_none_or(|(number, _)| *number != bar);
            if begins {
                bars.push((bar, Vec::new()));
            }
            let Some((span, (_, names))) = spans.peek().zip(bars.last_mut()) else {
                continue;
            };
            names.push(match begins || span.start == beat.start {
                true => name_or_none(span.chord, self.key),
                false => ".".into(),
            });
        }
        let bar = |(number, names): (u32, Vec<String>)| match &names[..] {
            [name, rest @ ..] if rest.iter().all(|name| name == ".") => (number, name.clone()),
            names => (number, names.join(" ")),
        };
        bars.into_iter().map(bar).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use continuo_score::tune;

    #[test]
    fn a_lead_sheet_names_changes_and_counts_bars() {
        let tune = "C3+E3+G3:4 | F3+A3+C4:2 G3+B3+D4:2 | C3+E3+G3:4 | C3+E3+G3:4 | C3+E3+G3:4";
        let score = tune::parse(tune, 12).unwrap();
        let chords = Chords::new(&score, 0);
        assert_eq!(
            chords.as_text(),
            "  chords, in C major:\n       1 | C | F . G . | C | C |\n       5 | C |\n"
        );
        let later = Chords::new(&score, 48).as_json(|step| u64::from(step) * 40);
        assert_eq!(later["key"], "C major");
        assert_eq!(
            later["chords"][1],
            json!({ "start": 72 * 40, "end": 96 * 40, "bar": 2, "beat": 2.0, "chord": "G" })
        );
        let nothing = Score::new(12);
        assert!(Chords::new(&nothing, 0).as_text().contains("none"));
        assert_eq!(Chords::new(&nothing, 0).as_json(|_| 0)["key"], Value::Null);
    }
}
