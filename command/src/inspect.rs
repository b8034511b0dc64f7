//! Command `continuo inspect FILE [--chords] [--json]`: lists the content of a MIDI file.

mod chords;

use std::path::{Path, PathBuf};

use anyhow::Result;
use continuo_cli::print;
use continuo_score::midi::{MidiFile, MidiNote, Pedal};
use continuo_score::tune::pitch_name;
use continuo_score::{Drums, Score, Vocabulary, midi_tracks};
use serde_json::{Value, json};

use self::chords::Chords;
use super::input_selection::{InputSelection, SelectedFile};
use super::inputs::text;

/// List the notes, parts, bars and tempo of a MIDI file, and its irregularities
///
/// Each track is listed with the part it plays in a band (keys, lead, chords, bass, drums) and the
/// rule that decided it: drum channel, program, name, or texture. The options of tracks, channels,
/// bars and pedal choose the listed notes and parts, and the number of bars ends with them. Time
/// signature, tempo and seconds are those of the whole file.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// MIDI file (.mid, .midi, .kar, .rmi), or a recording (.wav, .flac)
    file: PathBuf,
    /// Print everything as JSON, with each note; times are in ticks
    #[arg(long)]
    json: bool,
    /// Print the chord of every beat too, recognised from the notes
    #[arg(long)]
    chords: bool,
    #[command(flatten)]
    selection: InputSelection,
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> Result<()> {
    let steps = Vocabulary::continuo().steps_per_beat;
    let chosen = args.selection.read(&args.file, Pedal::Ignore, steps)?;
    let SelectedFile { file, name, .. } = &chosen;
    let score = Score::from_midi(file, steps, Drums::Keep);
    let pitches = args
        .chords
        .then(|| Score::from_midi(file, steps, Drums::Drop));
    let chords = pitches
        .as_ref()
        .map(|pitches| Chords::new(pitches, chosen.origin));
    if args.json {
        let report = Report {
            about: about(args, file, &score),
            harmony: chords.map(|chords| chords.as_json(|step| chosen.tick(step))),
            notes: &file.notes,
        };
        print(&(serde_json::to_string(&report)? + "\n"))
    } else {
        let chords = chords.map_or(String::new(), |chords| chords.as_text());
        print(&(as_text(name, file, &score) + &chords))
    }
}

/// Returns the number of bars up to the end of the last note; that bar counts whole.
fn bars(score: &Score) -> u32 {
    match score.notes.iter().map(|n| n.end()).max() {
        Some(end) => score.time_signatures.position(end.saturating_sub(1)).bar + 1,
        None => 0,
    }
}

/// Report of `--json`, which is printed on one line.
#[derive(serde::Serialize)]
struct Report<'a> {
    #[serde(flatten)]
    about: Value,
    /// Key and chords, with `--chords`.
    #[serde(skip_serializing_if = "Option::is_none")]
    harmony: Option<Value>,
    notes: &'a [MidiNote],
}

fn about(args: &Args, file: &MidiFile, score: &Score) -> Value {
    let parts = midi_tracks(file, score.steps_per_beat, Drums::Keep);
    let parts = parts.iter().map(|track| {
        json!({
            "name": track.name, "track": track.track, "channel": track.channel,
            "drums": track.drums, "program": track.program, "notes": track.notes.len(),
            "part": track.part, "rule": track.rule.to_string(),
        })
    });
    let names = 0..file.tracks.len().min(usize::from(u16::MAX)) as u16;
    let names: Vec<String> = names.map(|track| file.name(track)).collect();
    let tempos = file.tempos.iter().map(|&(tick, micros)| {
        json!({ "tick": tick, "micros_per_beat": micros, "bpm": 60e6 / f64::from(micros) })
    });
    let time_signatures = file.time_signatures.iter().map(|&(tick, metre)| {
        json!({ "tick": tick, "numerator": metre.numerator, "denominator": metre.denominator })
    });
    json!({
        "file": text(&args.file), "type": file.format, "ticks_per_beat": file.ticks_per_beat,
        "end": file.end, "seconds": file.seconds(), "bars": bars(score),
        "tracks": names, "text_encoding": file.encoding.name(), "parts": parts.collect::<Vec<_>>(),
        "tempos": tempos.collect::<Vec<_>>(), "metres": time_signatures.collect::<Vec<_>>(),
        "warnings": file.warnings,
    })
}

