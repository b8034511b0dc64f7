//! Progress of a training on the terminal or in a log.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use continuo_cli::note;
use continuo_trainer::data::corpus::{Corpus, Song};
use continuo_trainer::train::{StepMetrics, TrainEvent};
use indicatif::{ProgressBar, ProgressStyle};

fn notes_per_token(corpus: &Corpus) -> f64 {
    let sum = |f: fn(&Song) -> u64| {
        corpus
            .songs
            .iter()
            .filter(|s| !s.held_out)
            .map(f)
            .sum::<u64>() as f64
    };
    sum(|s| s.notes) / sum(|s| s.tokens).max(1.0)
}

/// A progress bar, or lines if there is no terminal.
pub(super) struct ProgressView {
    bar: ProgressBar,
    lines: bool,
    printed: Option<Instant>,
    notes_per_token: f64,
    /// Whether the corpus has held-out songs.
    has_held_out: bool,
    device: String,
}

impl ProgressView {
    pub(super) fn new(corpus: &Corpus, device: String) -> anyhow::Result<Self> {
        let style = ProgressStyle::with_template("{bar:30} {percent}%  {msg}")?;
        let bar = ProgressBar::new(10_000).with_style(style);
        let lines = !std::io::stderr().is_terminal();
        Ok(Self {
            bar,
            lines,
            printed: None,
            notes_per_token: notes_per_token(corpus),
            has_held_out: corpus.songs.iter().any(|song| song.held_out),
            device,
        })
    }

    pub(super) fn clear(&self) {
        self.bar.finish_and_clear();
    }

    pub(super) fn show(&mut self, event: &TrainEvent<'_>) {
        match event {
            TrainEvent::Begin {
                parameters,
                spent,
                tokens,
            } => {
                note(format_args!(
                    "{parameters} parameters, {tokens} tokens a step, on {}; {:.1} % of the \
                     training done",
                    self.device,
                    spent * 100.0
                ));
                if !self.has_held_out {
                    note(format_args!(
                        "the corpus has no held-out songs, so only the loss in training is measured"
                    ));
                }
            }
            TrainEvent::Step(metrics) => self.step(metrics),
            TrainEvent::Saved(path) => self.say(&format!("saved {}", path.display())),
            TrainEvent::Sampled(path) => self.say(&format!("sample {}", path.display())),
            TrainEvent::Measured(m) => self.say(&format!(
                "held out: {:.3} nats/token ({:.2} a note), {} songs",
                m.nats_per_token, m.nats_per_note, m.songs
            )),
        }
    }

    fn say(&self, line: &str) {
        self.bar.suspend(|| note(line));
    }

    fn step(&mut self, m: &StepMetrics) {
        let text = format!(
            "step {}  loss {:.3} nats/token ({:.2} a note)  {:.0} tokens/s  {} to go",
            m.steps,
            m.smooth_loss,
            m.smooth_loss / self.notes_per_token,
            m.tokens_per_second,
            indicatif::HumanDuration(Duration::from_secs_f64(m.seconds_left.clamp(0.0, 1e9))),
        );
        if self.lines {
            if self
                .printed
                .is_none_or(|at| at.elapsed() > Duration::from_secs(10))
            {
                note(&text);
                self.printed = Some(Instant::now());
            }
        } else {
            self.bar.set_position((m.spent * 10_000.0) as u64);
            self.bar.set_message(text);
        }
    }
}
