//! Decisions on play windows, and planning of their notes.

use std::collections::BTreeSet;

use continuo_score::{Note, Part, PartSet};

use super::groove::Groove;
use super::{Player, Session};
use crate::choices::{Mode, Variation};
use crate::messages::ScheduledNote;
use crate::seed::mix;
use crate::timeline::{GeneratedNote, TimelineNote};
use crate::turn_taking::PlayWindow;

/// The current answer, in session steps.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    /// Session step of the player's step 0.
    origin: i64,
    /// End of the plan.
    pub(super) until: i64,
    /// End of the play window, if it is known.
    pub(super) end: Option<i64>,
    /// Input before this step decided it.
    decided: i64,
    /// Whether notes are shortened to the play window.
    clipped: bool,
    /// Whether another answer begins at its end: at a regenerated bar, or after replayed notes.
    pub(super) ends_at_regenerated: bool,
    /// End of that other answer, if it is known.
    pub(super) next_end: Option<i64>,
    /// Notes of a discarded plan that *Undo* restored; they replace the model's.
    replayed: Option<Vec<TimelineNote>>,
    /// Mode at the decision.
    pub(super) mode: Mode,
    /// Whether it repeats the frozen loop.
    freeze_loop: bool,
    /// Whether the bars have changed since the decision, or notes of the past became known.
    pub(super) stale: bool,
    groove: Groove,
    /// Parts of the player at the decision.
    heard: PartSet,
    /// Parts that sound; notes of others are imagined.
    played: PartSet,
}

impl Answer {
    /// Whether the model generates it.
    pub(super) fn is_sampled(&self) -> bool {
        !self.freeze_loop && self.replayed.is_none()
    }

    /// The same answer without its plan; from step `at` on another one continues it.
    pub(super) fn interrupted(self, at: i64) -> Self {
        Self {
            end: Some(at),
            until: at,
            next_end: if self.ends_at_regenerated {
                self.next_end
            } else {
                self.end
            },
            ends_at_regenerated: true,
            replayed: None,
            stale: false,
            ..self
        }
    }

    /// The same answer with planned notes from step `from` on; another answer follows.
    pub(super) fn replayed(self, notes: Vec<TimelineNote>, from: i64) -> Self {
        let whole = self.end == Some(self.until);
        let next_end = if self.ends_at_regenerated {
            self.next_end
        } else {
            self.end
        };
        Self {
            end: Some(self.until),
            until: from,
            ends_at_regenerated: self.ends_at_regenerated || !whole,
            next_end: next_end.filter(|_| !whole || self.ends_at_regenerated),
            replayed: Some(notes),
            freeze_loop: false,
            stale: false,
            ..self
        }
    }
}

impl<P: Player> Session<P> {
    /// A play window that begins at step `at`, decided as late as possible.
    pub(super) fn window_at(&self, at: i64, end: Option<i64>) -> Option<PlayWindow> {
        let lead = self.timeline.step_from(self.settings.lead).max(1);
        Some(PlayWindow {
            at,
            decided: at - lead,
            end,
        })
    }

