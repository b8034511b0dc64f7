//! What a training writes down beside its checkpoints: `losses.csv` (a line a step),
//! `held_out.csv` (a line a measurement), and the same for TensorBoard.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use continuo_files::{Output, Replace};
use continuo_score::manifest::HeldOut;

use crate::kinds::TABLE;
use crate::tensorboard::Events;
use crate::train::{Tick, TrainError};

/// Readers see what is newer than this, at least.
const FLUSH: Duration = Duration::from_secs(10);

/// The files.
pub(crate) struct Log {
    losses: Table,
    held_out: Table,
    folder: PathBuf,
    events: Events,
    flushed: Instant,
}

impl Log {
    /// Opens them and drops what they say of steps after `steps`: those will be taken anew.
    pub(crate) fn open(folder: &Path, steps: u64) -> Result<Self, TrainError> {
        const LOSSES: &str = "step,tokens,seconds,loss,gradient_norm,learning_rate";
        const HELD_OUT: &str = "step,tokens,seconds,songs,nats_per_token,nats_per_note";
        Ok(Self {
            losses: Table::open(folder.join("losses.csv"), LOSSES, steps)?,
            held_out: Table::open(folder.join("held_out.csv"), HELD_OUT, steps)?,
            events: Events::create(folder, steps).map_err(io_at(folder))?,
            folder: folder.into(),
            flushed: Instant::now(),
        })
    }

    /// A step was taken.
    pub(crate) fn step(&mut self, t: &Tick, seconds: f64) -> Result<(), TrainError> {
        let (loss, norm, rate) = (t.loss, t.norm, t.rate);
        self.losses.add(format_args!(
            "{},{},{seconds:.2},{loss:.6},{norm:.4},{rate:.3e}",
            t.steps, t.tokens
        ))?;
        let numbers = [
            ("loss/train (nats a token)", loss),
            ("gradient norm", norm),
            ("learning rate", rate),
            ("tokens a second", t.speed),
        ];
        let added = self.events.add(t.steps, &numbers);
        added.map_err(io_at(&self.folder))?;
        if self.flushed.elapsed() > FLUSH {
            self.flush()?;
        }
        Ok(())
    }

    /// The held-out songs were measured.
    pub(crate) fn held_out(
        &mut self,
        t: &Tick,
        seconds: f64,
        m: &HeldOut,
    ) -> Result<(), TrainError> {
        let (token, note) = (m.nats_per_token, m.nats_per_note);
        self.held_out.add(format_args!(
            "{},{},{seconds:.2},{},{token:.6},{note:.6}",
            t.steps, t.tokens, m.songs
        ))?;
        let numbers = [
            ("loss/held out (nats a token)", token),
            ("held out (nats a note)", note),
        ];
        let added = self.events.add(t.steps, &numbers);
        added.map_err(io_at(&self.folder))?;
        self.flush()
    }

    /// Everything so far is in the files.
    pub(crate) fn flush(&mut self) -> Result<(), TrainError> {
        self.flushed = Instant::now();
        self.losses.flush()?;
        self.held_out.flush()?;
        self.events.flush().map_err(io_at(&self.folder))
    }
}

/// A table whose first column is the step.
struct Table {
    path: PathBuf,
    out: BufWriter<File>,
}

impl Table {
    fn open(path: PathBuf, columns: &str, steps: u64) -> Result<Self, TrainError> {
        let before = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == io::ErrorKind::NotFound => String::new(),
            Err(e) => return Err(io_at(&path)(e)),
        };
        let mut text = format!("{columns}\n");
        // A line that was cut short by a full disk or a killed process has no end.
        for line in before.split_inclusive('\n').skip(1) {
            let step = line.split(',').next().and_then(|s| s.parse::<u64>().ok());
            if line.ends_with('\n') && step.is_some_and(|s| s <= steps) {
                text += line;
            }
        }
        Output::check(&path, &TABLE, Replace::SameKind)?.write(text.as_bytes())?;
        let file = File::options().append(true).open(&path);
        let out = BufWriter::new(file.map_err(io_at(&path))?);
        Ok(Self { path, out })
    }

    fn add(&mut self, line: std::fmt::Arguments<'_>) -> Result<(), TrainError> {
        writeln!(self.out, "{line}").map_err(io_at(&self.path))
    }

    fn flush(&mut self) -> Result<(), TrainError> {
        self.out.flush().map_err(io_at(&self.path))
    }
}

/// Makes an error of a file system's.
pub(crate) fn io_at(path: &Path) -> impl FnOnce(io::Error) -> TrainError {
    let path = path.to_owned();
    move |source| TrainError::Io { path, source }
}
