//! Command-line options for the chords that an answer follows.

use continuo_cli::number;
use continuo_engine::Sampling;
use continuo_score::{ChordPlan, Score};

/// Greatest number of bars of a loop.
const MOST_BARS: u32 = 64;

/// Options of the chords that an answer follows.
#[derive(clap::Args, Clone, Debug)]
#[command(next_help_heading = "Harmony")]
pub struct HarmonyOptions {
    /// Chords to follow. free: the chords of the model; loop:4: the chords of the last four bars in
    /// a loop
    #[arg(long, value_name = "HARMONY", default_value = "free", value_parser = harmony)]
    harmony: Harmony,
    /// Pull to the chords of the loop: 0 none, 0.5 a bias to their tones on strong beats, 1 their
    /// tones only
    #[arg(long, value_name = "PULL", default_value_t = 0.5,
        value_parser = number(0.0f32, 1.0), requires = "harmony")]
    chord_pull: f32,
}

/// Source of the chords of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Harmony {
    /// The model chooses the chords.
    Free,
    /// The chords of the last `bars` bars of the input repeat.
    Loop { bars: u32 },
}

impl HarmonyOptions {
    /// Returns the sampling settings with the pull; it is 0 if the model chooses the chords.
    pub fn sampling(&self, mut sampling: Sampling) -> Sampling {
        sampling.constraints.chord_pull = match self.harmony {
            Harmony::Free => 0.0,
            Harmony::Loop { .. } => self.chord_pull,
        };
        sampling
    }

    /// Returns the chords of an answer to `score` that begins at step `at`; `None` if
    /// the model chooses them.
    pub fn plan(&self, score: &Score, at: u32) -> Option<ChordPlan> {
        match self.harmony {
            Harmony::Free => None,
            Harmony::Loop { bars } => Some(ChordPlan::last_bars(score, at, bars)),
        }
    }
}

fn harmony(text: &str) -> Result<Harmony, String> {
    let bars = |bars: &str| bars.trim().parse().ok();
    match text.trim().split_once(':') {
        None if text.trim() == "free" => Ok(Harmony::Free),
        Some(("loop", number)) => match bars(number) {
            Some(bars) if (1..=MOST_BARS).contains(&bars) => Ok(Harmony::Loop { bars }),
            _ => Err(format!("a loop has 1 to {MOST_BARS} bars, as in loop:4")),
        },
        _ => Err("must be free, or loop:BARS as in loop:4".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;
    use continuo_score::tune;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        harmony: HarmonyOptions,
    }

    fn read(line: &str) -> Result<HarmonyOptions, clap::Error> {
        let words = ["x"].into_iter().chain(line.split_whitespace());
        Ok(Line::try_parse_from(words)?.harmony)
    }

    #[test]
    fn a_loop_repeats_the_last_bars_and_free_leaves_the_model_alone() {
        let minuet = tune::minuet();
        let pull = |options: &HarmonyOptions| {
            let sampling = options.sampling(Sampling::default());
            sampling.constraints.chord_pull
        };
        let free = read("").unwrap();
        assert_eq!((free.plan(&minuet, 36), pull(&free)), (None, 0.0));
        assert_eq!(free.sampling(Sampling::default()), Sampling::default());
        let two = read("--harmony loop:2 --chord-pull 0.7").unwrap();
        assert_eq!(pull(&two), 0.7);
        let plan = two.plan(&minuet, 3 * 36).unwrap();
        // Bars 2 and 3: G over B, and C.
        let root = |bar: u32| plan.at((3 + bar) * 36).map(|chord| chord.root);
        assert_eq!([0, 1, 2, 3].map(root), [7, 0, 7, 0].map(Some));
        assert_eq!(pull(&read("--harmony loop:4").unwrap()), 0.5);
    }

    #[test]
    fn nonsense_is_refused() {
        for line in [
            "--harmony loop",
            "--harmony loop:0",
            "--harmony loop:65",
            "--harmony loop:x",
            "--harmony held",
            "--harmony loop:4 --chord-pull 1.5",
            "--harmony loop:4 --chord-pull NaN",
            "--chord-pull 0.5",
        ] {
            assert!(read(line).is_err(), "{line}");
        }
    }
}
