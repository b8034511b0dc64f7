//! Compares recognised chords with the annotations of POP909, the repository
//! `music-x-lab/POP909-Dataset`:
//!
//! ```sh
//! cargo run --release -p continuo-score --example chord_agreement -- POP909-Dataset/POP909
//! ```
//!
//! Each song's notes go onto the beats of `beat_midi.txt`, and the chords recognised on them are
//! compared with `chord_midi.txt`. A figure is the share of the annotated seconds on which both agree, as
//! in MIREX: *root* counts every second; *major/minor* leaves out annotations whose triad is neither, and
//! sevenths and sixths count as their triad; *bass* wants root and bass; *quality* wants root and the
//! exact quality. No chord is a class of its own. The weights of the recognition were fitted on every
//! tenth song; so that tenth has a line of its own.

use std::error::Error;
use std::path::{Path, PathBuf};

use continuo_score::chord::{Chord, Quality, recognise};
use continuo_score::midi::{self, MidiFile};
use continuo_score::{Note, Score, TimeSignature, TimeSignatureMap};

/// Steps in a beat.
const STEPS: u32 = 12;

fn main() -> Result<(), Box<dyn Error>> {
    let folder: PathBuf = std::env::args_os()
        .nth(1)
        .ok_or("name the folder POP909 of the data set")?
        .into();
    let mut fitted = Agreement::default();
    let mut others = Agreement::default();
    for number in 1..=909 {
        let name = format!("{number:03}");
        let song = folder.join(&name);
        if !song.exists() {
            continue;
        }
        let agreement = if number % 10 == 0 {
            &mut fitted
        } else {
            &mut others
        };
        compare(&song, &name, agreement).map_err(|e| format!("{}: {e}", song.display()))?;
    }
    println!("songs                 number  seconds   root  major/minor   bass  quality");
    fitted.print("fitted on");
    others.print("not fitted on");
    Ok(())
}

/// Seconds on which annotation and recognition agree.
#[derive(Default)]
struct Agreement {
    songs: usize,
    seconds: f64,
    root: f64,
    /// Seconds of annotations that are major, minor or no chord.
    triads: f64,
    major_minor: f64,
    bass: f64,
    quality: f64,
}

impl Agreement {
    fn add(&mut self, seconds: f64, annotated: &Label, heard: Option<Chord>) {
        let both = annotated.chord.zip(heard);
        let neither = annotated.chord.is_none() && heard.is_none();
        let count = |agree: bool| if agree || neither { seconds } else { 0.0 };
        let root = both.is_some_and(|(a, b)| a.0 == b.root);
        self.seconds += seconds;
        self.root += count(root);
        self.bass += count(root && both.is_some_and(|(a, b)| a.1 == b.bass));
        self.quality +=
            count(root && both.is_some_and(|(_, b)| annotated.quality == Some(b.quality)));
        if annotated.chord.is_none() || annotated.triad.is_some() {
            self.triads += seconds;
            let heard = both.and_then(|(_, b)| triad(b.quality));
            self.major_minor += count(root && heard == annotated.triad);
        }
    }

    fn print(&self, name: &str) {
        let share = |part: f64, whole: f64| 100.0 * part / whole.max(1e-9);
        println!(
            "{name:<20} {:>7} {:>8.0} {:>5.1}% {:>11.1}% {:>5.1}% {:>7.1}%",
            self.songs,
            self.seconds,
            share(self.root, self.seconds),
            share(self.major_minor, self.triads),
            share(self.bass, self.seconds),
            share(self.quality, self.seconds),
        );
    }
}

/// The triad of a quality, if it is major or minor.
fn triad(quality: Quality) -> Option<Quality> {
    match quality {
        Quality::Major | Quality::Major7 | Quality::Dominant7 | Quality::Sixth => {
            Some(Quality::Major)
        }
        Quality::Minor | Quality::Minor7 | Quality::MinorSixth => Some(Quality::Minor),
        _ => None,
    }
}

/// An annotated chord, as in `F#:maj7/5`.
struct Label {
    start: f64,
    end: f64,
    /// Root and bass; `None` for no chord.
    chord: Option<(u8, u8)>,
    /// Its quality, if the recognition knows it.
    quality: Option<Quality>,
    triad: Option<Quality>,
}

