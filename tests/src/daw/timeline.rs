//! Reports and events at a song position: transport, tempo, notes of the track.

use super::Daw;
use crate::host::{NoteEvent, Transport};

impl Daw {
    /// Sample nearest to the next change of tempo or time signature. A block ends there.
    pub(super) fn next_change(&self) -> Option<u64> {
        let time_signatures = &self.setup.time_signatures;
        let beats = |step: u32| f64::from(step) / f64::from(time_signatures.steps_per_beat());
        let tempos = self.setup.tempos.iter().map(|&(beat, _)| beat);
        let changes = tempos.chain(time_signatures.changes().map(|(step, _)| beats(step)));
        let at = changes.map(|beat| self.clock.sample_at(beat, self.sample).round() as u64);
        at.filter(|&at| at > self.sample).min()
    }

    /// Tempo at a song position; a change counts from half a sample before it.
    pub(super) fn bpm(&self, beat: f64) -> f64 {
        let mut bpm = self.setup.tempos.first().map_or(120.0, |first| first.1);
        for &(from, next) in &self.setup.tempos {
            let half_sample = 0.5 * bpm / 60.0 / self.setup.sample_rate;
            if from <= beat + half_sample {
                bpm = next;
            }
        }
        bpm
    }

    /// The transport at the current sample.
    pub(super) fn transport(&self) -> Transport {
        let beat = self.clock.beat(self.sample);
        let time_signatures = &self.setup.time_signatures;
        let steps_per_beat = f64::from(time_signatures.steps_per_beat());
        // A bar line less than a sample ahead is not reached yet. Bars before beat 0 have the first
        // time signature.
        let bar_steps = i64::from(time_signatures.position(0).bar_steps.max(1));
        let at = (beat * steps_per_beat).floor() as i64;
        let bars_before = (-at.min(0) + bar_steps - 1) / bar_steps;
        let step = (at + bars_before * bar_steps) as u32;
        let place = time_signatures.position(step);
        let metre = time_signatures.time_signature(step);
        let line = at - i64::from(place.step_in_bar);
        Transport {
            playing: self.playing,
            beat,
            bpm: self.bpm(beat),
            metre: (metre.numerator, metre.denominator),
            bar_start: line as f64 / steps_per_beat,
            bar: place.bar as i32 - bars_before as i32,
            loop_range: self.loop_range,
            detail: self.detail,
        }
    }

    /// Notes of the track in the next `frames` samples.
    pub(super) fn input(&mut self, frames: u32) -> Vec<NoteEvent> {
        let end = self.sample + u64::from(frames);
        let mut notes = Vec::new();
        // A loop restart inside the block divides it.
        let restart = self.clock.segment(end - 1).sample;
        if restart > self.sample {
            self.append_notes(self.sample, restart, &mut notes);
            self.append_notes(restart, end, &mut notes);
        } else {
            self.append_notes(self.sample, end, &mut notes);
        }
        notes
    }

    /// Appends the notes from sample `first` to `end`, over which the song position is linear.
    fn append_notes(&mut self, first: u64, end: u64, notes: &mut Vec<NoteEvent>) {
        let segment = self.clock.segment(first);
        let start = (first - self.sample) as u32;
        if segment.sample == first {
            // A stop or a seek releases held keys; a change of tempo does not.
            let beat_before = self.clock.beat(first.saturating_sub(1));
            let moved = (segment.beat - beat_before).abs() > 1e-3;
            if !self.playing || moved {
                let release = |note| NoteEvent {
                    on: false,
                    offset: start,
                    ..note
                };
                notes.extend(self.down.drain(..).map(release));
            }
        }
        if !self.playing {
            return;
        }
        let from = self.clock.beat(first);
        let per_sample = self.clock.beats_per_sample(segment);
        for &(beat, event) in &self.track {
            // The nearest sample; of two equally near ones the later.
            let offset = ((beat - from) / per_sample + 0.5).floor();
            if (0.0..(end - first) as f64).contains(&offset) {
                let was_down = self.down.iter().position(|down| down.key == event.key);
                match (event.on, was_down) {
                    (true, _) => self.down.push(event),
                    (false, Some(index)) => drop(self.down.swap_remove(index)),
                    // Released already by a seek.
                    (false, None) => continue,
                }
                notes.push(NoteEvent {
                    offset: start + offset as u32,
                    ..event
                });
            }
        }
    }
}