    pub(super) fn decide(&mut self, entry: PlayWindow) -> Result<(), P::Error> {
        if !self.player.is_ready() || self.is_opening() {
            // It is decided again at the next boundary.
            self.entry_planner.postpone(entry.at + 1);
            return Ok(());
        }
        self.catch_up()?;
        self.entry_planner.take(entry);
        let plays = self
            .entry_planner
            .plays(entry, &self.timeline, &self.settings);
        if self.settings.mode == Mode::Along && !plays {
            self.answer = None;
            return Ok(());
        }
        if self.extends_answer(entry) {
            return Ok(());
        }
        self.expire_ear();
        self.timeline.forget_imagined(entry.decided);
        let score = self.input_score(entry.decided, entry.at);
        if score.notes.is_empty() && self.settings.mode != Mode::Free {
            self.entry_planner.postpone(entry.at + 1);
            return Ok(());
        }
        self.timeline.begin_at(entry.at);
        let place = self.timeline.origin().and_then(|origin| {
            let at = u32::try_from(entry.at - origin).ok()?;
            Some((origin, at))
        });
        let Some((origin, at)) = place else {
            self.entry_planner.postpone(entry.at + 1);
            return Ok(());
        };
        self.unread_from = None;
        let freeze_loop = self.freeze_loop.is_some();
        if !freeze_loop {
            // Before the first note the score has bars already.
            self.listen(entry.decided, entry.at)?;
        }
        let heard = self.heard_parts(entry.decided);
        let played = self.played_parts(heard);
        if !freeze_loop {
            let seed = self.seed(entry.at);
            let own = self.timeline.own(origin, entry.at);
            let settings = self.settings.limited_to(played);
            self.player.follow_chords(self.chord_plan(&score, at));
            self.player.answer(at, &settings, seed, &own)?;
            self.pending_settings.clear();
        }
        // The answer ends at the next regenerated bar.
        let retake = self
            .regenerate_counts
            .range(entry.at + 1..)
            .next()
            .map(|(&bar, _)| bar);
        let retake = retake.filter(|_| entry.end.is_none());
        self.answer = Some(Answer {
            origin,
            until: entry.at,
            end: entry.end.or(retake),
            decided: entry.decided,
            clipped: self.settings.mode == Mode::Trade,
            ends_at_regenerated: retake.is_some(),
            next_end: None,
            replayed: None,
            mode: self.settings.mode,
            freeze_loop,
            stale: false,
            groove: Groove::of(&self.timeline, entry.decided),
            heard,
            played,
        });
        Ok(())
    }

    /// Whether the answer extends into this play window: it ends there, and the player has not
    /// played since its decision.
    fn extends_answer(&mut self, entry: PlayWindow) -> bool {
        let freeze_loop = self.freeze_loop.is_some();
        let taken = self
            .regenerate_counts
            .range(entry.at..=entry.at)
            .next()
            .is_some();
        let Some(answer) = &mut self.answer else {
            return false;
        };
        let since = answer.decided..entry.decided;
        let mut heard = self
            .timeline
            .notes()
            .rev()
            .take(64)
            .filter(|n| !n.generated);
        let same = answer.end == Some(entry.at)
            && answer.freeze_loop == freeze_loop
            && !(answer.stale || answer.ends_at_regenerated || answer.clipped || taken)
            && answer.replayed.is_none()
            && !heard.any(|n| since.contains(&n.start));
        if same {
            answer.end = entry.end;
            answer.decided = entry.decided;
        }
        same
    }

    /// Seed of an answer: depends on position, variation and number of regenerations.
    fn seed(&self, at: i64) -> u64 {
        let mut seed = mix(mix(u64::from(self.settings.seed)) ^ at as u64);
        if self.settings.variation != Variation::A {
            seed = mix(seed ^ (0xABCD << 16 | self.settings.variation as u64));
        }
        if let Some(take) = self.regenerate_counts.get(&self.timeline.bar_line(at)) {
            seed = mix(seed.wrapping_add(*take));
        }
        seed
    }

    /// End of the plan in session quarter notes, while there is an answer.
    pub(super) fn planned_to(&self) -> Option<f64> {
        self.answer.as_ref().map(|a| self.timeline.beat(a.until))
    }

    /// Plans for one slice, a sixteenth note at most.
    pub(super) fn plan(&mut self) -> Result<(), P::Error> {
        self.plan_to(self.plan_target()).map(drop)
    }

    /// The step up to which the plan should reach.
    pub(super) fn plan_target(&self) -> i64 {
        let end = self.answer.as_ref().and_then(|a| a.end);
        let target = self.timeline.step(self.now + self.settings.lookahead);
        end.map_or(target, |end| target.min(end))
    }

