//! Parts of the player's channels.
//!
//! A channel is an instrument: its notes belong to one part, which is fixed by a setting or follows
//! from its last notes by the rule of [`continuo_score::part_rule`]. Channel 10 is the drums. A channel
//! that plays alone is a keyboard. With several channels, register, notes at once and rhythm decide.

use continuo_score::part_rule::{self, TrackNotes};
use continuo_score::{Note, Part, PartSet, Score};

use super::{NoteRecord, Timeline};

/// Number of channels that the player can have: those of MIDI, and one for what is heard in sound.
pub const CHANNELS: usize = 17;

/// Index of what is heard in sound.
pub(super) const EAR_CHANNEL: usize = 16;

/// Number of a channel's last notes that decide its part, and that change with it.
const WINDOW: usize = 64;

/// Number of a channel's last notes that must agree before its part changes again.
const AGREEMENT: usize = 16;

/// Number of a channel's notes from which on the rule applies.
const MIN_NOTES: usize = 4;

/// Number of the last notes of all channels that are searched.
const SEARCH: usize = 1_024;

/// Number of the player's last notes whose parts count as heard.
const HEARD_NOTES: usize = 128;

/// Channel 10, counted from 0.
const DRUM_CHANNEL: usize = 9;

/// A program that is no keyboard's and that decides no part: one channel of several is an instrument
/// of its own, not one hand of a keyboard.
const ANY_INSTRUMENT: u8 = 48;

/// The last notes of each channel, as indices into the timeline's notes, oldest first.
type LastNotes = [Vec<usize>; CHANNELS];

impl Timeline {
    /// Assigns parts to the player's last notes. `fixed` has the part of each channel, or `None` for the
    /// rule. Notes that start before song step `before` decide. At most 64 notes of a channel
    /// change, so that the player reads little again.
    pub fn assign_parts(&mut self, fixed: &[Option<Part>; CHANNELS], before: i64) {
        let last = self.last_notes();
        let by_rule = self.parts_by_rule(&last, fixed, before);
        for (channel, indices) in last.iter().enumerate() {
            let part = match fixed[channel] {
                Some(part) => part,
                None if channel == DRUM_CHANNEL => Part::Drums,
                None => by_rule[channel].unwrap_or(self.channel_parts[channel]),
            };
            self.channel_parts[channel] = part;
            for &index in indices {
                self.notes[index].part = part;
            }
        }
    }

    /// Makes the next notes of all channels keys, until parts are assigned again.
    pub fn forget_channel_parts(&mut self) {
        self.channel_parts = [Part::Keys; CHANNELS];
    }

    /// The parts of the player's last notes before song step `before`.
    pub fn heard_parts(&self, before: i64) -> PartSet {
        let input = self.notes.iter().rev();
        let input = input.filter(|n| !n.is_generated() && n.start < before);
        input.take(HEARD_NOTES).map(|n| n.part).collect()
    }

    fn last_notes(&self) -> LastNotes {
        let mut last = LastNotes::default();
        for (index, note) in self.notes.iter().enumerate().rev().take(SEARCH) {
            if let Some(channel) = note.source.channel()
                && let Some(indices) = last.get_mut(channel)
                && indices.len() < WINDOW
            {
                indices.push(index);
            }
        }
        last.iter_mut().for_each(|indices| indices.reverse());
        last
    }

    /// The part of each channel by the rule; `None` where it does not apply, or where the last notes
    /// disagree with the ones before.
    fn parts_by_rule(
        &self,
        last: &LastNotes,
        fixed: &[Option<Part>; CHANNELS],
        before: i64,
    ) -> [Option<Part>; CHANNELS] {
        let channels = last.iter().filter(|indices| !indices.is_empty()).count();
        let program = (channels > 1).then_some(ANY_INSTRUMENT);
        let decide = |most: usize| {
            let heard = |channel: usize| {
                let notes = last[channel].iter().map(|&index| &self.notes[index]);
                let notes: Vec<_> = notes.filter(|n| n.start < before).collect();
                let skipped = notes.len().saturating_sub(most);
                let is_ruled = fixed[channel].is_none() && notes.len() >= MIN_NOTES;
                is_ruled.then(|| (channel, self.plain(&notes[skipped..])))
            };
            let heard: Vec<(usize, Vec<Note>)> = (0..CHANNELS).filter_map(heard).collect();
            let tracks = heard.iter().map(|(channel, notes)| TrackNotes {
                name: "",
                program,
                drums: *channel == DRUM_CHANNEL,
                notes,
            });
            let found = part_rule::parts(&tracks.collect::<Vec<_>>());
            let mut parts = [None; CHANNELS];
            for ((channel, _), (part, _)) in heard.iter().zip(found) {
                parts[*channel] = Some(part);
            }
            parts
        };
        let whole = decide(WINDOW);
        let changes = |channel: usize| {
            let known = last[channel].len() > AGREEMENT;
            known && whole[channel].is_some_and(|part| part != self.channel_parts[channel])
        };
        if !(0..CHANNELS).any(changes) {
            return whole;
        }
        let recent = decide(AGREEMENT);
        std::array::from_fn(|channel| {
            whole[channel].filter(|_| !changes(channel) || whole[channel] == recent[channel])
        })
    }

    /// Notes as a track of its own, in the order of a score.
    fn plain(&self, notes: &[&NoteRecord]) -> Vec<Note> {
        let first = notes.iter().map(|n| n.start).min().unwrap_or(0);
        let last = notes.iter().map(|n| n.start).max().unwrap_or(0);
        let mut score = Score::new(self.steps_per_beat);
        let steps = |count: i64| u32::try_from(count).unwrap_or(0);
        score.notes.extend(notes.iter().map(|n| Note {
            start: steps(n.start - first),
            // A held key sounds up to the last onset.
            length: steps(n.end.unwrap_or(last) - n.start).max(1),
            pitch: n.pitch,
            velocity: n.velocity,
            part: Part::Keys,
        }));
        score.normalise();
        score.notes
    }

