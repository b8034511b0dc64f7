//! Session of one instance: its timeline, turn-taking, plan, undo history and settings. Owned by
//! the composer thread; starts no thread, and knows the model only as a [`Player`].

mod ear;
mod freeze_loop;
mod groove;
mod harmony;
mod infill;
mod input;
mod learned_files;
mod loops_and_jumps;
mod pending_work;
mod planning;
mod undo;
mod undo_stack;
mod view;

use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;

use continuo_engine::Infill;
use continuo_engine::composer::PendingWork;
use continuo_score::{ChordPlan, Note, PartSet, Score, merge_parts};
use serde::{Deserialize, Serialize};

use self::freeze_loop::{FreezeLoop, SavedFreezeLoop};
use self::infill::PendingInfill;
use self::planning::Answer;
use self::undo_stack::UndoStack;
use crate::file_learning::{FileLearning, SavedPiece};
use crate::held_chord::HeldChord;
use crate::messages::{ScheduledNote, Settings};
use crate::timeline::{CHANNELS, ExactBeats, SavedTimeline, Timeline, is_position};
use crate::turn_taking::{EntryPlanner, PlayWindow};

use self::pending_work::Stall;
pub use self::pending_work::{ServiceOrder, Urgency};
pub use crate::seed::mix;

/// A musician that listens and continues; the plugin's is the engine's composer. Steps are those of
/// the scores passed to [`Player::listen`]. Composer thread.
///
/// No call takes longer than a few milliseconds: [`Player::poll_notes`] and [`Player::poll`] do the
/// work of the others in slices. The slicing does not change the notes.
pub trait Player {
    /// Error of a call; the session is unusable after it.
    type Error;
    /// Steps per quarter note of its grid.
    fn steps_per_beat(&self) -> u32;
    /// Whether it can play. While its model loads it cannot, and the session does not call it.
    fn is_ready(&self) -> bool {
        true
    }
    /// Whether it knows the parts of a band. If not, all notes are of the keys, and all that it
    /// generates sounds.
    fn has_parts(&self) -> bool {
        false
    }
    /// Makes its memory equal to `score`. [`Player::poll`] does the work.
    fn listen(&mut self, score: &Score) -> Result<(), Self::Error>;
    /// Begins an answer at step `at`. `own` has the last of the notes in the score that it
    /// generated itself, in order of start.
    fn answer(
        &mut self,
        at: u32,
        settings: &Settings,
        seed: u64,
        own: &[Note],
    ) -> Result<(), Self::Error>;
    /// The chords that its next answer follows, in steps of the scores.
    fn follow_chords(&mut self, _plan: ChordPlan) {}
    /// Attribution of the notes it generated in these steps. Empty without a searchable memory.
    fn attribution(&self, _steps: Range<u32>) -> Attribution {
        Attribution::default()
    }
    /// Applies settings.
    fn tune(&mut self, settings: &Settings);
    /// The notes that start before `until` and were not returned yet. `None` after a slice that did
    /// not suffice: repeat the call.
    fn poll_notes(&mut self, until: u32) -> Result<Option<Vec<Note>>, Self::Error>;

    /// Begins to fill a range after `before`, beside everything else: neither its memory nor an answer
    /// changes. Another one in progress is given up.
    fn begin_infill(
        &mut self,
        _before: &Score,
        _settings: &Settings,
        _infill: Infill,
    ) -> Result<(), Self::Error> {
        Ok(())
    }
    /// Works on the infill for one slice. The notes once they are there: none in a player that cannot
    /// fill.
    fn poll_infill(&mut self) -> Result<Option<Vec<Note>>, Self::Error> {
        Ok(Some(Vec::new()))
    }

    /// The most important kind of work that is left, if any.
    fn pending_work(&self) -> Option<PendingWork> {
        None
    }
    /// Works for one slice.
    fn poll(&mut self) -> Result<(), Self::Error> {
        Ok(())
    }

    /// Whether it can learn from files. If not, the following functions do nothing.
    fn can_learn(&self) -> bool {
        false
    }
    /// Adds pieces to its long memory, on any grid; [`Player::poll`] reads them.
    fn learn(&mut self, _pieces: &[Score]) -> Result<(), Self::Error> {
        Ok(())
    }
    /// Removes all learned pieces.
    fn forget_learned(&mut self) -> Result<(), Self::Error> {
        Ok(())
    }
    /// Learning progress as `(done, all)` while it learns.
    fn learning(&self) -> Option<(usize, usize)> {
        None
    }
}

/// Origin of generated notes in the memory of a [`Player`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Attribution {
    /// Share of each bar of the score, 0 to 1; bars count from 0.
    pub bars: BTreeMap<u32, f32>,
    /// Share of the learned pieces, 0 to 1.
    pub learned: f32,
}

/// Saved form of a session.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SavedSession {
    /// Playhead, in quarter notes.
    now: ExactBeats,
    timeline: SavedTimeline,
    /// Pieces learned from files, oldest first.
    learned: Vec<SavedPiece>,
    /// Name of the chord held last.
    #[serde(skip_serializing_if = "Option::is_none")]
    held_chord: Option<String>,
    /// `[bar line in quarter notes, number of regenerations]`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    regenerated: Vec<(ExactBeats, u64)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    freeze_loop: Option<SavedFreezeLoop>,
}

