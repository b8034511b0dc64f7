//! Cache of the parameter values on the audio thread.
//!
//! The values lie in some seventy structures of two hundred bytes, which are rarely in the processor's cache
//! when a block of 32 samples begins. So the audio thread reads one change counter in each block, and the
//! values only when it has changed.

use super::ContinuoParams;
use crate::process::AudioSettings;
use continuo_accompaniment::messages::Settings;

/// The values at the last change. Owned by the audio thread.
#[derive(Default)]
pub struct ParamCache {
    /// Change counter before the values were read.
    changes: Option<u32>,
    settings: Settings,
    audio_settings: AudioSettings,
}

impl ParamCache {
    /// The current values.
    pub fn values(&mut self, params: &ContinuoParams) -> (Settings, AudioSettings) {
        let changes = params.changes.value();
        if self.changes != Some(changes) {
            self.changes = Some(changes);
            self.settings = params.settings();
            self.audio_settings = params.audio_settings();
        }
        (self.settings, self.audio_settings)
    }
}

#[cfg(test)]
mod tests {
    use nice_plug::prelude::Params;

    use super::*;

    #[test]
    fn cache_follows_every_change_of_a_host() {
        let params = ContinuoParams::default();
        let mut cache = ParamCache::default();
        assert_eq!(
            cache.values(&params),
            (params.settings(), params.audio_settings())
        );
        for (id, param, _) in params.param_map() {
            for value in [0.3, 1.0, 0.0] {
                let before = (params.settings(), params.audio_settings());
                // SAFETY: `params` lives, and a host sets and modulates parameters so.
                unsafe {
                    param._internal_set_normalized_value(value);
                    param._internal_modulate_value(0.1);
                }
                let now = (params.settings(), params.audio_settings());
                assert_eq!(cache.values(&params), now, "{id} from {before:?}");
            }
        }
        let changes = cache.changes;
        cache.values(&params);
        assert_eq!(cache.changes, changes, "nothing has changed");
    }
}
