//! Logs of a training beside its checkpoints: `losses.csv` (a line per step), `held_out.csv` (a
//! line per measurement), and the same values for TensorBoard.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use continuo_files::{Output, Replace};
use continuo_score::manifest::HeldOut;

use crate::data::file_kinds::TABLE;
use crate::train::error::{TrainError, io_at};
use crate::train::events::StepMetrics;
use crate::train::tensorboard::EventWriter;

/// Longest time until a line is visible to readers.
const FLUSH: Duration = Duration::from_secs(10);

/// Open log files. The training thread owns them.
pub(crate) struct TrainLog {
    losses: CsvTable,
    held_out: CsvTable,
    folder: PathBuf,
    events: EventWriter,
    flushed: Instant,
}

impl TrainLog {
    /// Opens the logs and drops the lines of steps after `steps`, which will be taken again.
    ///
    /// # Errors
    /// A file cannot be read or written, or is not such a table.
    pub(crate) fn open(folder: &Path, steps: u64) -> Result<Self, TrainError> {
        const LOSSES: &str = "step,tokens,seconds,loss,gradient_norm,learning_rate";
        const HELD_OUT: &str = "step,tokens,seconds,songs,nats_per_token,nats_per_note";
        Ok(Self {
            losses: CsvTable::open(folder.join("losses.csv"), LOSSES, steps)?,
            held_out: CsvTable::open(folder.join("held_out.csv"), HELD_OUT, steps)?,
            events: EventWriter::create(folder, steps).map_err(io_at(folder))?,
            folder: folder.into(),
            flushed: Instant::now(),
        })
    }

    /// Writes the metrics of a step.
    ///
    /// # Errors
    /// A file cannot be written.
    pub(crate) fn step(&mut self, m: &StepMetrics, seconds: f64) -> Result<(), TrainError> {
        let (loss, norm, rate) = (m.loss, m.gradient_norm, m.learning_rate);
        self.losses.add(format_args!(
            "{},{},{seconds:.2},{loss:.6},{norm:.4},{rate:.3e}",
            m.steps, m.tokens
        ))?;
        let values = [
            ("loss/train (nats a token)", loss),
            ("gradient norm", norm),
            ("learning rate", rate),
            ("tokens a second", m.tokens_per_second),
        ];
        let added = self.events.add(m.steps, &values);
        added.map_err(io_at(&self.folder))?;
        if self.flushed.elapsed() > FLUSH {
            self.flush()?;
        }
        Ok(())
    }

    /// Writes a measurement on held-out songs.
    ///
    /// # Errors
    /// A file cannot be written.
    pub(crate) fn held_out(
        &mut self,
        m: &StepMetrics,
        seconds: f64,
        measured: &HeldOut,
    ) -> Result<(), TrainError> {
        let (token, note) = (measured.nats_per_token, measured.nats_per_note);
        self.held_out.add(format_args!(
            "{},{},{seconds:.2},{},{token:.6},{note:.6}",
            m.steps, m.tokens, measured.songs
        ))?;
        let values = [
            ("loss/held out (nats a token)", token),
            ("held out (nats a note)", note),
        ];
        let added = self.events.add(m.steps, &values);
        added.map_err(io_at(&self.folder))?;
        self.flush()
    }

    /// Writes buffered lines to the files.
    ///
    /// # Errors
    /// A file cannot be written.
    pub(crate) fn flush(&mut self) -> Result<(), TrainError> {
        self.flushed = Instant::now();
        self.losses.flush()?;
        self.held_out.flush()?;
        self.events.flush().map_err(io_at(&self.folder))
    }
}

/// A table whose first column is the step.
struct CsvTable {
    path: PathBuf,
    out: BufWriter<File>,
}

impl CsvTable {
    fn open(path: PathBuf, columns: &str, steps: u64) -> Result<Self, TrainError> {
        let before = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == io::ErrorKind::NotFound => String::new(),
            Err(e) => return Err(io_at(&path)(e)),
        };
        let mut text = format!("{columns}\n");
        // A full disk or a killed process leaves a last line without its end.
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
