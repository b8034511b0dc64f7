//! Regeneration of a range of bars that the playhead has passed, or of any while the transport stands.
//!
//! The player fills the bars beside everything else, at low urgency. So no answer waits, and the notes
//! depend on the request and on nothing that happens meanwhile.

use std::ops::Range;

use continuo_engine::Infill;
use continuo_score::{Note, Part, PartSet};

use super::{Player, Session, mix};
use crate::timeline::{ReplacedNotes, TimelineNote};

use super::undo_stack::UndoEntry;

/// Candidates that are weighed.
const CANDIDATES: u32 = 8;

/// Bars before the range that are read.
const CONTEXT_BARS: u32 = 32;

/// Bars that are being filled.
#[derive(Clone, Debug)]
pub(super) struct PendingInfill {
    /// Song steps of the range.
    steps: Range<i64>,
    /// Song step that is the player's step 0.
    origin: i64,
    /// Count of arrivals at the request.
    arrivals: u64,
    /// Parts whose notes are replaced.
    played: PartSet,
}

impl<P: Player> Session<P> {
    /// Generates new notes for the bars between two host positions in quarter notes, widened to bar
    /// lines, in place of the generated ones; the player's notes stay. Of several candidates the one is
    /// kept after which the notes that follow are likeliest. [`Session::work`] does the work, and
    /// *Undo* brings the earlier notes back.
    ///
    /// Does nothing without generated notes there, without a model, or while the transport runs and has
    /// not passed the bars. A jump or a change of the model gives the bars up.
    ///
    /// # Errors
    ///
    /// Fails if the player (the engine) fails.
    pub fn regenerate_bars(&mut self, from: f64, to: f64) -> Result<(), P::Error> {
        let step = |beat: f64| self.timeline.step(beat + self.session_offset);
        let (Some(first), true) = (self.timeline.origin(), from < to) else {
            return Ok(());
        };
        let from = self.timeline.bar_line(step(from)).max(first);
        let bars = self.timeline.time_signature_map(first);
        let end = u32::try_from(step(to) - first).map(|end| bars.next_bar(end));
        let until = first + i64::from(end.unwrap_or(0));
        let now = self.timeline.step(self.now);
        let inside = |note: &TimelineNote| (from..until).contains(&note.start);
        let has_parts = self.player.has_parts();
        let is_read = |note: &TimelineNote| has_parts || note.part.is_pitched();
        let sounds = |note: &TimelineNote| !note.imagined && inside(note) && is_read(note);
        let is_played = self.timeline.notes().any(|n| n.generated && sounds(&n));
        if !is_played || !self.player.is_ready() || self.running && now < until {
            return Ok(());
        }
        let end = self.timeline.notes().map(|note| note.start + 1).max();
        let end = end.unwrap_or(until).max(now).max(until);
        let score = self.input_score(end, end);
        let (own, heard): (Vec<_>, Vec<_>) =
            (self.timeline.notes().filter(sounds)).partition(|n| n.generated);
        // The parts that sounded there are played again.
        let played: PartSet = match has_parts {
            true => own.iter().map(|note| note.part).collect(),
            false => PartSet::ALL,
        };
        let settings = self.settings.limited_to(played);
        // From here on in steps of the score, and then from the first bar that is read.
        let at = |step: i64| u32::try_from(step - first).unwrap_or(0);
        let skipped = score.bars_before(at(from), CONTEXT_BARS);
        let near = score.from_step(skipped);
        let (mut before, mut following) = (near.clone(), near.notes);
        before.notes.retain(|note| note.start < at(from) - skipped);
        following.retain(|note| note.start >= at(until) - skipped);
        let origin = first + i64::from(skipped);
        let staying = heard.into_iter().map(|note| Note {
            start: u32::try_from(note.start - origin).unwrap_or(0),
            part: match has_parts {
                true => note.part,
                false => Part::Keys,
            },
            ..note.repeated().1
        });
        self.infill_count += 1;
        let infill = Infill {
            from: at(from) - skipped,
            until: at(until) - skipped,
            following,
            staying: staying.collect(),
            candidates: CANDIDATES,
            sampling: settings.sampling,
            seed: mix(mix(u64::from(self.settings.seed)) ^ from as u64)
                .wrapping_add(self.infill_count),
            own: Vec::new(),
        };
        self.player.begin_infill(&before, &settings, infill)?;
        self.infill = Some(PendingInfill {
            steps: from..until,
            origin,
            arrivals: self.undo_stack.arrivals,
            played,
        });
        Ok(())
    }

    /// One slice of the infill.
    pub(super) fn infill_slice(&mut self) -> Result<(), P::Error> {
        let Some(mut notes) = self.player.poll_infill()? else {
            return Ok(());
        };
        let Some(pending) = self.infill.take() else {
            return Ok(());
        };
        notes.retain(|note| pending.played.contains(note.part));
        if pending.arrivals != self.undo_stack.arrivals || notes.is_empty() {
            return Ok(());
        }
        if !self.player.has_parts() {
            notes.extend(self.generated_drums(&pending));
        }
        let first_id = self.next_id;
        self.next_id += notes.len() as u64;
        let notes = (first_id..).zip(notes);
        let mut notes = ReplacedNotes::new(&self.timeline, pending.steps, pending.origin, notes);
        self.exchange(&mut notes);
        self.undo_stack.push(UndoEntry::Infill {
            notes,
            arrivals: pending.arrivals,
        });
        Ok(())
    }

    /// The generated drum hits of the range, with starts from its origin on: a player without parts
    /// plays none in their place.
    fn generated_drums(&self, pending: &PendingInfill) -> Vec<Note> {
        let notes = self.timeline.notes().filter(|note| {
            let sounds = note.generated && !note.imagined && pending.steps.contains(&note.start);
            sounds && !note.part.is_pitched()
        });
        let at = |start: i64| u32::try_from(start - pending.origin).unwrap_or(0);
        let notes = notes.map(|note| Note {
            start: at(note.start),
            ..note.repeated().1
        });
        notes.collect()
    }

    /// Exchanges the generated notes of a range. The player reads them at its next decision, or at once
    /// if it does not answer.
    pub(super) fn exchange(&mut self, notes: &mut ReplacedNotes) {
        self.timeline.exchange(notes);
        if self.answer.is_none() {
            self.reread();
        }
    }
}