impl Label {
    fn read(line: &str) -> Option<Self> {
        let mut words = line.split_whitespace();
        let start = words.next()?.parse().ok()?;
        let end = words.next()?.parse().ok()?;
        let name = words.next()?;
        let mut label = Self {
            start,
            end,
            chord: None,
            quality: None,
            triad: None,
        };
        if name == "N" {
            return Some(label);
        }
        let (root, rest) = name.split_once(':')?;
        let root: Chord = root.parse().ok()?;
        let (quality, degree) = rest.split_once('/').unwrap_or((rest, "1"));
        let flats = degree.matches('b').count() as u8;
        let degree: usize = degree.trim_start_matches('b').parse().ok()?;
        let interval = [0, 2, 4, 5, 7, 9, 11].get(degree.checked_sub(1)?)? + 12 - flats;
        label.chord = Some((root.root, (root.root + interval) % 12));
        label.quality = match quality {
            "maj" => Some(Quality::Major),
            "min" => Some(Quality::Minor),
            "dim" => Some(Quality::Diminished),
            "aug" => Some(Quality::Augmented),
            "7" => Some(Quality::Dominant7),
            "maj7" => Some(Quality::Major7),
            "min7" => Some(Quality::Minor7),
            "hdim7" => Some(Quality::HalfDiminished7),
            "dim7" => Some(Quality::Diminished7),
            "sus2" => Some(Quality::Suspended2),
            "sus4" => Some(Quality::Suspended4),
            "maj6" => Some(Quality::Sixth),
            "min6" => Some(Quality::MinorSixth),
            _ => None,
        };
        label.triad = match quality {
            "minmaj7" => Some(Quality::Minor),
            _ => label.quality.and_then(triad),
        };
        Some(label)
    }
}

/// Times of the beats in seconds.
struct Beats(Vec<f64>);

impl Beats {
    fn beat(&self, second: f64) -> f64 {
        let Self(times) = self;
        let after = times.partition_point(|&time| time <= second);
        let index = after.clamp(1, times.len() - 1) - 1;
        index as f64 + (second - times[index]) / (times[index + 1] - times[index])
    }

    fn second(&self, beat: f64) -> f64 {
        let Self(times) = self;
        let index = (beat.max(0.0) as usize).min(times.len() - 2);
        times[index] + (beat - index as f64) * (times[index + 1] - times[index])
    }
}

fn compare(song: &Path, name: &str, agreement: &mut Agreement) -> Result<(), Box<dyn Error>> {
    let file = midi::read_file(&song.join(format!("{name}.mid")))?;
    let lines = std::fs::read_to_string(song.join("beat_midi.txt"))?;
    let columns = |line: &str| -> Option<(f64, bool)> {
        let mut words = line.split_whitespace().map(str::parse::<f64>);
        let time = words.next()?.ok()?;
        Some((time, words.nth(1)?.ok()? > 0.5))
    };
    let beats: Vec<(f64, bool)> = lines.lines().filter_map(columns).collect();
    let bar_lines: Vec<usize> = (0..beats.len()).filter(|&beat| beats[beat].1).collect();
    let [first, second, ..] = bar_lines[..] else {
        return Err("no bar lines".into());
    };
    let beats = Beats(beats.into_iter().map(|(time, _)| time).collect());
    let bar = second - first;
    // Bars before the first bar line, so that no note is negative.
    let offset = (2 * bar - first % bar) as f64;

    let mut score = Score::new(STEPS);
    let metre = TimeSignature {
        numerator: bar as u16,
        denominator: 4,
    };
    score.time_signatures = TimeSignatureMap::constant(metre, STEPS);
    let step = |tick| {
        let beat = beats.beat(seconds(&file, tick)) + offset;
        (beat * f64::from(STEPS)).round().max(0.0) as u32
    };
    score.notes = file
        .notes
        .iter()
        .map(|note| {
            let start = step(note.start);
            Note {
                start,
                length: step(note.end).saturating_sub(start).max(1),
                pitch: note.pitch,
                velocity: note.velocity,
                ..Note::default()
            }
        })
        .collect();
    score.normalise();

    let chords = recognise(&score);
    let time = |step: u32| beats.second(f64::from(step) / f64::from(STEPS) - offset);
    let labels = std::fs::read_to_string(song.join("chord_midi.txt"))?;
    for label in labels.lines().filter_map(Label::read) {
        // Outside of the notes nothing sounds.
        let mut silent = label.end - label.start;
        for span in &chords {
            let (start, end) = (
                time(span.start).max(label.start),
                time(span.end).min(label.end),
            );
            if start < end {
                silent -= end - start;
                agreement.add(end - start, &label, span.chord);
            }
        }
        agreement.add(silent.max(0.0), &label, None);
    }
    agreement.songs += 1;
    Ok(())
}

/// The time of a tick.
fn seconds(file: &MidiFile, tick: u64) -> f64 {
    let until = MidiFile {
        end: tick,
        notes: Vec::new(),
        ..file.clone()
    };
    until.seconds()
}
