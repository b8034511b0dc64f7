//! Transport information that a host leaves out, and the plugin's own time. Audio thread;
//! allocates nothing.

use super::{HostTransport, Running};

/// Seconds of samples without usable transport information before the plugin's own time begins,
/// or before a playhead that the host no longer reports stands still. Hosts leave out the
/// information in single blocks, for example in the first one after a project was loaded.
const PATIENCE: f64 = 0.5;

/// Seconds of samples after which own time reaches the position that it begins with. So where
/// bars begin does not depend on the length of the blocks in between.
const COUNT_IN: f64 = 1.0;

/// The plugin's own time, for hosts without a transport and players who do not use it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OwnTime {
    /// Quarter notes a minute.
    pub tempo: f64,
    /// Whether it replaces the host's transport.
    pub always: bool,
}

/// Fills in transport information that the host leaves out. Owned by the audio thread.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Gaps {
    /// The host has reported a tempo together with a position.
    complete: bool,
    /// Own time has begun before, so it begins again without a wait.
    own_needed: bool,
    /// Samples in a row without usable information.
    missing: f64,
    /// Position at which own time continues, in quarter notes.
    own_beat: f64,
    /// The position that the host reported last, in quarter notes.
    host_beat: f64,
    /// The loop that it reported last.
    cycle: Option<(f64, f64)>,
}

impl Gaps {
    /// Sets the position, in quarter notes, from which own time continues.
    pub(super) fn resume_at(&mut self, beat: f64) {
        self.own_beat = beat;
    }

    /// The transport of a block of `frames` samples, with missing values filled in.
    ///
    /// - For a host that has reported positions before, the playhead is counted through a gap of up to
    ///   half a second, and then stops. While the host still reports its tempo and that it plays, the
    ///   count continues.
    /// - A host that has never reported a tempo together with a position counts as stopped for half a
    ///   second. Then positions continue where own time stopped, at the host's tempo if it reports
    ///   one, else at the plugin's.
    pub(super) fn fill(
        &mut self,
        reading: &HostTransport,
        frames: u32,
        rate: f64,
        own: OwnTime,
        running: Option<&Running>,
    ) -> HostTransport {
        let at = running.map_or(self.own_beat, Running::next_beat);
        let own_time = HostTransport {
            playing: true,
            beat: Some(at),
            counted: true,
            tempo: Some(own.tempo),
            bar_start: None,
            cycle: None,
            ..*reading
        };
        if own.always {
            self.own_beat = at;
            return own_time;
        }
        let nothing = reading.tempo.is_none() && reading.beat.is_none();
        if reading.tempo.is_some() && reading.beat.is_some() {
            self.complete = true;
        }
        let whole = reading.tempo.is_some() && reading.beat.is_some();
        if whole || !(reading.playing || nothing) {
            self.missing = 0.0;
            self.host_beat = reading.beat.unwrap_or(self.host_beat);
            self.cycle = reading.cycle;
            return *reading;
        }

        let before = self.missing;
        self.missing += f64::from(frames);
        let standing = HostTransport {
            playing: false,
            ..*reading
        };
        if self.complete {
            let patient = self.missing < PATIENCE * rate;
            return match running {
                Some(running) if patient || (reading.playing && reading.tempo.is_some()) => {
                    HostTransport {
                        playing: true,
                        beat: reading.beat.or(Some(at)),
                        counted: reading.beat.is_none(),
                        cycle: reading.cycle.or(self.cycle.filter(|_| nothing)),
                        tempo: reading.tempo.or(Some(running.tempo)),
                        ..*reading
                    }
                }
                Some(_) => standing,
                // It plays without a position: continue from the last one.
                None if reading.playing && reading.tempo.is_some() => {
                    if !self.own_needed {
                        self.own_beat = self.host_beat;
                    }
                    self.wait_for_own_time(reading, own_time, before, rate)
                }
                None => standing,
            };
        }
        self.wait_for_own_time(reading, own_time, before, rate)
    }

    /// Own positions after the wait, at the host's tempo where it reports one. `own_time` is the
    /// reading without the wait, `before` the number of samples waited so far.
    fn wait_for_own_time(
        &mut self,
        reading: &HostTransport,
        own_time: HostTransport,
        before: f64,
        rate: f64,
    ) -> HostTransport {
        if !self.own_needed && before < PATIENCE * rate {
            return HostTransport {
                playing: false,
                ..*reading
            };
        }
        let tempo = reading.tempo.or(own_time.tempo);
        if self.own_needed {
            self.own_beat = own_time.beat.unwrap_or(self.own_beat);
        } else {
            self.own_needed = true;
            self.own_beat += (before / rate - COUNT_IN) * tempo.unwrap_or(0.0) / 60.0;
        }
        HostTransport {
            beat: Some(self.own_beat),
            tempo,
            ..own_time
        }
    }
}