/// One instance's memory and plans. Composer thread.
///
/// There are two kinds of positions, in quarter notes. Host positions stand in the messages and in
/// the plan. *Session positions* stand in the timeline: they equal the host's in
/// [`MemoryMode::Song`](crate::choices::MemoryMode::Song);
/// in [`MemoryMode::Session`](crate::choices::MemoryMode::Session) they never decrease.
///
/// The example in the [crate documentation](crate) drives a session.
pub struct Session<P> {
    player: P,
    timeline: Timeline,
    entry_planner: EntryPlanner,
    settings: Settings,
    running: bool,
    /// Playhead as a session position, in quarter notes.
    now: f64,
    /// Session position minus host position, in quarter notes; a whole number of steps.
    session_offset: f64,
    /// Tempo, in quarter notes per minute.
    tempo: f64,
    /// Number of the last cancel.
    generation: u64,
    next_id: u64,
    answer: Option<Answer>,
    /// Settings that apply from a step that is not planned yet.
    pending_settings: VecDeque<(i64, Settings)>,
    /// First step that the player has not read.
    unread_from: Option<i64>,
    /// Number of regenerations of each bar, by its first step.
    regenerate_counts: BTreeMap<i64, u64>,
    /// The loop that *Freeze* repeats.
    freeze_loop: Option<FreezeLoop>,
    /// Chord held on the chord keys.
    held_chord: HeldChord,
    /// Files to learn, and pieces learned.
    file_learning: FileLearning,
    /// Whether the player still reads the memory after a load or a change of the player. It does
    /// not answer meanwhile.
    opening: bool,
    /// Work that must end before time passes further.
    stall: Stall,
    /// Bars that are being filled, and the number of fills since the start.
    infill: Option<PendingInfill>,
    infill_count: u64,
    /// Undo history.
    undo_stack: UndoStack,
    planned: VecDeque<ScheduledNote>,
}

impl SavedSession {
    /// The first bar line of 4/4 after its end, in quarter notes.
    pub fn next_bar(&self) -> f64 {
        let ExactBeats(now) = self.now;
        let now = if is_position(now) { now } else { 0.0 };
        (now.max(self.timeline.end_beat()) / 4.0).ceil() * 4.0
    }
}

impl<P: Player> Session<P> {
    /// A session without notes.
    pub fn new(player: P) -> Self {
        let steps_per_beat = player.steps_per_beat();
        Self {
            player,
            timeline: Timeline::new(steps_per_beat),
            entry_planner: EntryPlanner::default(),
            settings: Settings::default(),
            running: false,
            now: 0.0,
            session_offset: 0.0,
            tempo: 120.0,
            generation: 0,
            next_id: 1,
            answer: None,
            pending_settings: VecDeque::new(),
            unread_from: None,
            regenerate_counts: BTreeMap::new(),
            freeze_loop: None,
            held_chord: HeldChord::default(),
            file_learning: FileLearning::default(),
            opening: false,
            stall: Stall::default(),
            infill: None,
            infill_count: 0,
            undo_stack: UndoStack::default(),
            planned: VecDeque::new(),
        }
    }

    /// The player.
    pub fn player(&self) -> &P {
        &self.player
    }

    /// The player, for callers that change it.
    pub fn player_mut(&mut self) -> &mut P {
        &mut self.player
    }

    /// The timeline.
    pub fn timeline(&self) -> &Timeline {
        &self.timeline
    }

    /// The settings in force.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Planned notes in order of start; the audio thread takes them.
    pub fn planned(&mut self) -> &mut VecDeque<ScheduledNote> {
        &mut self.planned
    }

    /// The saved form.
    pub fn save(&self) -> SavedSession {
        SavedSession {
            now: ExactBeats(self.now),
            timeline: self.timeline.save(),
            learned: self.file_learning.learned().to_vec(),
            held_chord: self.held_chord.chord().map(|chord| chord.to_string()),
            regenerated: (self.regenerate_counts.iter())
                .map(|(&bar, &count)| (ExactBeats(self.timeline.beat(bar)), count))
                .collect(),
            freeze_loop: (self.freeze_loop.as_ref()).map(|frozen| frozen.save(&self.timeline)),
        }
    }

    /// Replaces the player. The new one reads the memory in [`Session::work`]; time goes on.
    ///
    /// # Errors
    ///
    /// Fails if the player (the engine) fails.
    pub fn replace_player(&mut self, player: P) -> Result<(), P::Error> {
        let steps_per_beat = player.steps_per_beat();
        if steps_per_beat != self.player.steps_per_beat() {
            let saved = self.timeline.save();
            (self.timeline, _) = Timeline::restore(&saved, steps_per_beat, self.now);
            self.regenerate_counts.clear();
            self.freeze_loop = None;
            self.undo_stack.forget();
            if self.running {
                self.entry_planner.arrive(&self.timeline, self.now);
            }
        }
        self.player = player;
        self.pending_settings.clear();
        (self.answer, self.stall, self.infill) = (None, Stall::default(), None);
        let end = match self.running {
            true => Some(self.timeline.step(self.now.floor())),
            false => self.timeline.end(),
        };
        let end = end.unwrap_or(0);
        let open = self.timeline.first_held().unwrap_or(end);
        self.unread_from = (!self.timeline.is_empty()).then_some(end.min(open));
        self.opening = true;
        self.relearn_all()
    }

