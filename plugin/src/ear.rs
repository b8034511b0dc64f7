//! The audio input: sound to notes of the player.
//!
//! ```text
//! audio thread                              worker thread of the instance
//! process::AudioProcessor                   worker::run
//!   EarInput ──(rtrb: f32 of one channel)────> continuo_ear::Listener
//!            ──(rtrb: StreamMark)────────────>   basic-pitch's model
//!            <─(rtrb: EarReport)──────────────
//! ```
//!
//! One *clock* for an instance counts the samples of the running transport, heard or not. A stream begins
//! where the transport starts or jumps, and windows of the model lie at fixed samples of the stream. A
//! note becomes known [`ALLOWANCE`] seconds after enough sound is there to find it, if the worker is in
//! time. So the notes and the samples on which they become known depend on the sound alone: a bounce
//! equals the playback, for all block sizes. While the host renders offline, the audio thread waits for
//! the worker; in real time it never does, and a report that comes later counts when it comes.

mod beat_map;
mod echo;
mod input;
mod recording;
mod worker;

use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, PoisonError};

use continuo_ear::Settings;
use rtrb::{Consumer, Producer, RingBuffer};

use crate::shared::{OfflineBarrier, fill_and_drain};

pub use self::input::{EarInput, MonoMix, Sound};
pub use self::recording::transcribe;
pub use self::worker::{EarFiles, run};

/// Time in seconds that the worker has for a window of sound. The model needs about 0.05 s.
pub const ALLOWANCE: f64 = 0.3;

/// Capacity of the ring of samples: 1.4 s at 48 kHz, which is longer than the model loads, and 0.3 s at
/// 192 kHz, which is longer than it runs.
const SAMPLE_CAPACITY: usize = 1 << 16;
/// Capacity of the ring of stream marks.
const MARK_CAPACITY: usize = 256;
/// Capacity of the ring of reports.
const REPORT_CAPACITY: usize = 4_096;

/// A change of the stream, before the sample at `clock`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StreamMark {
    clock: u64,
    change: StreamChange,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum StreamChange {
    /// A stream begins.
    Begin {
        /// Samples a second.
        rate: u32,
        settings: Settings,
    },
    /// The stream ends: all its notes end.
    End,
}

/// A report of the worker. Positions are on the clock.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum EarReport {
    /// A note has ended.
    Note {
        /// First sample.
        onset: u64,
        /// First sample after it.
        end: u64,
        /// The clock at which enough sound is there to find it.
        decided: u64,
        /// MIDI key.
        pitch: u8,
        /// MIDI velocity, 1 to 127.
        velocity: u8,
        /// Confidence in percent, 0 to 100.
        confidence: u8,
    },
    /// More sound is read.
    Read {
        /// All notes that had ended well before this sample are reported.
        to: u64,
        /// The clock at which enough sound is there to know that.
        decided: u64,
        /// Whether a pitch sounds at `to`.
        sounding: bool,
    },
}

impl EarReport {
    fn decided(&self) -> u64 {
        match *self {
            Self::Note { decided, .. } | Self::Read { decided, .. } => decided,
        }
    }
}

/// The ear's state, shared by the audio thread, the composer thread and the worker.
#[derive(Debug, Default)]
pub struct EarShared {
    /// Whether a worker is wanted. Set by the audio thread.
    pub wanted: AtomicBool,
    /// Whether the instance is gone, so that the worker ends. Set by the composer thread.
    pub leaving: AtomicBool,
    /// The clock up to which the worker has read; `u64::MAX` where it cannot.
    barrier: OfflineBarrier,
    /// Why the worker cannot read. Never touched by the audio thread.
    problem: Mutex<Option<String>>,
}

impl EarShared {
    /// Why the ear does not work, as a line for the user. Composer thread.
    pub fn problem(&self) -> Option<String> {
        let problem = self.problem.lock();
        problem.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Sets the problem, or that there is none. Never called by the audio thread.
    fn set_problem(&self, problem: Option<String>) {
        let problem = problem.map(|problem| format!("no notes from sound: {problem}"));
        *self.problem.lock().unwrap_or_else(PoisonError::into_inner) = problem;
    }

    /// Ends listening with a line for the user. Worker and composer thread.
    pub fn fail(&self, problem: String) {
        self.set_problem(Some(problem));
        self.barrier.finish(u64::MAX);
    }
}

/// The worker's end of the rings.
pub struct WorkerEnd {
    samples: Consumer<f32>,
    marks: Consumer<StreamMark>,
    reports: Producer<EarReport>,
}

/// The audio thread's end of the rings.
pub struct AudioEnd {
    samples: Producer<f32>,
    marks: Producer<StreamMark>,
    reports: Consumer<EarReport>,
}

/// Makes the rings, and touches their memory, so that the audio thread meets no page fault. Main
/// thread.
pub fn rings() -> (AudioEnd, WorkerEnd) {
    let (mut samples_in, mut samples) = RingBuffer::new(SAMPLE_CAPACITY);
    fill_and_drain(&mut samples_in, &mut samples, 0.0);
    let (mut marks_in, mut marks) = RingBuffer::new(MARK_CAPACITY);
    let end = StreamMark {
        clock: 0,
        change: StreamChange::End,
    };
    fill_and_drain(&mut marks_in, &mut marks, end);
    // The audio thread only reads the reports.
    let (reports, reports_out) = RingBuffer::new(REPORT_CAPACITY);
    (
        AudioEnd {
            samples: samples_in,
            marks: marks_in,
            reports: reports_out,
        },
        WorkerEnd {
            samples,
            marks,
            reports,
        },
    )
}

/// The worker's side as tests play it.
#[cfg(test)]
impl WorkerEnd {
    /// Sends a report.
    pub fn report(&mut self, report: EarReport) {
        self.reports.push(report).unwrap();
    }

    /// Reads all samples. Returns the clocks at which streams begin and end.
    pub fn read_all(&mut self) -> (Vec<f32>, Vec<(u64, bool)>) {
        let samples = std::iter::from_fn(|| self.samples.pop().ok()).collect();
        let begins = |change| matches!(change, StreamChange::Begin { .. });
        let marks = std::iter::from_fn(|| self.marks.pop().ok());
        (
            samples,
            marks
                .map(|mark| (mark.clock, begins(mark.change)))
                .collect(),
        )
    }
}

#[cfg(test)]
impl EarShared {
    /// All sound is read, that of the future too.
    pub fn finish_all(&self) {
        self.barrier.finish(u64::MAX);
    }
}
