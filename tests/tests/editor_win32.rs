//! The editor of the built CLAP and VST3 in a host's window on Windows. `cargo xtask test --wine`
//! runs it under Wine.

#![cfg(windows)]

use std::time::{Duration, Instant};

use continuo_tests::artifacts;
use continuo_tests::daw::{Blocks, Daw};
use continuo_tests::host::Format;
use continuo_tests::scenario;
use continuo_tests::win32_window::{Win32Window, handle_messages};

/// Longest wait for the editor.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Openings of each format's editor.
const OPENINGS: usize = 20;

/// Runs the main thread until the editor's window is there, or is gone.
fn wait(daw: &mut Daw, window: &Win32Window, is_open: bool) {
    let began = Instant::now();
    while (window.children() > 0) != is_open {
        assert!(
            began.elapsed() < TIMEOUT,
            "open: {is_open}, after {TIMEOUT:?}"
        );
        run_main_thread(daw);
    }
}

fn run_main_thread(daw: &mut Daw) {
    handle_messages();
    daw.plugin().editor().run_main_thread().unwrap();
    std::thread::sleep(Duration::from_millis(5));
}

#[test]
fn editor_opens_and_closes_twenty_times_while_playing() {
    // A DAW has a window before it loads plugins. Without one, Wine 8 can wait for ever: on one
    // thread for a library to load, whose start waits for the first window on the other thread.
    let _main_window = Win32Window::open((64, 64)).unwrap();
    for format in [Format::Clap, Format::Vst3] {
        let plugin = artifacts::load(format).unwrap();
        let setup = scenario::setup(48_000.0, 120.0, Blocks::Fixed(512));
        let mut daw = scenario::start_with(plugin, setup, 1, &scenario::opening()).unwrap();
        for opening in 0..OPENINGS {
            let size = daw.plugin().editor().create_editor().unwrap();
            let window = Win32Window::open(size).unwrap();
            daw.plugin().editor().show_editor(window.id()).unwrap();
            wait(&mut daw, &window, true);
            // Some are closed at once, others after some frames.
            for _ in 0..opening % 4 * 5 {
                daw.run_stopped(512).unwrap();
                run_main_thread(&mut daw);
            }
            daw.plugin().editor().destroy_editor().unwrap();
            wait(&mut daw, &window, false);
        }
        daw.finish().unwrap();
    }
}
