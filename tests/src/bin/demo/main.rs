//! The demo: plays the opening of a tune to the built CLAP in a host, lets it continue, and writes input and
//! output as MIDI, sound and picture.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use clap::Parser;
use continuo_files::{Output, Replace, ScratchFolder, kind};
use continuo_score::roll::{self, RollPart};
use continuo_score::{Note, Score};
use continuo_synth::wav;
use continuo_tests::artifacts;
use continuo_tests::assertions::{self, PairedNote};
use continuo_tests::clock::Clock;
use continuo_tests::daw::{Blocks, Daw, Setup, track};
use continuo_tests::health_report::HealthReport;
use continuo_tests::host::{Format, Mode};
use continuo_tests::sound;

use self::opening::Opening;

mod opening;

/// Sample rate in Hz.
const SAMPLE_RATE: f64 = 48_000.0;
/// Time in seconds after which silence in sound is known at the latest.
const EAR_SECONDS: f64 = 1.5;
/// Block length in samples: ten milliseconds.
const BLOCK: u32 = 480;

/// Plays the opening of a tune to Continuo, lets it continue, and writes heard.mid, played.mid,
/// both.mid, both.wav and roll.png.
#[derive(Parser)]
#[command(name = "demo")]
struct Options {
    /// MIDI file to play instead of the tune that comes with Continuo
    #[arg(long, value_name = "FILE")]
    midi: Option<PathBuf>,
    /// Number of bars to generate
    #[arg(long, value_name = "N", default_value_t = 16)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1000))]
    bars: u32,
    /// Tempo in quarter notes a minute [default: the tune's own]
    #[arg(long, value_name = "X", value_parser = tempo)]
    bpm: Option<f64>,
    /// Seed: the same seed gives the same notes
    #[arg(long, value_name = "N", default_value_t = 1)]
    #[arg(value_parser = clap::value_parser!(u32).range(0..=9999))]
    seed: u32,
    /// Play the opening as sound to the side chain instead of as MIDI
    #[arg(long)]
    sound: bool,
    /// Play in real time instead of as fast as possible
    #[arg(long)]
    realtime: bool,
    /// Folder for the files [default: target/demo]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// CLAP plugin to load [default: target/bundled/Continuo.clap]
    #[arg(long, value_name = "FILE")]
    bundle: Option<PathBuf>,
}

fn tempo(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(bpm) if (10.0..=500.0).contains(&bpm) => Ok(bpm),
        _ => Err("a tempo is a number from 10 to 500".into()),
    }
}

fn main() {
    if let Err(error) = run(&Options::parse()) {
        eprintln!("error: {error:#}");
        std::process::exit(1);
    }
}

fn run(options: &Options) -> Result<()> {
    let opening = match &options.midi {
        None => Opening::of_the_minuet(),
        Some(path) => Opening::of_file(path)?,
    };
    let out = options
        .out
        .clone()
        .unwrap_or_else(|| artifacts::target_dir().join("demo"));
    let make_out = || format!("cannot make the folder {}", out.display());
    fs::create_dir_all(&out).with_context(make_out)?;
    let outputs = Outputs::check(&out)?;
    // The plugin's report is temporary; other files in the output folder stay.
    let scratch = ScratchFolder::within(&out)?;
    let performance = perform(options, &opening, &scratch.path().join("report.json"))?;
    if let Some(problem) = performance.report.problem() {
        bail!("the plugin could not continue: {problem}");
    }
    write(&outputs, &opening, &performance)?;
    print_table(options, &opening, &performance, &out);
    ensure!(
        !performance.played.notes.is_empty(),
        "the plugin played nothing; try another --seed"
    );
    Ok(())
}

/// Result of the run.
struct Performance {
    /// The notes heard: those of the opening, or what was found in its sound.
    heard: Score,
    played: Score,
    /// The plugin's earliest entry, in steps.
    entry: u32,
    took: Duration,
    report: HealthReport,
}

/// Plays the opening to the plugin and lets it continue.
fn perform(options: &Options, opening: &Opening, report: &Path) -> Result<Performance> {
    // SAFETY: this process has no other thread yet.
    unsafe { std::env::set_var("CONTINUO_REPORT", std::path::absolute(report)?) };

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
    daw.set(&[
        ("thru", "Off"),
        ("mode", "Continue"),
        ("enter", "Bar"),
        ("gap", "2"),
    ])?;
    daw.set(&[("seed", &seed)])?;

    // The plugin enters on the first bar line after two beats of silence. Silence in sound is known up to
    // EAR_SECONDS late.
    let bpm = options
        .bpm
        .unwrap_or_else(|| score.tempos.bpm(opening.begin));
    let late = match options.sound {
        true => (EAR_SECONDS * bpm / 60.0 * f64::from(score.steps_per_beat)) as u32,
        false => 0,
    };
    let entry = score
        .time_signatures
        .next_bar(opening.end + 2 * score.steps_per_beat + late);
    let end = (0..options.bars).fold(entry, |bar, _| score.time_signatures.next_bar(bar + 1));
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
            ..Note::default()
        });
    }
    score.normalise();
    score
}

