//! Event counters of an instance, since it was made. Plain atomics: the audio thread counts, any thread
//! reads.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

/// Declares the counters and a struct of their values.
macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)+) => {
        /// Counters, incremented by the audio thread.
        #[derive(Debug, Default)]
        pub struct Counters {
            $($(#[$doc])* pub $name: AtomicU64,)+
        }

        /// The values of all [`Counters`] at one moment.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
        pub struct CounterValues {
            $($(#[$doc])* pub $name: u64,)+
        }

        impl Counters {
            /// Reads all values. Any thread.
            pub fn values(&self) -> CounterValues {
                CounterValues {
                    $($name: self.$name.load(Ordering::Relaxed),)+
                }
            }
        }
    };
}

counters! {
    /// Player notes sent to the composer while the transport runs.
    heard,
    /// Generated notes sent to the host.
    played,
    /// Generated notes that started late and were shortened.
    late,
    /// Generated notes that were not sent: too late, no room, or the key was held already.
    dropped,
    /// Note-ons and note-offs that the host refused; a note-off is sent again later.
    refused,
    /// Generated notes cancelled before their time.
    early,
    /// Messages to the composer lost because the ring was full.
    overflow,
    /// Offline blocks rendered without waiting any longer for a composer that did not respond.
    offline_timeouts,
}

/// Adds one. Audio thread.
pub fn increment(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
