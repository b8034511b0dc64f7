//! Chords that answers follow, and the names of those that sound.

use continuo_score::chord::recognise_range;
use continuo_score::{ChordPlan, Scale, Score};

use super::{Player, Session};
use crate::choices::{Harmony, Mode};
use crate::snapshot::NamedChord;
use crate::turn_taking::bar_window_end;

/// Quarter notes before the playhead whose chords are named.
const NAMED_BEATS: f64 = 64.0;

/// Quarter notes after the playhead whose chords are named at most: more than any plan.
const NAMED_BEATS_AHEAD: f64 = 1024.0;

impl<P: Player> Session<P> {
    /// The chords for an answer to `score` that begins at its step `at`.
    pub(super) fn chord_plan(&self, score: &Score, at: u32) -> ChordPlan {
        if let Some(bars) = self.settings.harmony.loop_bars() {
            return ChordPlan::last_bars(score, at, bars);
        }
        let mut plan = ChordPlan::default();
        if self.settings.harmony == Harmony::Held {
            plan.change(0, self.held_chord.chord());
        }
        plan
    }

    /// Goes on with the answer that the cancel at the playhead discarded, under another chord: as soon as
    /// there is time for the decision.
    pub(super) fn resume(&mut self) {
        let Some(discarded) = self.undo_stack.take_discarded(self.now) else {
            return;
        };
        let lead = self.timeline.step_from(self.settings.lead).max(1);
        let at = self.timeline.step(self.now) + lead;
        let mut answer = discarded.answer.interrupted(at);
        if answer.next_end.is_some_and(|end| end <= at) {
            // The next play window begins late.
            answer.next_end = match self.settings.mode {
                Mode::Along | Mode::Free => {
                    Some(bar_window_end(&self.timeline, &self.settings, at))
                }
                Mode::Off | Mode::Continue | Mode::Trade => return,
            };
        }
        self.answer = Some(answer);
    }

    /// The chords of the last bars and of the plan, in the host's quarter notes.
    pub(super) fn chord_names(&self) -> Vec<NamedChord> {
        let from = self.timeline.step(self.now - NAMED_BEATS);
        let (origin, score) = self.timeline.score_from(from, self.timeline.step(self.now));
        let half_life = f64::from(32 * score.steps_per_beat);
        let key = Scale::detect(&score.notes, half_life);
        let beat = |step: u32| self.timeline.beat(origin + i64::from(step)) - self.session_offset;
        let ahead = self.timeline.step(self.now + NAMED_BEATS_AHEAD) - origin;
        let end = score.notes.iter().map(|note| note.end()).max();
        let end = end.unwrap_or(0).min(u32::try_from(ahead).unwrap_or(0));
        let named = recognise_range(&score, 0, end)
            .into_iter()
            .filter_map(|span| {
                Some(NamedChord {
                    start: beat(span.start),
                    end: beat(span.end),
                    name: span.chord?.name(key),
                })
            });
        named.collect()
    }
}