/// The output files, checked before the plugin plays.
struct Outputs {
    heard: Output,
    played: Output,
    both: Output,
    sound: Output,
    picture: Output,
}

impl Outputs {
    fn check(out: &Path) -> Result<Self> {
        let file = |name: &str, kind| Output::check(&out.join(name), kind, Replace::SameKind);
        Ok(Self {
            heard: file("heard.mid", &kind::MIDI)?,
            played: file("played.mid", &kind::MIDI)?,
            both: file("both.mid", &kind::MIDI)?,
            sound: file("both.wav", &kind::WAV)?,
            picture: file("roll.png", &kind::PNG)?,
        })
    }
}

fn write(outputs: &Outputs, opening: &Opening, performance: &Performance) -> Result<()> {
    let Performance { heard, played, .. } = performance;
    outputs.heard.write(&heard.to_midi().to_bytes()?)?;
    outputs.played.write(&played.to_midi().to_bytes()?)?;
    // Both parts get the length of the longer one.
    let whole = Score {
        length: played.length.max(heard.length),
        ..heard.clone()
    };
    let both = Score::parts_to_midi(&[("heard", &whole), ("played", played)]);
    outputs.both.write(&both.to_bytes()?)?;
    // The sound has the opening as it sounded.
    let opened = Score {
        length: whole.length,
        ..opening.score.clone()
    };
    let both = Score::parts_to_midi(&[("heard", &opened), ("played", played)]);
    wav::write_wav(
        &both,
        0..both.end,
        &outputs.sound,
        SAMPLE_RATE as u32,
        &mut |_| (),
    )?;
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
    let title = format!("Continuo plays on: {}", opening.title);
    let picture = roll::draw(&title, &parts)?;
    Ok(outputs.picture.write(&picture)?)
}

fn print_table(options: &Options, opening: &Opening, performance: &Performance, out: &Path) {
    let Performance { played, report, .. } = performance;
    let score = &performance.heard;
    let bars = |from: u32, to: u32| {
        score
            .time_signatures
            .bar_lines(to)
            .into_iter()
            .filter(|&line| line >= from)
            .count()
    };
    let metre = score.time_signatures.time_signature(opening.begin);
    let bpm = options
        .bpm
        .unwrap_or_else(|| score.tempos.bpm(opening.begin));
    let bpm = (bpm * 100.0).round() / 100.0;
    let time = |ms: Option<f64>| ms.map_or("-".to_string(), |ms| format!("{ms:.2}"));
    let or_none = |text: &Option<String>| text.clone().unwrap_or_else(|| "none".to_string());
    let pace = if options.realtime {
        "by the clock"
    } else {
        "offline"
    };
    let rows = [
        ("tune", opening.title.clone()),
        (
            "metre, tempo",
            format!("{}/{}, {bpm} BPM", metre.numerator, metre.denominator),
        ),
        (
            "notes heard",
            format!(
                "{} in {} bars{}",
                score.notes.len(),
                bars(opening.begin, opening.end),
                if options.sound {
                    format!(
                        ", found in sound; {} were played",
                        opening.score.notes.len()
                    )
                } else {
                    String::new()
                }
            ),
        ),
        (
            "notes played",
            format!(
                "{} in {} bars",
                played.notes.len(),
                bars(performance.entry, played.length)
            ),
        ),
        (
            "ms per token",
            format!(
                "{} median, {} p95 ({} tokens)",
                time(report.ms_per_token_median),
                time(report.ms_per_token_p95),
                report.tokens
            ),
        ),
        (
            "notes late, dropped",
            format!("{}, {}", report.late, report.dropped),
        ),
        ("messages lost", report.overflow.to_string()),
        ("device", or_none(&report.device)),
        (
            "model",
            format!("{} ({})", or_none(&report.model), or_none(&report.variant)),
        ),
        (
            "took",
            format!(
                "{:.1} s, {pace}, seed {}",
                performance.took.as_secs_f64(),
                options.seed
            ),
        ),
        (
            "written",
            format!(
                "heard.mid played.mid both.mid both.wav roll.png in {}",
                out.display()
            ),
        ),
    ];
    println!("Continuo plays on");
    for (name, value) in rows {
        println!("  {name:<20} {value}");
    }
}
