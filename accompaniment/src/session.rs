//! One instance's mind: what it heard, what it decides, what it plays. Owned by the composer
//! thread; starts no thread, and knows the model only as a [`Player`].

mod freeze_loop;
mod groove;
mod input;
mod learned_files;
mod pending_work;
mod planning;
mod playhead;
mod undo;
mod undo_stack;
mod view;

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;

use continuo_engine::composer::PendingWork;
use continuo_score::{Note, Score};
use serde::{Deserialize, Serialize};

use self::freeze_loop::FreezeLoop;
use self::planning::Answer;
use self::undo_stack::UndoStack;
use crate::file_learning::{FileLearning, SavedPiece};
use crate::messages::{ScheduledNote, Settings};
use crate::timeline::{ExactBeats, SavedTimeline, Timeline};
use crate::turn_taking::{EntryPlanner, PlayWindow};

use self::pending_work::Stall;
pub use self::pending_work::{Urgency, most_urgent};
pub use crate::seed::mix;

/// Something that listens and plays on: the engine's composer. Steps are those of the scores
/// it listens to.
///
/// No call takes longer than a few milliseconds: [`Player::poll_notes`] and [`Player::poll`]
/// do the work of the others in slices. How it is sliced does not change what is played.
pub trait Player {
    /// Why it cannot go on.
    type Error;
    /// Steps in a quarter note.
    fn steps_per_beat(&self) -> u32;
    /// Whether it can play. While it cannot, for its model is on its way, it need not be asked.
    fn is_ready(&self) -> bool {
        true
    }
    /// Memory is to become exactly `score`.
    fn listen(&mut self, score: &Score) -> Result<(), Self::Error>;
    /// Begins an answer at step `at`. `own` are the notes listened to that it played itself, in
    /// order of start: the last of them at least.
    fn answer(
        &mut self,
        at: u32,
        settings: &Settings,
        seed: u64,
        own: &[Note],
    ) -> Result<(), Self::Error>;
    /// Where it looked back to for the notes it played in these steps. Nowhere, unless it has a
    /// memory that is searched.
    fn attribution(&self, _steps: Range<u32>) -> Attribution {
        Attribution::default()
    }
    /// Goes on with other settings.
    fn tune(&mut self, settings: &Settings);
    /// The notes that start before `until` and were not given yet. How the calls are cut does
    /// not change what is played. `None` after a slice that was not enough: the same call is to
    /// follow.
    fn poll_notes(&mut self, until: u32) -> Result<Option<Vec<Note>>, Self::Error>;

    /// What it has still to read, and what matters most of it.
    fn pending_work(&self) -> Option<PendingWork> {
        None
    }
    /// Reads for a slice.
    fn poll(&mut self) -> Result<(), Self::Error> {
        Ok(())
    }

    /// Whether it can learn from other music: what follows does nothing where it cannot.
    fn can_learn(&self) -> bool {
        false
    }
    /// Learns pieces, beside what is heard: [`Player::poll`] reads them. They may be on
    /// another grid.
    fn learn(&mut self, _pieces: &[Score]) -> Result<(), Self::Error> {
        Ok(())
    }
    /// Forgets what was learned.
    fn forget_learned(&mut self) -> Result<(), Self::Error> {
        Ok(())
    }
    /// How much of what is to be learned is read, of how much, while there is some.
    fn learning(&self) -> Option<(usize, usize)> {
        None
    }
}

/// Where a [`Player`] looked back to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Attribution {
    /// Bars of the scores it listened to, from 0, each with its share, 0 to 1.
    pub bars: BTreeMap<u32, f32>,
    /// The share of what it learned.
    pub learned: f32,
}

/// What a project keeps of a session.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SavedSession {
    /// Everything up to this position was heard, in quarter notes.
    now: ExactBeats,
    timeline: SavedTimeline,
    /// What was learned from files, oldest first.
    learned: Vec<SavedPiece>,
}

