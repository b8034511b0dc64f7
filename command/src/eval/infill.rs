//! `continuo eval --infill N`: the loss of the bar after a filled one, by number of candidates.

use anyhow::{Result, ensure};
use continuo_cli::{Progress, print};
use continuo_engine::loss::nats;
use continuo_engine::model::InputToken;
use continuo_engine::{Composer, Infill, Memory, Model, Sampling};
use continuo_score::midi::Pedal;
use continuo_score::{Note, NoteState, Score, TokenSequence};
use serde::Serialize;
use std::sync::Arc;

use super::Args;
use crate::inputs::{Wanted, find, read_all};

/// Number of bars before the filled one that are read.
const CONTEXT: u32 = 16;

/// A bar taken out of a piece. Positions are steps of `before`.
struct Gap {
    /// Notes before the bar.
    before: Score,
    /// First step of the bar, the step after the bar, and the step after the next bar.
    lines: [u32; 3],
    /// Notes of the bar in the piece.
    own: Vec<Note>,
    /// Notes after the bar.
    following: Vec<Note>,
}

impl Gap {
    /// Takes out the first bar from the middle of a piece on that has notes before a bar that has
    /// notes too. Returns `None` if there is none.
    fn of(piece: &Score) -> Option<Self> {
        let lines = piece.time_signatures.bar_lines(piece.length);
        let middle = lines.len() / 2;
        let has_notes = |from, until| {
            let mut notes = piece.notes.iter();
            notes.any(|note| (from..until).contains(&note.start))
        };
        let found = lines.windows(3).skip(middle.max(1));
        let found = found.map(|lines| [lines[0], lines[1], lines[2]]);
        let mut found =
            found.filter(|&[bar, next, end]| has_notes(bar, next) && has_notes(next, end));
        let lines = found.next()?;
        let origin = piece.bars_before(lines[0], CONTEXT);
        let near = piece.from_step(origin);
        let [bar, next, end] = lines.map(|line| line - origin);
        let (mut before, mut own, mut following) = (near.clone(), Vec::new(), Vec::new());
        before.notes.retain(|note| note.start < bar);
        for note in &near.notes {
            if (bar..next).contains(&note.start) {
                own.push(*note);
            } else if note.start >= next {
                following.push(*note);
            }
        }
        Some(Self {
            before,
            lines: [bar, next, end],
            own,
            following,
        })
    }
}

/// Losses with one way to fill the bars.
#[derive(Default, Serialize)]
struct Filling {
    /// Number of candidates; `None` for the bars that the pieces have.
    candidates: Option<u32>,
    /// Notes in the filled bars.
    filled_notes: usize,
    /// Sum of the losses of the bars after the filled ones, in nats.
    nats: f64,
    /// Loss of each bar after a filled one, in nats a note.
    bars: Vec<f64>,
}

/// Measures the loss of the bar that follows each of three fillings: the piece's own notes, one
/// candidate, and the best of several.
pub(super) fn run(args: &Args, model: &Arc<Model>, count: usize) -> Result<()> {
    let files = find(&args.files, Wanted::Midi)?;
    let steps_per_beat = model.vocabulary().steps_per_beat;
    let pieces = read_all(&files, |file| {
        let chosen = args.selection.read(file, Pedal::Ignore, steps_per_beat)?;
        let vocabulary = model.vocabulary();
        let score = chosen.score_merged_or_for(args.merge, vocabulary);
        Ok(score.quantise(vocabulary))
    })?;
    let gaps: Vec<Gap> = pieces.iter().filter_map(Gap::of).collect();
    // The measured gaps are spread over all pieces.
    let count = count.min(gaps.len());
    let gaps: Vec<&Gap> = (0..count).map(|n| &gaps[n * gaps.len() / count]).collect();
    ensure!(
        !gaps.is_empty(),
        "none of the {} pieces has two successive bars with notes between its middle and its last \
         bar; name longer pieces",
        pieces.len()
    );
    let mut fillings = [None, Some(1), Some(args.candidates)].map(|candidates| Filling {
        candidates,
        ..Filling::default()
    });
    let mut following_notes = 0;
    let progress = Progress::new("filling", "bars", gaps.len() as u64);
    for gap in gaps {
        let [bar, next, end] = gap.lines;
        let mut composer = Composer::new(model.clone());
        composer.set_recall(args.recall);
        composer.listen(&gap.before)?;
        let seam: Vec<Note> = (gap.following.iter().copied())
            .filter(|note| note.start < end)
            .collect();
        following_notes += seam.len();
        let mut reader = Reader::new(model, args.recall);
        for filling in &mut fillings {
            let notes = match filling.candidates {
                None => gap.own.clone(),
                Some(candidates) => {
                    let infill = Infill {
                        from: bar,
                        until: next,
                        following: gap.following.clone(),
                        staying: Vec::new(),
                        candidates,
                        sampling: Sampling::default(),
                        seed: args.seed,
                        own: Vec::new(),
                    };
                    composer.infill(infill)?.notes
                }
            };
            let nats = reader.loss(&gap.before, &notes, &seam)?;
            filling.filled_notes += notes.len();
            filling.nats += nats;
            filling.bars.push(nats / seam.len() as f64);
        }
        progress.add(1);
    }
    drop(progress);
    report(args, model, following_notes, &fillings)
}