    /// The part of each channel, from its last note.
    pub(super) fn recall_channel_parts(&mut self) {
        self.channel_parts = Default::default();
        for note in &self.notes {
            if let Some(channel) = note.source.channel() {
                self.channel_parts[channel] = note.part;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AUTO: [Option<Part>; CHANNELS] = [None; CHANNELS];

    fn play(timeline: &mut Timeline, channel: u8, from: f64, pitches: &[u8]) {
        for (index, &pitch) in pitches.iter().enumerate() {
            let beat = from + index as f64;
            timeline.on(beat, channel, pitch, 90);
            timeline.off(beat + 0.9, Some(channel), Some(pitch));
        }
    }

    fn parts(timeline: &Timeline) -> Vec<Part> {
        timeline.notes().map(|note| note.part).collect()
    }

    #[test]
    fn a_channel_alone_is_the_keys_and_channel_ten_the_drums() {
        let mut timeline = Timeline::new(12);
        play(&mut timeline, 0, 0.0, &[72, 74, 76, 77, 79]);
        timeline.assign_parts(&AUTO, 999);
        assert_eq!(parts(&timeline), [Part::Keys; 5]);
        let mut timeline = Timeline::new(12);
        play(&mut timeline, 9, 0.0, &[36]);
        timeline.assign_parts(&AUTO, 999);
        assert_eq!(parts(&timeline), [Part::Drums]);
        assert_eq!(
            timeline.heard_parts(999),
            [Part::Drums].into_iter().collect()
        );
        assert_eq!(timeline.heard_parts(0), PartSet::EMPTY);
    }

    #[test]
    fn several_channels_are_told_apart_and_new_notes_follow() {
        let mut timeline = Timeline::new(12);
        play(&mut timeline, 0, 0.0, &[72, 74, 76, 77, 79, 77]);
        play(&mut timeline, 1, 6.0, &[36, 38, 40, 41, 43, 41]);
        timeline.assign_parts(&AUTO, 999);
        let expected = [[Part::Lead; 6], [Part::Bass; 6]].concat();
        assert_eq!(parts(&timeline), expected);
        play(&mut timeline, 1, 12.0, &[36]);
        assert_eq!(parts(&timeline).last(), Some(&Part::Bass));
    }

    #[test]
    fn a_fixed_part_takes_the_place_of_the_rule() {
        let mut timeline = Timeline::new(12);
        play(&mut timeline, 0, 0.0, &[72, 74, 76]);
        play(&mut timeline, 9, 3.0, &[60, 62]);
        let mut fixed = AUTO;
        fixed[0] = Some(Part::Chords);
        fixed[9] = Some(Part::Lead);
        timeline.assign_parts(&fixed, 999);
        let expected = [[Part::Chords; 3].as_slice(), &[Part::Lead; 2]].concat();
        assert_eq!(parts(&timeline), expected);
    }

    #[test]
    fn a_few_notes_change_no_part_that_was_found() {
        let mut timeline = Timeline::new(12);
        let tune: Vec<u8> = (0..30).map(|step| 72 + step % 5).collect();
        play(&mut timeline, 0, 0.0, &tune);
        play(&mut timeline, 1, 30.0, &[36, 38, 40, 41, 43]);
        timeline.assign_parts(&AUTO, 9_999);
        assert_eq!(timeline.channel_parts[0], Part::Lead);
        // A short excursion into the bass's register.
        play(&mut timeline, 0, 40.0, &[40, 38, 36]);
        timeline.assign_parts(&AUTO, 9_999);
        assert_eq!(timeline.channel_parts[0], Part::Lead);
        // It stays there: the part changes, and with it the notes that decided.
        play(&mut timeline, 0, 50.0, &[40; 70]);
        timeline.assign_parts(&AUTO, 9_999);
        assert_eq!(timeline.channel_parts[0], Part::Bass);
        assert_eq!(parts(&timeline)[0], Part::Lead);
    }

    #[test]
    fn five_parts_on_one_channel_are_the_keys() {
        let mut timeline = Timeline::new(12);
        for beat in 0..8 {
            for pitch in [36, 52, 55, 60, 76] {
                timeline.on(f64::from(beat), 3, pitch, 90);
                timeline.off(f64::from(beat) + 0.9, Some(3), Some(pitch));
            }
        }
        timeline.assign_parts(&AUTO, 9_999);
        assert_eq!(parts(&timeline), [Part::Keys; 40]);
    }

    #[test]
    fn part_is_forgotten_with_the_notes_that_decided_it() {
        let mut timeline = Timeline::new(12);
        play(&mut timeline, 0, 0.0, &[72, 74, 76, 77, 79]);
        play(&mut timeline, 1, 0.0, &[36, 38, 36, 38, 36]);
        timeline.assign_parts(&AUTO, 999);
        assert_eq!(timeline.channel_parts[1], Part::Bass);
        let mut jumped = timeline.clone();
        jumped.set_aside_from(0.0);
        assert_eq!(jumped.channel_parts[1], Part::Keys);
        let earlier = timeline.take_before(99.0);
        assert_eq!(timeline.channel_parts[1], Part::Keys);
        timeline.put_before(earlier, 99.0);
        assert_eq!(timeline.channel_parts[1], Part::Bass);
        timeline.clear();
        assert_eq!(timeline.channel_parts[1], Part::Keys);
    }
}