    /// Restores a saved session, and returns the number of invalid notes, which it skips. It
    /// discards the plan; the player reads the memory in [`Session::work`]. A running transport
    /// must arrive again with [`crate::messages::ComposerInput::Jump`].
    ///
    /// # Errors
    ///
    /// Fails if the player (the engine) fails.
    pub fn restore(&mut self, saved: &SavedSession) -> Result<usize, P::Error> {
        let steps_per_beat = self.player.steps_per_beat();
        let ExactBeats(now) = saved.now;
        let now = if is_position(now) { now } else { 0.0 };
        let (timeline, lost) = Timeline::restore(&saved.timeline, steps_per_beat, now);
        self.timeline = timeline;
        (self.now, self.session_offset, self.running) = (now, 0.0, false);
        self.entry_planner.stop();
        let regenerated = saved.regenerated.iter();
        let regenerated = regenerated.filter(|(ExactBeats(bar), _)| is_position(*bar));
        self.regenerate_counts = regenerated
            .map(|&(ExactBeats(bar), count)| (self.timeline.step(bar), count))
            .collect();
        let frozen = saved.freeze_loop.as_ref();
        self.freeze_loop = frozen.and_then(|saved| FreezeLoop::restore(saved, &self.timeline));
        if self.settings.freeze && self.freeze_loop.is_none() {
            self.freeze_loop = FreezeLoop::of(&self.timeline, now, self.settings.bars);
        }
        self.pending_settings.clear();
        (self.answer, self.infill) = (None, None);
        let held = saved.held_chord.as_ref();
        self.held_chord = HeldChord::new(held.and_then(|name| name.parse().ok()));
        self.stall = Stall::default();
        self.undo_stack.forget();
        self.planned.clear();
        self.unread_from = Some(self.timeline.end().unwrap_or(0));
        self.opening = true;
        Ok(lost + self.restore_learned(&saved.learned)?)
    }

    /// Passes unread input to the player.
    fn catch_up(&mut self) -> Result<(), P::Error> {
        if !self.player.is_ready() {
            // The next player reads all of it.
            return Ok(());
        }
        match self.unread_from.take() {
            Some(before) => self.listen(before, before),
            None => Ok(()),
        }
    }

    /// Passes input notes before step `before` and generated notes before step `generated` to the
    /// player.
    fn listen(&mut self, before: i64, generated: i64) -> Result<(), P::Error> {
        let score = self.input_score(before, generated);
        let played = self.played_parts(self.heard_parts(before));
        self.player.tune(&self.settings.limited_to(played));
        self.player.listen(&score)
    }

    /// [`Timeline::score`] as the player hears it: with parts where it has parts.
    fn input_score(&mut self, before: i64, generated: i64) -> Score {
        if self.player.has_parts() {
            self.timeline
                .assign_parts(&[self.settings.input_part; CHANNELS], before);
            return self.timeline.score(before, generated);
        }
        let mut score = self.timeline.score(before, generated);
        // A player with parts may have heard or generated some before it was replaced.
        if let Cow::Owned(merged) = merge_parts(&score.notes) {
            score.notes = merged;
        }
        score
    }

    /// The parts that the player of the session is heard in before song step `before`.
    fn heard_parts(&self, before: i64) -> PartSet {
        self.timeline.heard_parts(before)
    }

    /// The parts that sound; all where the player has no parts.
    fn played_parts(&self, heard: PartSet) -> PartSet {
        match self.player.has_parts() {
            true => self.settings.played_parts(heard),
            false => PartSet::ALL,
        }
    }

    /// The next play window to decide; `None` while an answer has no end.
    fn next_entry(&self) -> Option<PlayWindow> {
        match &self.answer {
            None => self.entry_planner.next(&self.timeline, &self.settings),
            Some(answer) => {
                let end = answer.end?;
                if answer.ends_at_regenerated {
                    return self.window_at(end, answer.next_end);
                }
                self.entry_planner.next(&self.timeline, &self.settings)
            }
        }
    }

    /// Passes input to the player at each whole beat, so that an answer has little left to read.
    /// Whole beats make the model read the same pieces every time, with the same rounding.
    fn follow(&mut self, beat: f64, entry: Option<PlayWindow>) -> Result<(), P::Error> {
        if self.is_over(beat) {
            self.answer = None;
        }
        let passed = beat.floor();
        if self.answer.is_some() || passed <= self.now.floor() {
            return Ok(());
        }
        self.catch_up()?;
        let line = self.timeline.step(passed);
        let open = self.timeline.first_held().unwrap_or(line);
        let decided = entry.map_or(line, |e| e.decided);
        self.unread_from = Some(line.min(open).min(decided));
        Ok(())
    }
}