    /// Plans for one slice towards step `target`. Returns whether more is left.
    pub(super) fn plan_to(&mut self, target: i64) -> Result<bool, P::Error> {
        let Some(answer) = &mut self.answer else {
            return Ok(false);
        };
        let target = answer.end.map_or(target, |end| target.min(end));
        let slice = (self.player.steps_per_beat() / 4).max(1);
        let from = answer.until;
        let mut until = target.min(from + i64::from(slice));
        if until <= from {
            return Ok(false);
        }
        while let Some(&(step, settings)) = self.pending_settings.front() {
            if step > from {
                until = until.min(step);
                break;
            }
            if self.player.has_parts() {
                answer.played = settings.played_parts(answer.heard);
            }
            self.player.tune(&settings.limited_to(answer.played));
            self.pending_settings.pop_front();
        }
        let origin = answer.origin;
        let end = answer
            .end
            .filter(|_| answer.clipped && answer.replayed.is_none());
        let (has_parts, played) = (self.player.has_parts(), answer.played);
        // First step, step after it, note, lateness in quarter notes, whether it is imagined.
        let mut notes: Vec<(i64, i64, Note, f64, bool)> =
            match (&answer.replayed, &self.freeze_loop) {
                (Some(replayed), _) => {
                    let due = replayed.iter().filter(|n| (from..until).contains(&n.start));
                    let late = |n: &TimelineNote| n.start_beat - self.timeline.beat(n.start);
                    due.map(|n| {
                        let (stop, note) = n.repeated();
                        (n.start, stop, note, late(n), n.imagined)
                    })
                    .collect()
                }
                (None, Some(freeze_loop)) if answer.freeze_loop => {
                    let due = freeze_loop.notes(from, until).into_iter();
                    due.map(|(start, stop, note)| (start, stop, note, 0.0, false))
                        .collect()
                }
                _ => {
                    let steps = u32::try_from(until - origin).unwrap_or(0);
                    let Some(notes) = self.player.poll_notes(steps)? else {
                        return Ok(true);
                    };
                    let place = |note: Note| {
                        let start = origin + i64::from(note.start);
                        let length = f64::from(note.length.max(1)) * self.settings.length;
                        let stop = start + (length.round() as i64).max(1);
                        let velocity = answer.groove.velocity(note.velocity, &self.settings);
                        let late = answer.groove.late(start) * self.settings.feel;
                        let imagined = !played.contains(note.part);
                        (start, stop, Note { velocity, ..note }, late, imagined)
                    };
                    notes.into_iter().map(place).collect()
                }
            };
        answer.until = until;
        notes.sort_by_key(|n| n.0);
        // Keys that begin: step, channel, pitch.
        let mut begun = BTreeSet::new();
        for (start, stop, note, late, imagined) in notes {
            // A player without parts may repeat notes that one with parts generated.
            let part = match has_parts {
                true => note.part,
                false => Part::Keys,
            };
            let pitch = note.pitch & 127;
            let channel = self.settings.output_channels[part.index()];
            if !imagined && !begun.insert((start, channel, pitch)) {
                continue;
            }
            let stop = end.map_or(stop, |end| stop.min(end));
            let velocity = note.velocity.clamp(1, 127);
            let id = self.next_id;
            self.next_id += 1;
            let start_beat = self.timeline.beat(start) + late;
            let end_beat = self.timeline.beat(stop) + late;
            self.timeline.play(GeneratedNote {
                id,
                start_beat,
                start,
                end: stop,
                pitch,
                velocity,
                part,
                imagined,
            });
            if imagined {
                continue;
            }
            self.planned.push_back(ScheduledNote {
                id,
                generation: self.generation,
                start_beat: start_beat - self.session_offset,
                end_beat: end_beat - self.session_offset,
                pitch,
                velocity,
                part,
            });
        }
        Ok(until < target)
    }
}
