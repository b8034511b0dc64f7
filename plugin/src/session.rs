//! One instance's mind: what it heard, what it decides, what it plays. Owned by the composer
//! thread; starts no thread, and knows the model only as a [`Player`].

use std::collections::VecDeque;

use continuo_score::{Metre, Note, Score};
use serde::{Deserialize, Serialize};

use crate::continuing::{Continue, Entry};
use crate::messages::{Heard, Planned, Settings};
use crate::timeline::{Beats, SavedTimeline, Timeline};

/// Something that listens and plays on: the engine's composer. Steps are those of the scores
/// it listens to.
pub trait Player {
    /// Why it cannot go on.
    type Error;
    /// Steps in a quarter note.
    fn steps_per_beat(&self) -> u32;
    /// Memory becomes exactly `score`.
    fn listen(&mut self, score: &Score) -> Result<(), Self::Error>;
    /// Begins an answer at step `at`.
    fn answer(&mut self, at: u32, settings: &Settings, seed: u64) -> Result<(), Self::Error>;
    /// The notes that start before `until` and were not given yet. How the calls are cut does
    /// not change what is played.
    fn play_until(&mut self, until: u32) -> Result<Vec<Note>, Self::Error>;
}

/// An answer under way.
#[derive(Clone, Copy, Debug)]
struct Answer {
    /// Song step of the player's step 0.
    origin: i64,
    /// Planned up to this song step.
    until: i64,
}

/// What a project keeps of a session.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SavedSession {
    /// Everything up to this position was heard, in quarter notes.
    now: Beats,
    timeline: SavedTimeline,
}

/// One instance's memory and plans.
pub struct Session<P> {
    player: P,
    timeline: Timeline,
    rule: Continue,
    settings: Settings,
    running: bool,
    /// Everything up to this position was heard.
    now: f64,
    /// Number of the last cut.
    cuts: u64,
    next_id: u64,
    answer: Option<Answer>,
    /// The player's memory lags behind what was heard before this song step.
    behind: Option<i64>,
    planned: VecDeque<Planned>,
}

impl<P: Player> Session<P> {
    /// Nothing heard yet.
    pub fn new(player: P) -> Self {
        let steps_per_beat = player.steps_per_beat();
        Self {
            player,
            timeline: Timeline::new(steps_per_beat),
            rule: Continue::default(),
            settings: Settings::default(),
            running: false,
            now: 0.0,
            cuts: 0,
            next_id: 1,
            answer: None,
            behind: None,
            planned: VecDeque::new(),
        }
    }

    /// Who plays.
    pub fn player(&self) -> &P {
        &self.player
    }

    /// Planned notes, in order of start, for the audio thread to take.
    pub fn planned(&mut self) -> &mut VecDeque<Planned> {
        &mut self.planned
    }

    /// What a project keeps of it.
    pub fn save(&self) -> SavedSession {
        SavedSession {
            now: Beats(self.now),
            timeline: self.timeline.save(),
        }
    }

    /// Somebody else plays from here on, who has heard nothing yet: a [`Session::restore`]
    /// follows.
    pub fn change_player(&mut self, player: P) {
        self.player = player;
        self.answer = None;
    }

    /// Goes on from what a project kept, and gives how many notes of it made no sense. Every
    /// plan is void; the player reads all of it anew when there is time, in [`Session::work`].
    /// A transport that runs has to arrive once more.
    pub fn restore(&mut self, saved: &SavedSession) -> usize {
        let steps_per_beat = self.player.steps_per_beat();
        let Beats(now) = saved.now;
        let now = if now.is_finite() { now } else { 0.0 };
        let (timeline, lost) = Timeline::restore(&saved.timeline, steps_per_beat, now);
        self.timeline = timeline;
        if !self.running {
            self.now = now;
        }
        self.rule.arrive();
        self.answer = None;
        self.planned.clear();
        self.behind = Some(self.timeline.end().unwrap_or(0));
        lost
    }

