//! Command `continuo view FILE -o roll.png`: draws a piano roll.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use continuo_cli::Force;
use continuo_files::{Output, kind};
use continuo_score::midi::Pedal;
use continuo_score::roll::{self, RollPart};
use continuo_score::{Drums, PartSet, Scale, Score, Vocabulary, chord, midi_tracks};

use super::input_selection::{InputSelection, SelectedFile};

/// Draw a MIDI file as a piano roll, with the chords above it
///
/// Notes are coloured by part: keys, lead, chords, bass and drums, as `inspect` names them. A file
/// that has one part is coloured by track. For sheet music, `continuo notate` writes MusicXML, which
/// MuseScore opens and Verovio draws.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// MIDI file to draw, or a recording (WAV, FLAC)
    file: PathBuf,
    /// PNG file to write
    #[arg(short, long, required_unless_present = "notation")]
    output: Option<PathBuf>,
    /// Says how to get sheet music, which `continuo notate` writes and another program draws
    #[arg(long)]
    notation: bool,
    #[command(flatten)]
    force: Force,
    #[command(flatten)]
    selection: InputSelection,
}

/// RGB colours of the tracks of a file that has one part; the last one is shared by all further
/// tracks.
const COLOURS: [[u8; 3]; 8] = [
    roll::INPUT_COLOUR,
    roll::GENERATED_COLOUR,
    [120, 210, 130],
    [226, 120, 190],
    [190, 160, 255],
    [232, 214, 96],
    [96, 214, 214],
    [222, 110, 100],
];

/// Runs the command.
pub(crate) fn run(args: &Args) -> Result<()> {
    let Some(output) = args.output.as_ref().filter(|_| !args.notation) else {
        let notation = args.output.as_ref().unwrap_or(&args.file);
        let notation = notation.with_extension("musicxml");
        let (input, notation) = (args.file.display(), notation.display());
        bail!(
            "--notation: Continuo draws no sheet music; `continuo notate {input} -o {notation}` \
             writes it, MuseScore opens it, and `verovio {notation}` draws it as SVG"
        );
    };
    let output = Output::check(output, &kind::PNG, args.force.replace())?;
    let steps = Vocabulary::continuo().steps_per_beat;
    let chosen = args.selection.read(&args.file, Pedal::Ignore, steps)?;
    super::warn(&chosen.name, &chosen.file.warnings);
    let scores = by_part(&chosen, steps);
    let parts = scores.iter().map(|(name, score, colour)| RollPart {
        name,
        score,
        colour: *colour,
    });
    let parts: Vec<RollPart> = parts.collect();
    let title = chosen.name.file_stem().unwrap_or_default();
    let chords = chords(&chosen.score(Drums::Drop));
    let png = roll::draw_from(&title.to_string_lossy(), &parts, chosen.first_bar, &chords);
    let png = png.with_context(|| chosen.name.display().to_string())?;
    Ok(output.write(&png)?)
}

/// Returns the first step and the name of each chord.
fn chords(score: &Score) -> Vec<(u32, String)> {
    let key = Scale::detect(&score.notes, f64::INFINITY);
    let spans = chord::recognise(score).into_iter();
    let named = spans.map(|span| (span.start, chord::name_or_none(span.chord, key)));
    named.collect()
}

/// Returns the name, the score and the RGB colour of each part. A file that has one part is divided
/// into its tracks; from the last colour on, all tracks are one.
fn by_part(chosen: &SelectedFile, steps_per_beat: u32) -> Vec<(String, Score, [u8; 3])> {
    let whole = chosen.score(Drums::Keep);
    let mut tracks = midi_tracks(&chosen.file, steps_per_beat, Drums::Keep);
    for note in tracks.iter_mut().flat_map(|track| &mut track.notes) {
        note.start = note.start.saturating_sub(chosen.origin);
    }
    let played: PartSet = tracks.iter().map(|track| track.part).collect();
    let divided = played.len() < 2;
    let mut parts: Vec<(String, Score, [u8; 3])> = Vec::new();
    let empty = Score {
        notes: Vec::new(),
        ..whole
    };
    let part = |name: String, colour, notes| {
        let mut score = empty.clone();
        score.notes = notes;
        (name, score, colour)
    };
    if divided {
        for track in tracks {
            if let Some(colour) = COLOURS.get(parts.len()) {
                let name = match track.name.trim() {
                    "" => format!("track {}", track.track),
                    name => name.to_string(),
                };
                parts.push(part(name, *colour, track.notes));
            } else if let Some((name, score, _)) = parts.last_mut() {
                *name = "others".into();
                score.notes.extend(track.notes);
            }
        }
    } else {
        for one in played.iter() {
            let own = tracks.iter().filter(|track| track.part == one);
            let notes = own.flat_map(|track| track.notes.iter().copied()).collect();
            parts.push(part(one.to_string(), one.colour(), notes));
        }
    }
    parts.iter_mut().for_each(|(_, score, _)| score.normalise());
    parts
}
