//! Options that choose what of a file is heard.

use std::collections::BTreeSet;

use anyhow::{Result, bail};
use continuo_score::midi::{MidiFile, Pedal, ReadOptions};
use continuo_score::{PartFilter, Score};

/// Options that choose which notes of a file are heard.
#[derive(clap::Args, Clone, Debug)]
#[command(next_help_heading = "Hearing")]
pub(super) struct HearingOptions {
    /// Hear these tracks only, numbered as `inspect` does: 1,3-5
    #[arg(long, value_name = "LIST", value_parser = numbers::<0, 65_534>)]
    tracks: Option<Numbers>,
    /// Hear these MIDI channels only, 1 to 16: 1,3-5
    #[arg(long, value_name = "LIST", value_parser = numbers::<1, 16>)]
    channels: Option<Numbers>,
    /// Hear so many bars only, the last ones
    #[arg(long, value_name = "BARS", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    last: Option<u32>,
    /// Whether notes sound on while the sustain pedal is down
    #[arg(long, value_name = "on|off", value_parser = switch, default_value = "on",
        num_args = 0..=1, require_equals = true, default_missing_value = "on",
        action = clap::ArgAction::Set)]
    pedal: bool,
}

/// Numbers and ranges of them, as one option names them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Numbers(BTreeSet<u16>);

/// The music that is heard, and where the answer to it begins.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Heard {
    /// Every note ends before the answer begins. With `--last`, step 0 is `origin`.
    pub(super) score: Score,
    /// Steps of the file before the score begins.
    pub(super) origin: u32,
    /// The bar line on which the answer begins, in steps of the file.
    pub(super) entry: u32,
}

impl HearingOptions {
    /// How files are read.
    pub(super) fn reading(&self) -> ReadOptions {
        let pedal = Pedal::from(self.pedal);
        ReadOptions { pedal }
    }

    /// The tracks and channels chosen.
    ///
    /// # Errors
    /// If a track that is named is not in the file.
    pub(super) fn hearing(&self, file: &MidiFile) -> Result<PartFilter> {
        let list = |numbers: &Numbers| numbers.0.iter().copied().collect::<Vec<u16>>();
        let tracks = self.tracks.as_ref().map(list);
        let count = file.tracks.len();
        if let Some(track) = tracks.iter().flatten().find(|&&t| usize::from(t) >= count) {
            match count {
                0 => bail!("--tracks: there is no track {track}: the file has none"),
                _ => bail!(
                    "--tracks: there is no track {track}: they are 0 to {}",
                    count - 1
                ),
            }
        }
        let channels = self.channels.as_ref().map(list);
        let from_0 = |channels: Vec<u16>| channels.iter().map(|&c| c as u8 - 1).collect();
        Ok(PartFilter {
            tracks,
            channels: channels.map(from_0),
        })
    }

    /// The notes of a file that are heard. `keys` is the file read without the pedal, which does not
    /// decide where the answer begins: a player comes in when the hands have left the keys.
    ///
    /// Absent where no note is heard.
    pub(super) fn hear(
        &self,
        file: &MidiFile,
        keys: &MidiFile,
        hearing: &PartFilter,
        steps_per_beat: u32,
    ) -> Option<Heard> {
        let entry = hearing.score(keys, steps_per_beat).answer_start()?;
        let whole = hearing.score(file, steps_per_beat).ended_at(entry);
        let origin = self.last.map_or(0, |bars| whole.bars_before(entry, bars));
        let score = match origin {
            0 => whole,
            origin => whole.from_step(origin),
        };
        let heard = Heard {
            score,
            origin,
            entry,
        };
        (!heard.score.notes.is_empty()).then_some(heard)
    }
}

/// `on` or `off`.
pub(super) fn switch(text: &str) -> Result<bool, String> {
    match text {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err("must be on or off".into()),
    }
}

/// Reads `1,3-5`: numbers of at least `LEAST` and at most `MOST`.
fn numbers<const LEAST: u16, const MOST: u16>(text: &str) -> Result<Numbers, String> {
    let mut numbers = BTreeSet::new();
    for part in text.split(',') {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        let number = |text: &str| {
            let number: Option<u16> = text.trim().parse().ok();
            number
                .filter(|number| (LEAST..=MOST).contains(number))
                .ok_or(format!("{text:?} is no number from {LEAST} to {MOST}"))
        };
        let (from, to) = (number(from)?, number(to)?);
        if from > to {
            return Err(format!("{part:?} counts backwards"));
        }
        numbers.extend(from..=to);
    }
    Ok(Numbers(numbers))
}

#[cfg(test)]
mod tests {
    use super::*;
    use continuo_score::midi::MidiNote;

    fn options() -> HearingOptions {
        HearingOptions {
            tracks: None,
            channels: None,
            last: None,
            pedal: true,
        }
    }

    /// Quarter notes of one track, and one that the pedal holds for two bars more.
    fn files() -> (MidiFile, MidiFile) {
        let note = |beat: u64, end| MidiNote {
            start: beat * 480,
            end,
            pitch: 60 + beat as u8,
            velocity: 80,
            channel: (beat % 2) as u8,
            track: 0,
        };
        let keys = MidiFile {
            ticks_per_beat: 480,
            notes: (0..16).map(|beat| note(beat, beat * 480 + 480)).collect(),
            tracks: vec!["".into()],
            ..MidiFile::default()
        };
        let mut pedalled = keys.clone();
        pedalled.notes[15].end += 8 * 480;
        (pedalled, keys)
    }

    #[test]
    fn lists_of_numbers() {
        let list = |text: &str| numbers::<1, 16>(text).map(|n| n.0.into_iter().collect::<Vec<_>>());
        assert_eq!(list("3,1-2, 16"), Ok(vec![1, 2, 3, 16]));
        for wrong in ["", "0", "17", "2-1", "a", "1,,2", "-3"] {
            assert!(list(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn the_pedal_is_heard_and_does_not_put_the_answer_off() {
        let (pedalled, keys) = files();
        let hearing = options().hearing(&keys).unwrap();
        let heard = options().hear(&pedalled, &keys, &hearing, 12).unwrap();
        assert_eq!((heard.entry, heard.origin), (192, 0));
        assert_eq!(heard.score.notes[15].end(), 192);
        assert_eq!(heard.score.length, 192);
    }

    #[test]
    fn the_last_bars_alone() {
        let (_, keys) = files();
        let two = HearingOptions {
            last: Some(2),
            ..options()
        };
        let heard = two.hear(&keys, &keys, &PartFilter::default(), 12).unwrap();
        assert_eq!((heard.entry, heard.origin), (192, 96));
        assert_eq!(heard.score.notes.len(), 8);
        assert_eq!(heard.score.notes[0].start, 0);
    }

    #[test]
    fn only_what_is_chosen() {
        let (_, keys) = files();
        let channels = HearingOptions {
            channels: Some(Numbers([2].into())),
            ..options()
        };
        let hearing = channels.hearing(&keys).unwrap();
        let heard = channels.hear(&keys, &keys, &hearing, 12).unwrap();
        assert_eq!(heard.score.notes.len(), 8);
        let none = HearingOptions {
            channels: Some(Numbers([3].into())),
            ..options()
        };
        let hearing = none.hearing(&keys).unwrap();
        assert_eq!(none.hear(&keys, &keys, &hearing, 12), None);
        let tracks = HearingOptions {
            tracks: Some(Numbers([0, 1].into())),
            ..options()
        };
        let said = tracks.hearing(&keys).unwrap_err().to_string();
        assert!(said.contains("no track 1"), "{said}");
    }
}