fn report(args: &Args, model: &Model, notes: usize, fillings: &[Filling; 3]) -> Result<()> {
    if args.json {
        let report = serde_json::json!({
            "model": model.manifest().name, "variant": model.variant(),
            "device": model.device().name(), "recall": args.recall, "seed": args.seed,
            "bars": fillings[0].bars.len(), "following_notes": notes, "fillings": fillings,
        });
        return print(&format!("{report:#}\n"));
    }
    let bars = fillings[0].bars.len();
    let mut text = format!("{bars} bars filled; the bars after them have {notes} notes\n\n");
    text += "| the bar is filled with | notes | nats a note in the next bar | better than one \
             candidate |\n";
    text += "|---|---|---|---|\n";
    for filling in fillings {
        let name = match filling.candidates {
            None => "its own notes".to_string(),
            Some(1) => "one candidate".into(),
            Some(count) => format!("the best of {count}"),
        };
        let pairs = filling.bars.iter().zip(&fillings[1].bars);
        let better = pairs.filter(|(own, one)| own < one).count();
        text += &format!(
            "| {name} | {} | {:.3} | {better} of {bars} |\n",
            filling.filled_notes,
            filling.nats / notes as f64,
        );
    }
    print(&text)
}

/// Reads variants of a piece with one memory. Each variant is read from its first difference to the
/// previous one.
struct Reader<'a> {
    model: &'a Model,
    recall: f32,
    memory: Memory,
    read: Vec<InputToken>,
}

impl<'a> Reader<'a> {
    fn new(model: &'a Model, recall: f32) -> Self {
        Self {
            model,
            recall,
            memory: model.memory(),
            read: Vec::new(),
        }
    }

    /// Returns the loss of `seam` in nats, after `before` and `notes`.
    fn loss(&mut self, before: &Score, notes: &[Note], seam: &[Note]) -> Result<f64> {
        let mut score = before.clone();
        score.notes.extend_from_slice(notes);
        score.normalise();
        let from = self.tokens(&score).len();
        score.notes.extend_from_slice(seam);
        score.normalise();
        let tokens = self.tokens(&score);
        let same = self.read.iter().zip(&tokens).take_while(|(a, b)| a == b);
        // The last token before the seam is read again for its prediction.
        let kept = self.memory.rewind(same.count().min(from - 1))?;
        let logits = self
            .model
            .forward(&mut self.memory, &tokens[kept..], self.recall)?;
        let size = self.model.sizes().vocabulary;
        let loss = (from..tokens.len()).map(|at| {
            let logits = &logits[(at - 1 - kept) * size..(at - kept) * size];
            nats(logits, usize::from(tokens[at].id))
        });
        let loss = loss.sum();
        self.read = tokens;
        Ok(loss)
    }

    fn tokens(&self, score: &Score) -> Vec<InputToken> {
        let vocabulary = self.model.vocabulary();
        let ids = TokenSequence::encode_open(score, vocabulary).positioned_ids(vocabulary);
        (self.model).input_tokens(&ids, &score.time_signatures, &mut NoteState::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gap_is_the_middle_bar_with_notes_around_it() {
        let note = |start| Note {
            start,
            length: 12,
            pitch: 60,
            velocity: 80,
            ..Note::default()
        };
        let mut piece = Score::new(12);
        piece.notes = [0, 48, 96, 192, 240, 264, 300, 336].map(note).to_vec();
        piece.normalise();
        let gap = Gap::of(&piece).unwrap();
        // Eight bars; the middle one, at 192, has notes, and so has the next.
        assert_eq!(gap.lines, [192, 240, 288]);
        assert_eq!((gap.before.notes.len(), gap.own.len()), (3, 1));
        assert_eq!(gap.following[0].start, 240);
        piece.notes.truncate(1);
        piece.length = 48;
        assert!(Gap::of(&piece).is_none());
    }
}
