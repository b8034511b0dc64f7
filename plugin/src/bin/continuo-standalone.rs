//! Continuo without a DAW: MIDI and a microphone in, MIDI and sound out through the system (JACK, ALSA,
//! CoreAudio or WASAPI), for a jam. `--help` lists devices and options.

use std::process::ExitCode;

use nice_plug::prelude::*;

/// Options that connect an audio input.
const INPUTS: [&str; 2] = ["--input-device", "--connect-jack-inputs"];
/// Options that choose a layout of the audio ports.
const LAYOUTS: [&str; 2] = ["--audio-layout", "-l"];

fn main() -> ExitCode {
    // No host plays its notes, so its own sound is on.
    continuo::params::sound_from_the_start();
    let mut args: Vec<String> = std::env::args().collect();
    if has_any(&args, &INPUTS) {
        continuo::params::listen_from_the_start();
        if !has_any(&args, &LAYOUTS) {
            args.push(format!("{}={}", LAYOUTS[0], continuo::MICROPHONE_LAYOUT));
        }
    }
    match nice_export_standalone_with_args::<continuo::Continuo, _>(args) {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

/// Whether one of the options is among the arguments, with or without `=VALUE`.
fn has_any(args: &[String], options: &[&str]) -> bool {
    args.iter().any(|arg| {
        let name = arg.split_once('=').map_or(arg.as_str(), |(name, _)| name);
        // A short option's value may follow without a space.
        options.contains(&name) || name.starts_with("-l") && options.contains(&"-l")
    })
}
