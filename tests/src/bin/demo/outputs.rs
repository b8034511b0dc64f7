//! The files that the demo writes.

use std::path::Path;

use anyhow::Result;
use continuo_files::{Output, Replace, kind};
use continuo_score::Score;
use continuo_score::roll::{self, RollPart};
use continuo_synth::wav;

use crate::opening::Opening;
use crate::performance::{Performance, SAMPLE_RATE};

/// The output files, checked before the plugin plays.
pub(crate) struct Outputs {
    heard: Output,
    played: Output,
    answer: Files,
    band: Files,
}

/// The files of one run: input and output together.
struct Files {
    notes: Output,
    sound: Output,
    picture: Output,
}

impl Outputs {
    /// # Errors
    ///
    /// Fails if a file of another kind is in the way.
    pub(crate) fn check(out: &Path) -> Result<Self> {
        let file = |name: &str, kind| Output::check(&out.join(name), kind, Replace::SameKind);
        let files = |notes: &str, sound: &str, picture: &str| -> Result<Files> {
            Ok(Files {
                notes: file(notes, &kind::MIDI)?,
                sound: file(sound, &kind::WAV)?,
                picture: file(picture, &kind::PNG)?,
            })
        };
        Ok(Self {
            heard: file("heard.mid", &kind::MIDI)?,
            played: file("played.mid", &kind::MIDI)?,
            answer: files("both.mid", "both.wav", "roll.png")?,
            band: files("band.mid", "band.wav", "band.png")?,
        })
    }

    /// Writes the opening and its continuation.
    ///
    /// # Errors
    ///
    /// Fails if a file cannot be written.
    pub(crate) fn write_answer(&self, opening: &Opening, answer: &Performance) -> Result<()> {
        self.heard.write(&answer.heard.to_midi().to_bytes()?)?;
        self.played.write(&answer.played.to_midi().to_bytes()?)?;
        let title = format!("Continuo plays on: {}", opening.title);
        self.answer.write(&title, opening, answer)
    }

    /// Writes the opening and the band that played along.
    ///
    /// # Errors
    ///
    /// Fails if a file cannot be written.
    pub(crate) fn write_band(&self, opening: &Opening, band: &Performance) -> Result<()> {
        let title = format!("Continuo plays bass and drums along: {}", opening.title);
        self.band.write(&title, opening, band)
    }
}

impl Files {
    fn write(&self, title: &str, opening: &Opening, performance: &Performance) -> Result<()> {
        let Performance { heard, played, .. } = performance;
        // Both parts get the length of the longer one.
        let whole = Score {
            length: played.length.max(heard.length),
            ..heard.clone()
        };
        let both = Score::parts_to_midi(&[("heard", &whole), ("played", played)]);
        self.notes.write(&both.to_bytes()?)?;
        // The sound has the opening as it sounded.
        let opened = Score {
            length: whole.length,
            ..opening.score.clone()
        };
        let both = Score::parts_to_midi(&[("heard", &opened), ("played", played)]);
        let rate = SAMPLE_RATE as u32;
        wav::write_wav(&both, 0..both.end, &self.sound, rate, &mut |_| ())?;
        let parts = [
            RollPart {
                name: "heard",
                score: &whole,
                colour: roll::INPUT_COLOUR,
            },
            RollPart {
                name: "played",
                score: played,
                colour: roll::GENERATED_COLOUR,
            },
        ];
        Ok(self.picture.write(&roll::draw(title, &parts)?)?)
    }
}
