//! Random changes between blocks: transport, parameters, states, and the player's notes.

use std::path::Path;

use anyhow::Result;
use rand::Rng;
use serde_json::json;

use super::{PLAYER, StressHost};
use crate::host::NoteEvent;
use crate::state_file;

const MOSTLY_OFF: &[&str] = &[
    "On", "Off", "Off", "Off", "Off", "Off", "Off", "Off", "Off", "Off",
];

/// Parameters to change, each with values in the user's notation.
const PARAMETERS: &[(&str, &[&str])] = &[
    (
        "mode",
        &["Off", "Continue", "Trade", "Trade", "Along", "Free", "Free"],
    ),
    ("enter", &["Step", "Beat", "Bar"]),
    ("memory", &["Song", "Session"]),
    ("thru", &["On", "Off"]),
    ("bypass", MOSTLY_OFF),
    ("hold", &["On", "Off"]),
    ("panic", MOSTLY_OFF),
    ("clear", &["On", "Off", "Off"]),
    ("regen", &["On", "Off"]),
    ("freeze", &["On", "Off", "Off"]),
    ("variation", &["A", "B", "C", "D"]),
    ("gap", &["0.25", "1", "2"]),
    ("lead", &["0", "0.25", "1"]),
    ("bars", &["1", "2", "4"]),
    ("lookahead", &["1", "4", "16"]),
    ("temp", &["0.1", "0.9", "2"]),
    ("temp_rhythm", &["0.1", "0.9", "2"]),
    ("top_p", &["0.05", "0.9", "1"]),
    ("scale", &["Off", "Detected", "Dorian", "Blues"]),
    ("key", &["C", "F#", "Bb"]),
    ("voices", &["Any", "1", "4"]),
    ("density", &["Model", "0.5", "8"]),
    ("length", &["10", "100", "200"]),
    ("vel_from", &["Model", "Player", "Fixed"]),
    ("seed", &["1", "2", "9999"]),
    ("out_ch", &["1", "2", "15"]),
    ("in_ch", &["All", "16", "3"]),
    (
        "harmony",
        &["Free", "Loop 2 Bars", "Loop 8 Bars", "Held", "Held"],
    ),
    ("chord_pull", &["0", "50", "100"]),
    ("chord_ch", &["Split", "1", "16"]),
    ("split", &["C1", "C3", "C5"]),
    ("play_bass", &["On", "Off"]),
    ("play_drums", &["On", "Off"]),
    ("low_bass", &["Any", "E1"]),
    ("high_bass", &["Any", "G3", "C1"]),
    ("voices_bass", &["Any", "1"]),
    ("low_keys", &["Any", "C4", "G9"]),
    ("voices_drums", &["Any", "1", "2"]),
    ("in_part", &["Auto", "Lead", "Drums"]),
    ("listen", &["MIDI", "MIDI", "MIDI", "Audio", "Both"]),
    ("ear_gate", &["-60", "-30"]),
    ("ear_sens", &["50", "100", "0"]),
    ("out_keys", &["Output", "4"]),
    ("out_drums", &["Output", "10", "1"]),
];

impl StressHost<'_> {
    /// Makes one random change, or none.
    pub(super) fn disturb(&mut self) -> Result<()> {
        match self.rng.random_range(0..400) {
            0 => {
                self.transport.playing = !self.transport.playing;
                self.moved = true;
                self.done(format!("playing {}", self.transport.playing));
            }
            1 | 2 => {
                let beat = self.rng.random_range(-4.0..60.0);
                self.transport.beat = if self.rng.random_bool(0.5) {
                    f64::floor(beat)
                } else {
                    beat
                };
                self.moved = true;
                self.done(format!("beat {}", self.transport.beat));
            }
            3 => {
                self.transport.bpm = self.rng.random_range(20.0..400.0);
                self.moved = true;
                self.done(format!("{} BPM", self.transport.bpm));
            }
            4 => {
                self.transport.metre =
                    self.pick(&[(4, 4), (3, 4), (7, 8), (1, 16), (5, 4), (6, 8)]);
                self.done(format!("metre {:?}", self.transport.metre));
            }
            5 => {
                self.transport.loop_range = self.pick(&[
                    None,
                    Some((0.0, 4.0)),
                    Some((1.0, 3.3)),
                    Some((4.0, 4.01)),
                    Some((8.0, 16.0)),
                ]);
            }
            6 | 60..70 => self.longest = self.pick(&[1, 64, 512, 512, 4096, 4096]),
            7 => self.restart()?,
            70 => self.keep()?,
            71 => self.go_back()?,
            8..30 => {
                let (id, values) = self.pick(PARAMETERS);
                let value = self.pick(values);
                let change = self.plugin.parameter(id, value)?;
                self.changes.push(change);
                self.done(format!("{id} {value}"));
            }
            30..60 => {
                self.moved |= !self.transport.playing;
                self.transport.playing = true;
            }
            _ => {}
        }
        Ok(())
    }

    /// Saves the state.
    fn keep(&mut self) -> Result<()> {
        let state = self.plugin.save()?;
        self.done("saved".into());
        if self.states.len() == 4 {
            self.states.remove(0);
        }
        self.states.push(state);
        Ok(())
    }

    /// Loads a saved state: whole, damaged, or with another model. The plugin may refuse it, but must
    /// continue to work.
    fn go_back(&mut self) -> Result<()> {
        if self.states.is_empty() {
            return Ok(());
        }
        let which = self.rng.random_range(0..self.states.len());
        let mut state = self.states[which].clone();
        if self.rng.random_bool(0.3) {
            let other = self.other_model.map(Path::to_path_buf);
            let model = self.rng.random_range(0..4);
            let mut session = state_file::session(self.format, &state)?;
            session["model"] = match model {
                0 | 1 => json!(other),
                2 => json!("nowhere"),
                _ => json!(null),
            };
            state = state_file::with_session(self.format, &state, &session)?;
            self.done(format!("model {}", session["model"]));
        }
        if self.rng.random_bool(0.2) {
            let at = self.rng.random_range(0..state.len());
            state[at] = state[at].wrapping_add(self.rng.random_range(1..=255));
            let around = at.saturating_sub(24)..state.len().min(at + 8);
            let around = String::from_utf8_lossy(&state[around]).into_owned();
            self.done(format!("byte {at} of it damaged: {around:?}"));
        }
        // A damaged state may be refused.
        let loaded = self.plugin.load(&state).is_ok();
        self.done(format!("loaded state {which}: {loaded}"));
        self.moved = true;
        Ok(())
    }

    /// Returns the player's notes in a block.
    pub(super) fn input(&mut self, frames: u32) -> Vec<NoteEvent> {
        let count = match self.rng.random_range(0..200) {
            0 => 400,
            1..20 => self.rng.random_range(1..6),
            _ => 0,
        };
        let mut offsets: Vec<u32> = (0..count)
            .map(|_| self.rng.random_range(0..frames))
            .collect();
        offsets.sort_unstable();
        let mut notes = Vec::new();
        for offset in offsets {
            // Most events are plausible; some strike a key twice or release a key that is up.
            let known = !self.held.is_empty() && self.rng.random_bool(0.6);
            let key = if known {
                let index = self.rng.random_range(0..self.held.len());
                self.held.swap_remove(index)
            } else {
                self.rng.random_range(0..128)
            };
            let on = !known && self.rng.random_bool(0.9);
            if on {
                self.held.push(key);
                self.summary.sent += 1;
            }
            notes.push(NoteEvent {
                offset,
                on,
                channel: PLAYER,
                key,
                velocity: self.rng.random_range(0.01..1.0),
            });
        }
        notes
    }
}
