//! The worker thread of one instance: it runs the model on the sound that the audio thread passes on.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use continuo_ear::{EarModel, Listener, Note, Settings};
use continuo_engine::Runtime;

use super::{EarReport, StreamChange, WorkerEnd};
use crate::shared::Shared;

/// Interval of polling while there is nothing to read.
const POLL_INTERVAL: Duration = Duration::from_millis(5);
/// Samples read at once: fewer than a window moves on, so that a read completes one window at most.
const CHUNK: usize = 1_024;

/// Files that the ear needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EarFiles {
    /// ONNX Runtime's library.
    pub library: PathBuf,
    /// basic-pitch's model.
    pub model: PathBuf,
}

/// Reads sound until the instance is gone. An error ends it, and is a line for the user.
pub fn run(files: Result<EarFiles, String>, end: WorkerEnd, shared: &Arc<Shared>) {
    let listener = files.and_then(|files| {
        let runtime = Runtime::load(&files.library).map_err(|e| e.to_string())?;
        let model = EarModel::load(runtime.environment(), &files.model);
        let listener = model.and_then(|model| Listener::new(model, 48_000, &Settings::default()));
        listener.map_err(|e| e.to_string())
    });
    let problem = match listener {
        Ok(listener) => {
            let worker = Worker {
                end,
                listener,
                clock: 0,
                stream: None,
            };
            worker.run(shared).err()
        }
        Err(problem) => Some(problem),
    };
    if let Some(problem) = problem {
        shared.ear.fail(format!("no notes from sound: {problem}"));
    }
}

struct Worker {
    end: WorkerEnd,
    listener: Listener,
    /// Samples read so far.
    clock: u64,
    /// The open stream: the clock at its beginning, and its samples a second.
    stream: Option<(u64, u32)>,
}

impl Worker {
    fn run(mut self, shared: &Shared) -> Result<(), String> {
        let mut block = Vec::with_capacity(CHUNK);
        while !shared.ear.leaving.load(Ordering::Relaxed) {
            // The samples first: a mark is sent before the samples after it.
            let available = self.end.samples.slots();
            let mark = self.end.marks.peek().ok().copied();
            let until = match mark {
                Some(mark) if mark.clock <= self.clock => {
                    let _ = self.end.marks.pop();
                    self.change(mark.change)?;
                    continue;
                }
                Some(mark) => mark.clock - self.clock,
                None => u64::MAX,
            };
            let count = available
                .min(CHUNK)
                .min(usize::try_from(until).unwrap_or(CHUNK));
            let Ok(chunk) = self.end.samples.read_chunk(count) else {
                return Err("the ring of samples is inconsistent".into());
            };
            block.clear();
            let (first, second) = chunk.as_slices();
            block.extend_from_slice(first);
            block.extend_from_slice(second);
            chunk.commit_all();
            if count == 0 {
                shared.ear.barrier.finish(self.clock);
                std::thread::sleep(POLL_INTERVAL);
                continue;
            }
            self.clock += count as u64;
            self.read(&block)?;
            shared.ear.barrier.finish(self.clock);
            shared.ear.barrier.heartbeat();
        }
        Ok(())
    }

    fn change(&mut self, change: StreamChange) -> Result<(), String> {
        match change {
            StreamChange::Begin { rate, settings } => {
                let begun = self.listener.restart(rate, &settings);
                begun.map_err(|e| e.to_string())?;
                self.stream = Some((self.clock, rate));
            }
            StreamChange::End => {
                let Some(stream) = self.stream.take() else {
                    return Ok(());
                };
                let notes = self.listener.finish().map_err(|e| e.to_string())?;
                self.report(stream, &notes);
                self.send(EarReport::Read {
                    to: self.clock,
                    decided: self.clock,
                    sounding: false,
                });
            }
        }
        Ok(())
    }

    fn read(&mut self, block: &[f32]) -> Result<(), String> {
        let Some(stream) = self.stream else {
            return Ok(());
        };
        let before = self.listener.decided();
        let notes = self.listener.push(block).map_err(|e| e.to_string())?;
        self.report(stream, &notes);
        if self.listener.decided() > before {
            self.send(EarReport::Read {
                to: clock(stream, self.listener.decided()),
                decided: clock(stream, self.listener.needed()),
                sounding: self.listener.is_sounding(),
            });
        }
        Ok(())
    }

    fn report(&mut self, stream: (u64, u32), notes: &[Note]) {
        for note in notes {
            let onset = clock(stream, note.onset);
            self.send(EarReport::Note {
                onset,
                end: clock(stream, note.end).max(onset + 1),
                decided: clock(stream, note.decided),
                pitch: note.pitch,
                velocity: note.velocity,
                confidence: (note.confidence * 100.0).round() as u8,
            });
        }
    }

    /// Sends a report. A full ring loses it: the audio thread takes none, because the host does not
    /// call the plugin.
    fn send(&mut self, report: EarReport) {
        let _ = self.end.reports.push(report);
    }
}

/// A moment of a stream on the clock.
fn clock((begin, rate): (u64, u32), seconds: f64) -> u64 {
    begin + (seconds * f64::from(rate)).round() as u64
}
