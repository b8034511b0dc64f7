//! Continuo without a DAW: MIDI in and out and sound through the system (JACK, ALSA, CoreAudio
//! or WASAPI), for a jam. `--help` lists devices and options.

use std::process::ExitCode;

use nice_plug::prelude::*;

fn main() -> ExitCode {
    // No host plays its notes, so its own sound is on.
    continuo::params::sound_from_the_start();
    match nice_export_standalone::<continuo::Continuo>() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}
