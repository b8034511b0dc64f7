//! Progress of a command: a bar on a terminal, occasional lines in a log.

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use indicatif::{HumanDuration, ProgressBar, ProgressStyle};

use crate::note;

/// Time after which work reports its first line in a log.
const FIRST: Duration = Duration::from_secs(1);
/// Time between two lines in a log.
const BETWEEN: Duration = Duration::from_secs(10);
/// Time between two updates of a bar.
const TICK: Duration = Duration::from_millis(100);

/// Progress on standard error, with the remaining time. Any thread but an audio thread may report.
/// Dropping it removes the bar.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    /// Log state; present if standard error is no terminal.
    log: Option<Log>,
    /// State of work that does not report its progress.
    silent: Option<Arc<Silent>>,
    /// Sender to the log thread. The thread ends when the sender is dropped.
    ends: Option<Sender<()>>,
}

/// Work that does not report its progress.
#[derive(Debug)]
struct Silent {
    what: String,
    begun: Instant,
    /// Estimated end. The working thread sets it and the log thread reads it.
    ends: Mutex<Option<Instant>>,
}

impl Silent {
    /// Returns the line of the log at the time `now`.
    fn line(&self, now: Instant) -> String {
        // A panic of another thread does not stop the report.
        let ends = *self.ends.lock().unwrap_or_else(|e| e.into_inner());
        let spent = HumanDuration(now.saturating_duration_since(self.begun));
        match ends.map(|ends| ends.saturating_duration_since(now)) {
            None => format!("{}: {spent} so far", self.what),
            Some(Duration::ZERO) => {
                format!("{}: {spent} so far, longer than estimated", self.what)
            }
            Some(left) => format!("{}: about {} left", self.what, HumanDuration(left)),
        }
    }

    /// Starts the log thread. It prints a line after [`FIRST`] and then every [`BETWEEN`], until
    /// the returned sender is dropped.
    fn report(self: Arc<Self>) -> Sender<()> {
        let (ends, ended) = channel();
        std::thread::spawn(move || {
            let mut wait = FIRST;
            while ended.recv_timeout(wait) == Err(RecvTimeoutError::Timeout) {
                note(self.line(Instant::now()));
                wait = BETWEEN;
            }
        });
        ends
    }
}

/// Lines of a log about work that reports its progress.
#[derive(Debug)]
struct Log {
    what: String,
    unit: &'static str,
    begun: Instant,
    /// State of the reports. Every reporting thread locks it.
    state: Mutex<State>,
}

/// State of the reports of a [`Log`].
#[derive(Debug, Default)]
struct State {
    /// Amount done at the first report; an earlier run may have done a part.
    begun_with: Option<u64>,
    /// Time of the last line.
    said: Option<Instant>,
}

impl Progress {
    /// Shows the progress of `what` ("listening") through `all` of `unit` ("tokens"). `all` is 0
    /// while the total is unknown.
    pub fn new(what: &str, unit: &'static str, all: u64) -> Self {
        let bar = ProgressBar::new(all);
        // A wrong template falls back to the default bar.
        let template = format!("{{msg}} {{bar:30}} {{pos}}/{{len}} {unit}, {{eta}} left");
        if let Ok(style) = ProgressStyle::with_template(&template) {
            bar.set_style(style);
        }
        Self::shown(bar, what, unit)
    }

    /// Shows that `what` is at work, without a known duration.
    pub fn spinner(what: &str) -> Self {
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{msg} {spinner} {elapsed}") {
            bar.set_style(style);
        }
        let mut progress = Self::shown(bar, what, "");
        let silent = Arc::new(Silent {
            what: what.to_string(),
            begun: Instant::now(),
            ends: Mutex::default(),
        });
        if progress.log.is_some() {
            progress.ends = Some(silent.clone().report());
        }
        progress.silent = Some(silent);
        progress
    }

    /// Sets the estimated remaining time of a spinner.
    pub fn expect(&self, left: Duration) {
        let Some(silent) = &self.silent else { return };
        let all = HumanDuration(silent.begun.elapsed() + left);
        self.bar
            .set_message(format!("{} (about {all} in all)", silent.what));
        let mut ends = silent.ends.lock().unwrap_or_else(|e| e.into_inner());
        *ends = Instant::now().checked_add(left);
    }

    fn shown(bar: ProgressBar, what: &str, unit: &'static str) -> Self {
        bar.set_message(what.to_string());
        let log = bar.is_hidden().then(|| Log {
            what: what.to_string(),
            unit,
            begun: Instant::now(),
            state: Mutex::default(),
        });
        if log.is_none() {
            bar.enable_steady_tick(TICK);
        }
        Self {
            bar,
            log,
            silent: None,
            ends: None,
        }
    }

    /// Sets the amount done and the total amount.
    pub fn set(&self, done: u64, all: u64) {
        self.bar.set_length(all);
        self.bar.set_position(done);
        if let Some(log) = &self.log {
            log.say(done, all);
        }
    }

    /// Adds to the amount done.
    pub fn add(&self, more: u64) {
        let done = self.bar.position() + more;
        self.set(done, self.bar.length().unwrap_or(0));
    }

    /// Starts the count at `done` of `all`. An earlier run did that part, so it does not count
    /// for the speed of this run.
    pub fn begin_at(&self, done: u64, all: u64) {
        self.set(done, all);
        self.bar.reset_eta();
    }

    /// Prints a line to standard error, above the bar.
    pub fn note(&self, line: &str) {
        self.bar.suspend(|| note(line));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

impl Log {
    fn say(&self, done: u64, all: u64) {
        // A panic of another thread does not stop the report.
        let mut state = self.state.lock().unwrap_or_else(|e| e.into_inner());
        let begun_with = *state.begun_with.get_or_insert(done);
        let waited = match state.said {
            Some(said) => said.elapsed() >= BETWEEN,
            None => self.begun.elapsed() >= FIRST,
        };
        if !waited || done >= all {
            return;
        }
        state.said = Some(Instant::now());
        let left = left(
            self.begun.elapsed(),
            done - begun_with.min(done),
            all - done,
        );
        let left = left.map_or(String::new(), |left| {
            format!(", {} left", HumanDuration(left))
        });
        note(format_args!(
            "{}: {done} of {all} {}{left}",
            self.what, self.unit
        ));
    }
}

/// Returns the remaining time at the average speed; `None` before anything is done.
fn left(spent: Duration, done: u64, to_do: u64) -> Option<Duration> {
    let seconds = spent.as_secs_f64() * to_do as f64 / done as f64;
    Duration::try_from_secs_f64(seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remaining_time_is_estimated_from_the_elapsed_time() {
        let minute = Duration::from_secs(60);
        assert_eq!(left(minute, 100, 50), Some(minute / 2));
        assert_eq!(left(minute, 0, 50), None);
        assert_eq!(left(minute, 50, 0), Some(Duration::ZERO));
    }

    #[test]
    fn work_without_steps_shows_the_estimated_remaining_time() {
        let begun = Instant::now();
        let silent = Silent {
            what: "learning".into(),
            begun,
            ends: Mutex::default(),
        };
        let after = |seconds| silent.line(begun + Duration::from_secs(seconds));
        assert_eq!(after(5), "learning: 5 seconds so far");
        *silent.ends.lock().unwrap() = Some(begun + Duration::from_secs(30));
        assert_eq!(after(10), "learning: about 20 seconds left");
        assert!(after(40).contains("longer than estimated"));
    }
}