/// Greatest number of changes that are listed; the others are only counted.
const MOST: usize = 12;

fn as_text(name: &Path, file: &MidiFile, score: &Score) -> String {
    let drums = file.notes.iter().filter(|n| file.is_drum(n)).count();
    let mut words = format!(
        "{}: type {}, {} tracks, {} ticks a beat; {} notes ({drums} of them drums), {} bars, \
         {:.1} s\n",
        name.display(),
        file.format,
        file.tracks.len(),
        file.ticks_per_beat,
        file.notes.len(),
        bars(score),
        file.seconds(),
    );
    let at = |step| {
        let place = score.time_signatures.position(step);
        let beat = f64::from(place.step_in_bar) / f64::from(score.steps_per_beat);
        match beat == 0.0 {
            true => format!("bar {}", place.bar + 1),
            false => format!("bar {} + {beat:.2} beats", place.bar + 1),
        }
    };
    let time_signatures = score.time_signatures.changes();
    let time_signatures =
        time_signatures.map(|(step, m)| (step, format!("{}/{}", m.numerator, m.denominator)));
    list(
        &mut words,
        "metre",
        time_signatures.map(|(step, m)| format!("{m} from {}", at(step))),
    );
    let tempos = score.tempos.changes().iter();
    list(
        &mut words,
        "tempo",
        tempos.map(|&(step, bpm)| format!("{bpm:.1} from {}", at(step))),
    );
    let parts = midi_tracks(file, score.steps_per_beat, Drums::Keep);
    let parts = parts.iter().map(|track| {
        let pitches = || track.notes.iter().map(|n| n.pitch);
        // A track has at least one note.
        let (low, high) = (pitches().min().unwrap_or(0), pitches().max().unwrap_or(0));
        let range = match track.part.is_pitched() {
            true => format!("{} to {}", pitch_name(low), pitch_name(high)),
            false => format!("keys {low} to {high}"),
        };
        format!(
            "{}, track {} {:?}, channel {}: {} notes, {range} ({})",
            track.part,
            track.track,
            track.name,
            track.channel + 1,
            track.notes.len(),
            track.rule,
        )
    });
    for part in parts {
        words += &format!("  part: {part}\n");
    }
    for warning in &file.warnings {
        words += &format!("  warning: {warning}\n");
    }
    words
}

fn list(text: &mut String, what: &str, items: impl Iterator<Item = String>) {
    let mut more = 0;
    for (index, item) in items.enumerate() {
        match index < MOST {
            true => *text += &format!("  {what}: {item}\n"),
            false => more += 1,
        }
    }
    if more > 0 {
        *text += &format!("  {what}: and {more} more\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use continuo_score::{Note, Part};

    #[test]
    fn every_track_is_listed_with_its_part_and_the_rule() {
        let note = |part, pitch| Note {
            length: 6,
            pitch,
            part,
            ..Note::default()
        };
        let mut score = Score::new(12);
        score.notes = vec![note(Part::Bass, 40), note(Part::Drums, 36)];
        score.notes.push(note(Part::Lead, 72));
        score.normalise();
        let text = as_text(Path::new("band.mid"), &score.to_midi(), &score);
        for line in [
            "part: lead, track 0 \"lead\", channel 2: 1 notes, C5 to C5 (name: \"lead\")",
            "part: bass, track 1 \"bass\", channel 4: 1 notes, E2 to E2 (program 34)",
            "part: drums, track 2 \"drums\", channel 10: 1 notes, keys 36 to 36 (drum channel)",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
    }
}
