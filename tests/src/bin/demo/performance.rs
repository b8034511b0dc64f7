//! A run of the plugin in a host.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use continuo_score::{Note, Part, Score};
use continuo_tests::artifacts;
use continuo_tests::assertions::{self, PairedNote};
use continuo_tests::clock::Clock;
use continuo_tests::daw::{Blocks, Daw, Setup, track};
use continuo_tests::health_report::HealthReport;
use continuo_tests::host::{Format, Mode};
use continuo_tests::sound;

use crate::Options;
use crate::opening::Opening;

/// Time in seconds after which silence in sound is known at the latest.
const EAR_SECONDS: f64 = 1.5;
/// Block length in samples: ten milliseconds.
const BLOCK: u32 = 480;
/// Sample rate in Hz.
pub(crate) const SAMPLE_RATE: f64 = 48_000.0;

/// The plugin's task beside the opening.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scene {
    /// Goes on after it.
    Answer,
    /// Plays bass and drums along with it.
    Along,
}

impl Scene {
    /// Settings of the plugin, by the parameters' ids.
    fn settings(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Answer => &[
                ("thru", "Off"),
                ("mode", "Continue"),
                ("enter", "Bar"),
                ("gap", "2"),
            ],
            // As the preset *Bass and Drums for a Pianist*.
            Self::Along => &[
                ("thru", "Off"),
                ("mode", "Along"),
                ("in_part", "Keys"),
                ("play_bass", "On"),
                ("play_drums", "On"),
                ("out_bass", "2"),
                ("out_drums", "10"),
                ("low_bass", "E1"),
                ("high_bass", "G3"),
                ("voices_bass", "1"),
            ],
        }
    }
}

/// The part that plays on a channel, counted from 0.
fn part(channel: u8) -> Part {
    match channel {
        1 => Part::Bass,
        9 => Part::Drums,
        _ => Part::Keys,
    }
}

/// Result of a run.
pub(crate) struct Performance {
    /// The notes heard: those of the opening, or what was found in its sound.
    pub(crate) heard: Score,
    pub(crate) played: Score,
    /// The plugin's earliest entry, in steps.
    pub(crate) entry: u32,
    pub(crate) took: Duration,
    pub(crate) report: HealthReport,
}

/// Plays the opening to the plugin, which reports to the file `report`.
pub(crate) fn perform(
    options: &Options,
    opening: &Opening,
    scene: Scene,
    report: &Path,
) -> Result<Performance> {
    let bundle = options.bundle.clone();
    let bundle = bundle.unwrap_or_else(|| artifacts::target_dir().join("bundled/Continuo.clap"));
    let score = &opening.score;
    let beats = |step: u32| f64::from(step) / f64::from(score.steps_per_beat);
    let tempos = match options.bpm {
        Some(bpm) => vec![(0.0, bpm)],
        None => score
            .tempos
            .changes()
            .iter()
            .map(|&(step, bpm)| (beats(step), bpm))
            .collect(),
    };
    let setup = Setup {
        sample_rate: SAMPLE_RATE,
        blocks: Blocks::Fixed(BLOCK),
        tempos,
        time_signatures: score.time_signatures.clone(),
        mode: if options.realtime {
            Mode::Realtime
        } else {
            Mode::Offline
        },
    };
    let notes = match options.sound {
        true => Vec::new(),
        false => track(score),
    };
    let mut daw = Daw::new(Format::Clap.load(&bundle)?, setup, &notes)?;
    let seed = options.seed.to_string();
    daw.set(scene.settings())?;
    daw.set(&[("seed", &seed)])?;

    // Turns as long as the opening follow it without a gap. A longer answer, or one to sound, begins on the
    // first bar line after two beats of silence. Silence in sound is known up to EAR_SECONDS late.
    let turn = opening.bars();
    let takes_turns = scene == Scene::Answer && !options.sound && options.bars <= turn;
    if takes_turns {
        daw.set(&[("mode", "Trade"), ("bars", &turn.to_string())])?;
    }
    let bpm = options
        .bpm
        .unwrap_or_else(|| score.tempos.bpm(opening.begin));
    let late = match options.sound {
        true => (EAR_SECONDS * bpm / 60.0 * f64::from(score.steps_per_beat)) as u32,
        false => 0,
    };
    let bar_after = |step| score.time_signatures.next_bar(step);
    let (entry, end) = match scene {
        Scene::Answer => {
            let entry = match takes_turns {
                true => opening.end,
                false => bar_after(opening.end + 2 * score.steps_per_beat + late),
            };
            let end = (0..options.bars).fold(entry, |bar, _| bar_after(bar + 1));
            (entry, end)
        }
        Scene::Along => (opening.begin, opening.end),
    };
    daw.seek(beats(opening.begin));
    daw.run_stopped(u64::from(BLOCK))?;
    if options.sound {
        daw.set(&[("listen", "Audio")])?;
        let sound = sound::render(score, opening.begin, bpm, SAMPLE_RATE);
        daw.set_side_chain(Some(sound));
    }
    let (start, first) = (Instant::now(), daw.now());
    let mut pace = |sample: u64| {
        if options.realtime {
            let due = Duration::from_secs_f64((sample - first) as f64 / SAMPLE_RATE);
            std::thread::sleep(due.saturating_sub(start.elapsed()));
        }
    };
    daw.play_paced(beats(end), &mut pace)?;
    daw.run_stopped(u64::from(BLOCK))?;
    let took = start.elapsed();
    let notes = assertions::pair_notes(daw.sent())?;
    let played = to_score(&notes, daw.clock(), score, end);
    let mut heard = score.clone();
    if options.sound {
        heard.notes = sound::heard(Format::Clap, &daw.plugin().save()?)?;
        heard.normalise();
    }
    daw.finish()?;

    Ok(Performance {
        heard,
        played,
        entry,
        took,
        report: HealthReport::read(report)?,
    })
}

/// The notes as a score, each on its nearest step, with bars and tempo of another score.
fn to_score(notes: &[PairedNote], clock: &Clock, like: &Score, end: u32) -> Score {
    let mut score = Score {
        notes: Vec::new(),
        length: end,
        ..like.clone()
    };
    let step = |sample: u64| {
        (clock.beat(sample) * f64::from(like.steps_per_beat))
            .round()
            .max(0.0) as u32
    };
    for note in notes {
        let start = step(note.on);
        score.notes.push(Note {
            start,
            length: step(note.off).saturating_sub(start).max(1),
            pitch: note.key,
            velocity: (note.velocity * 127.0).round().clamp(1.0, 127.0) as u8,
            part: part(note.channel),
        });
    }
    score.normalise();
    score
}