    /// Takes in one message: first time passes up to it, with every decision that falls due,
    /// then it counts. So what is decided does not depend on how the host cuts time.
    ///
    /// With `eager`, everything the time allows to be planned is planned before the message
    /// counts, as offline rendering needs it; else [`Session::work`] does it bit by bit.
    pub fn hear(&mut self, message: Heard, eager: bool) -> Result<(), P::Error> {
        match message {
            Heard::Now { beat, .. } => self.advance(beat, eager)?,
            Heard::On {
                beat,
                channel,
                pitch,
                velocity,
            } if self.running => {
                self.advance(beat, eager)?;
                self.rule.on(self.timeline.step(beat), beat, channel, pitch);
                self.timeline.on(beat, channel, pitch, velocity);
            }
            Heard::On { channel, pitch, .. } => self.rule.hold(channel, pitch),
            Heard::Off {
                beat,
                channel,
                pitch,
            } => {
                if self.running {
                    self.advance(beat, eager)?;
                }
                self.rule
                    .off(self.timeline.step(beat), beat, channel, pitch);
                self.timeline.off(beat, channel, pitch);
            }
            Heard::AllUp { beat } => {
                self.rule.all_up();
                self.timeline.off(beat, None, None);
            }
            Heard::Cut {
                number,
                beat,
                limit,
            } => {
                self.advance(beat, eager)?;
                self.cuts = number;
                self.answer = None;
                self.planned.retain(|note| note.start_beat < limit);
                self.timeline.cut(beat, limit);
                // What was answered is not answered again.
                self.rule.change(&self.timeline, &self.settings, beat);
            }
            Heard::Metre {
                bar_start,
                numerator,
                denominator,
            } => {
                self.timeline.metre(
                    bar_start,
                    Metre {
                        numerator,
                        denominator,
                    },
                );
                self.rule.change(&self.timeline, &self.settings, self.now);
            }
            Heard::Arrive { beat } => {
                self.timeline.off(self.now, None, None);
                self.timeline.forget_from(beat);
                self.rule.arrive();
                (self.running, self.now) = (true, beat);
                (self.answer, self.behind) = (None, None);
            }
            Heard::Stop { beat } => {
                self.advance(beat, eager)?;
                self.timeline.off(beat, None, None);
                self.rule.arrive();
                (self.running, self.answer) = (false, None);
            }
            Heard::Settings(settings) => {
                self.settings = settings;
                self.rule.change(&self.timeline, &settings, self.now);
            }
            Heard::Missed { id } => self.timeline.missed(id),
        }
        Ok(())
    }

    /// Does a little of what there is to do: a sixteenth of music, so that the first notes of
    /// an answer are on their way before the rest is thought of. Whether there is more.
    pub fn work(&mut self) -> Result<bool, P::Error> {
        if self.answer.is_some() {
            return self.plan();
        }
        if let Some(before) = self.behind.take() {
            self.player.listen(&self.timeline.score(before))?;
        }
        Ok(false)
    }

    /// Time passes up to `beat`.
    fn advance(&mut self, beat: f64, eager: bool) -> Result<(), P::Error> {
        if !self.running || beat < self.now {
            return Ok(());
        }
        let entry = self.rule.next(&self.timeline, &self.settings);
        let entry = entry.filter(|_| self.answer.is_none());
        self.follow(beat, entry);
        self.now = beat;
        if let Some(entry) = entry.filter(|&e| self.rule.is_due(e, &self.timeline, beat)) {
            self.decide(entry)?;
        }
        while eager && self.work()? {}
        Ok(())
    }

    /// The player's memory follows what is heard, from beat to beat, so that an answer need
    /// only read the last of it. At whole beats, and not whenever there is time, so that the
    /// model reads the same pieces every time and rounds the same.
    fn follow(&mut self, beat: f64, entry: Option<Entry>) {
        let passed = beat.floor();
        if self.answer.is_some() || passed <= self.now.floor() {
            return;
        }
        let line = self.timeline.step(passed);
        let open = self.timeline.first_open().unwrap_or(line);
        let decided = entry.map_or(line, |e| e.decided);
        self.behind = Some(line.min(open).min(decided));
    }

    fn decide(&mut self, entry: Entry) -> Result<(), P::Error> {
        let score = self.timeline.score(entry.decided);
        let at = self
            .timeline
            .origin()
            .and_then(|o| Some((o, u32::try_from(entry.at - o).ok()?)));
        let Some((origin, at)) = at.filter(|_| !score.notes.is_empty()) else {
            self.rule.postpone(entry.at + 1);
            return Ok(());
        };
        self.behind = None;
        self.player.listen(&score)?;
        // Another place in the song is another answer.
        let seed = mix(mix(u64::from(self.settings.seed)) ^ entry.at as u64);
        self.player.answer(at, &self.settings, seed)?;
        self.answer = Some(Answer {
            origin,
            until: entry.at,
        });
        Ok(())
    }

    /// Plans up to a sixteenth further. Whether more is to be planned.
    fn plan(&mut self) -> Result<bool, P::Error> {
        let Some(answer) = self.answer else {
            return Ok(false);
        };
        let target = self.timeline.step(self.now + self.settings.lookahead);
        let slice = (self.player.steps_per_beat() / 4).max(1);
        let until = target.min(answer.until + i64::from(slice));
        if until <= answer.until {
            return Ok(false);
        }
        let mut notes = self
            .player
            .play_until(u32::try_from(until - answer.origin).unwrap_or(0))?;
        notes.sort_by_key(|n| n.start);
        for note in notes {
            let start = answer.origin + i64::from(note.start);
            let end = start + i64::from(note.length.max(1));
            let (id, velocity) = (self.next_id, note.velocity.clamp(1, 127));
            self.next_id += 1;
            self.timeline
                .play(id, start, end, note.pitch & 127, velocity);
            self.planned.push_back(Planned {
                id,
                after_cut: self.cuts,
                start_beat: self.timeline.beat(start),
                end_beat: self.timeline.beat(end),
                pitch: note.pitch & 127,
                velocity,
            });
        }
        self.answer = Some(Answer { until, ..answer });
        Ok(until < target)
    }
}

/// The finalizer of SplitMix64: every bit of the result depends on every bit of `x`.
pub fn mix(x: u64) -> u64 {
    let x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}