/// One instance's memory and plans.
///
/// Two kinds of positions meet here. The host's are in the messages and in what is planned.
/// The *session's* are the timeline's: the same in [`Memory::Song`](crate::choices::Memory::Song); in [`Memory::Session`](crate::choices::Memory::Session)
/// they never go back, whatever the transport does.
pub struct Session<P> {
    player: P,
    timeline: Timeline,
    entry_planner: EntryPlanner,
    settings: Settings,
    running: bool,
    /// Everything up to this session position was heard.
    now: f64,
    /// Session position less host position: whole steps, in quarter notes.
    session_offset: f64,
    /// Quarter notes a minute.
    tempo: f64,
    /// Number of the last cut.
    generation: u64,
    next_id: u64,
    answer: Option<Answer>,
    /// Settings that hold from a step on that is not planned yet.
    pending_settings: VecDeque<(i64, Settings)>,
    /// The player's memory lags behind what was heard before this step.
    unread_from: Option<i64>,
    /// Bars that were thought of anew, by their first step, and how often.
    regenerate_counts: BTreeMap<i64, u64>,
    /// What is repeated.
    freeze_loop: Option<FreezeLoop>,
    /// What is learned from files.
    file_learning: FileLearning,
    /// Since a project was loaded or the player changed, what an answer waits for was not read.
    opening: bool,
    /// Time stands still at a stretch, or at the end of one, until that work is done.
    stall: Stall,
    /// What can be taken back.
    undo_stack: UndoStack,
    planned: VecDeque<ScheduledNote>,
}

impl SavedSession {
    /// The first bar line of 4/4 after everything in it, in quarter notes.
    pub fn next_bar(&self) -> f64 {
        let ExactBeats(now) = self.now;
        let end = now.max(self.timeline.end_beat());
        if end.is_finite() {
            (end / 4.0).ceil() * 4.0
        } else {
            0.0
        }
    }
}

impl<P: Player> Session<P> {
    /// Nothing heard yet.
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
            file_learning: FileLearning::default(),
            opening: false,
            stall: Stall::default(),
            undo_stack: UndoStack::default(),
            planned: VecDeque::new(),
        }
    }

    /// Who plays.
    pub fn player(&self) -> &P {
        &self.player
    }

    /// The player, for callers that change it.
    pub fn player_mut(&mut self) -> &mut P {
        &mut self.player
    }

    /// What was heard and played.
    pub fn timeline(&self) -> &Timeline {
        &self.timeline
    }

    /// What the musician asks for.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Planned notes, in order of start, for the audio thread to take.
    pub fn planned(&mut self) -> &mut VecDeque<ScheduledNote> {
        &mut self.planned
    }

    /// What a project keeps of it.
    pub fn save(&self) -> SavedSession {
        SavedSession {
            now: ExactBeats(self.now),
            timeline: self.timeline.save(),
            learned: self.file_learning.learned().to_vec(),
        }
    }

    /// Somebody else plays from here on, who has heard nothing yet: memory is read when there is
    /// time, in [`Session::work`]. Time goes on.
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
        (self.answer, self.stall) = (None, Stall::default());
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

    /// Goes on from what a project kept, and gives how many notes of it made no sense. Every
    /// plan is void; the player reads all of it anew when there is time, in [`Session::work`].
    /// A transport that runs has to arrive once more.
    pub fn restore(&mut self, saved: &SavedSession) -> Result<usize, P::Error> {
        let steps_per_beat = self.player.steps_per_beat();
        let ExactBeats(now) = saved.now;
        let now = if now.is_finite() { now } else { 0.0 };
        let (timeline, lost) = Timeline::restore(&saved.timeline, steps_per_beat, now);
        self.timeline = timeline;
        (self.now, self.session_offset, self.running) = (now, 0.0, false);
        self.entry_planner.stop();
        self.regenerate_counts.clear();
        self.pending_settings.clear();
        (self.answer, self.freeze_loop) = (None, None);
        self.stall = Stall::default();
        self.undo_stack.forget();
        self.planned.clear();
        self.unread_from = Some(self.timeline.end().unwrap_or(0));
        self.opening = true;
        Ok(lost + self.restore_learned(&saved.learned)?)
    }

    /// The player's memory catches up with what was heard.
    fn catch_up(&mut self) -> Result<(), P::Error> {
        if !self.player.is_ready() {
            // Whoever comes reads all of it.
            return Ok(());
        }
        match self.unread_from.take() {
            Some(before) => self.listen(before, before),
            None => Ok(()),
        }
    }

    /// The player hears what the musician started before `before`, and its own notes before `generated`.
    fn listen(&mut self, before: i64, generated: i64) -> Result<(), P::Error> {
        self.player.tune(&self.settings);
        self.player.listen(&self.timeline.score(before, generated))
    }

    /// The next stretch to decide, unless an answer goes on without end.
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

    /// The player's memory follows what is heard, from beat to beat, so that an answer need
    /// only read the last of it. At whole beats, and not whenever there is time, so that the
    /// model reads the same pieces every time and rounds the same.
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
