//! The worker thread of one instance: it runs the model on the sound that the audio thread passes on.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use continuo_ear::{EarModel, Listener, Note, Settings};
use continuo_engine::Runtime;

use super::{EarReport, StreamChange, WorkerEnd};
use crate::shared::Shared;
use crate::workers::panic_message;

/// Interval of polling while a stream is open, and while none is.
const POLL_INTERVAL: Duration = Duration::from_millis(5);
const IDLE_POLL_INTERVAL: Duration = Duration::from_millis(30);
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

/// Reads sound until the instance is gone. An error or a panic ends it, and is a line for the user.
pub fn run(files: Result<EarFiles, String>, end: WorkerEnd, shared: &Arc<Shared>) {
    let work = AssertUnwindSafe(|| files.and_then(|files| Worker::new(&files, end)?.run(shared)));
    let done = catch_unwind(work);
    let done =
        done.unwrap_or_else(|panic| Err(format!("internal error: {}", panic_message(&*panic))));
    if let Err(problem) = done {
        shared.ear.fail(problem);
    }
}

struct Worker {
    end: WorkerEnd,
    listener: Listener,
    /// The clock after the last sample read.
    clock: u64,
    /// The open stream: the clock at its beginning, and its samples a second.
    stream: Option<(u64, u32)>,
    /// [`EarReport::decided`] of the last report: the next ones are not smaller.
    decided: u64,
}

impl Worker {
    fn new(files: &EarFiles, end: WorkerEnd) -> Result<Self, String> {
        let runtime = Runtime::load(&files.library).map_err(|e| e.to_string())?;
        let model = EarModel::load(runtime.environment(), &files.model);
        let listener = model.and_then(|model| Listener::new(model, 48_000, &Settings::default()));
        Ok(Self {
            end,
            listener: listener.map_err(|e| e.to_string())?,
            clock: 0,
            stream: None,
            decided: 0,
        })
    }

    fn run(mut self, shared: &Shared) -> Result<(), String> {
        let mut block = Vec::with_capacity(CHUNK);
        while !shared.ear.leaving.load(Ordering::Relaxed) {
            // The samples first: a mark is sent before the samples after it.
            let available = self.end.samples.slots();
            let mark = self.end.marks.peek().ok().copied();
            let until = match mark {
                // No samples lie between streams.
                Some(mark) if mark.clock <= self.clock || mark.change != StreamChange::End => {
                    let _ = self.end.marks.pop();
                    self.clock = self.clock.max(mark.clock);
                    self.change(mark.change, shared)?;
                    continue;
                }
                Some(mark) => mark.clock - self.clock,
                None => u64::MAX,
            };
            let most = usize::try_from(until).unwrap_or(CHUNK);
            let count = available.min(CHUNK).min(most);
            if count == 0 {
                shared.ear.barrier.finish(self.clock);
                std::thread::sleep(match self.stream {
                    Some(_) => POLL_INTERVAL,
                    None => IDLE_POLL_INTERVAL,
                });
                continue;
            }
            let Ok(chunk) = self.end.samples.read_chunk(count) else {
                return Err("the ring of samples is inconsistent".into());
            };
            block.clear();
            let (first, second) = chunk.as_slices();
            block.extend_from_slice(first);
            block.extend_from_slice(second);
            chunk.commit_all();
            self.read(&block)?;
            self.clock += count as u64;
            shared.ear.barrier.finish(self.clock);
            shared.ear.barrier.heartbeat();
        }
        Ok(())
    }

    fn change(&mut self, change: StreamChange, shared: &Shared) -> Result<(), String> {
        match change {
            StreamChange::Begin { rate, settings } => {
                // Of a stream that cannot be read, nothing is heard; the next one may be another.
                let begun = self.listener.restart(rate, &settings);
                shared
                    .ear
                    .set_problem(begun.as_ref().err().map(ToString::to_string));
                self.stream = begun.is_ok().then_some((self.clock, rate));
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

    /// Sends a report; none is decided before the one that was sent last. A full ring loses it: the
    /// audio thread takes none, because the host does not call the plugin.
    fn send(&mut self, mut report: EarReport) {
        let decided = match &mut report {
            EarReport::Note { decided, .. } | EarReport::Read { decided, .. } => decided,
        };
        *decided = (*decided).max(self.decided);
        self.decided = *decided;
        let _ = self.end.reports.push(report);
    }
}

/// A moment of a stream on the clock.
fn clock((begin, rate): (u64, u32), seconds: f64) -> u64 {
    begin + (seconds * f64::from(rate)).round() as u64
}
