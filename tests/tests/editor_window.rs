//! The editor of the built CLAP and VST3 in a host's window on a virtual display.
//!
//! There is one test, since the display is named in the environment of the whole process. Options:
//!
//! - `CONTINUO_PICTURE=FILE.png cargo test -p continuo-tests --test editor_window` saves a picture.
//! - `cargo test -p continuo-tests --test editor_window -- --ignored --nocapture` measures processor time.
//! - `CONTINUO_TEST_BUNDLES` and `CONTINUO_TEST_MODEL` select other bundles and another model:
//!   docs/editor.png has the release bundle and models/default.

#![cfg(target_os = "linux")]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use continuo_files::{Output, Replace, kind};
use continuo_synth::wav::write_wav;
use continuo_tests::artifacts;
use continuo_tests::daw::Daw;
use continuo_tests::editor_host::{BACKGROUND, EditorHost, OpenResources, TIMEOUT, abort_on_hang};
use continuo_tests::host::{ClapHost, ClapHostConfig, Format};
use continuo_tests::scenario;
use continuo_tests::virtual_display::{HostWindow, VirtualDisplay};
use image::RgbaImage;

/// Greatest growth of memory after twenty windows, in MiB. Mesa's software OpenGL grows by 0 to 5; threads
/// of closed windows that are not joined, by 14 to 74.
const MAX_GROWTH: f64 = 25.0;

/// A part of the keyboard beside the piano roll: left, top, width and height in pixels.
const KEYBOARD: (u32, u32, u32, u32) = (8, 100, 42, 160);

/// Colours of input notes and generated notes in the editor's theme.
const HEARD: [u8; 3] = [0x5c, 0xb2, 0xff];
const PLAYED: [u8; 3] = [0xff, 0xa5, 0x3d];

/// Starts a display, or prints why the test is skipped.
fn display() -> Option<VirtualDisplay> {
    let display = VirtualDisplay::start().unwrap();
    match &display {
        // SAFETY: the one test of this process calls this before it starts a thread.
        Some(display) => unsafe { std::env::set_var("DISPLAY", &display.name) },
        None => eprintln!("skipped: Xvfb is not installed (apt-get install xvfb)"),
    }
    display
}

/// Number of pixels close to a colour. Softer notes are darker.
fn count_near(picture: &RgbaImage, [r, g, b]: [u8; 3]) -> usize {
    let close = |p: &&image::Rgba<u8>| {
        let off = |i: usize, to: u8| i32::from(p.0[i]).abs_diff(i32::from(to));
        off(0, r) + off(1, g) + off(2, b) < 100
    };
    picture.pixels().filter(close).count()
}

/// Waits until the window's picture fulfils a condition.
fn wait(daw: &mut Daw, window: &HostWindow, condition: impl Fn(&RgbaImage) -> bool) {
    let began = Instant::now();
    loop {
        daw.plugin().editor().run_main_thread().unwrap();
        let picture = window.picture().unwrap();
        if condition(&picture) {
            return;
        }
        assert!(
            began.elapsed() < TIMEOUT,
            "the editor did not show it within {TIMEOUT:?}"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Resident memory in MiB after the allocator has returned free memory.
fn resident() -> f64 {
    unsafe extern "C" {
        fn malloc_trim(pad: usize) -> i32;
    }
    // SAFETY: a function of glibc that may be called at any time.
    unsafe { malloc_trim(0) };
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: f64 = statm.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096.0 / (1 << 20) as f64
}

#[test]
fn editor_opens_shows_notes_and_closes_without_leaks() {
    let alive = abort_on_hang();
    let Some(display) = display() else { return };
    for format in [Format::Clap, Format::Vst3] {
        let mut host = EditorHost::new(format, &display).unwrap();
        let first = host.open().unwrap();
        println!("{format:?}: shown in {first:?} the first time");
        shows_heard_and_played_notes(&mut host, format);
        keys_go_dark_after_a_stop(&mut host);
        obeys_the_pointer(&mut host);
        follows_the_size_of_its_window(&mut host);
        is_resized_by_dragging_its_corner(&mut host);
        learns_dropped_files(&mut host, format);
        host.close().unwrap();
        repeated_opening_leaks_nothing(&mut host, format);
        closes_before_it_is_drawn(&mut host);
        opens_and_closes_beside_the_audio_thread(&mut host);
        host.daw.finish().unwrap();
    }
    opens_without_the_gui_extension_of_the_host(&display);
    drop(alive);
}

/// In a CLAP host without the `clap.gui` extension the editor opens and keeps its size.
fn opens_without_the_gui_extension_of_the_host(display: &VirtualDisplay) {
    let config = ClapHostConfig {
        has_gui: false,
        ..ClapHostConfig::default()
    };
    artifacts::use_test_model().unwrap();
    let bundle = artifacts::bundle(Format::Clap).unwrap();
    let plugin = ClapHost::load_with(&bundle, config).unwrap();
    let mut host = EditorHost::with(Box::new(plugin), display).unwrap();
    host.open().unwrap();
    obeys_the_pointer(&mut host);
    let size = host.window.child_size().unwrap();
    host.window.drag((1036, 676), (700, 500)).unwrap();
    // The drag reaches the editor, which returns to its size.
    let began = Instant::now();
    while began.elapsed() < Duration::from_millis(500) || host.window.child_size().unwrap() != size
    {
        assert!(
            began.elapsed() < TIMEOUT,
            "the editor does not return to its size"
        );
        host.daw.plugin().editor().run_main_thread().unwrap();
        std::thread::sleep(Duration::from_millis(5));
    }
    host.close().unwrap();
    host.daw.finish().unwrap();
}

/// Shows the input and the answer, some of it ahead of the playhead.
fn shows_heard_and_played_notes(host: &mut EditorHost, format: Format) {
    // Away from controls, so that no tooltip covers anything.
    host.window.point(1, 1).unwrap();
    let picture = std::env::var_os("CONTINUO_PICTURE").filter(|_| format == Format::Clap);
    if picture.is_some() {
        let defaults = [("temp", "1"), ("temp_rhythm", "1"), ("top_p", "0.98")];
        host.daw.set(&defaults).unwrap();
    }
    host.daw.play_to(scenario::ENTRY + 5.0).unwrap();
    let notes =
        |picture: &RgbaImage| count_near(picture, HEARD) > 500 && count_near(picture, PLAYED) > 500;
    wait(&mut host.daw, &host.window, notes);
    if let Some(path) = picture {
        // The range of keys follows the notes with an animation.
        std::thread::sleep(Duration::from_secs(1));
        host.window.picture().unwrap().save(path).unwrap();
    }
}

/// Number of lit pixels of the keyboard beside the piano roll.
fn lit(picture: &RgbaImage) -> usize {
    let (left, top, width, height) = KEYBOARD;
    let keyboard = image::imageops::crop_imm(picture, left, top, width, height).to_image();
    count_near(&keyboard, HEARD) + count_near(&keyboard, PLAYED)
}

/// Keys are lit while notes sound. They go dark when the host stops processing or reports a stop.
fn keys_go_dark_after_a_stop(host: &mut EditorHost) {
    let mut beat = host.daw.clock().beat(host.daw.now());
    for reports_stop in [false, true] {
        loop {
            beat += 0.25;
            assert!(beat < scenario::ENTRY + 40.0, "no key is lit");
            host.daw.play_to(beat).unwrap();
            host.daw.plugin().editor().run_main_thread().unwrap();
            std::thread::sleep(Duration::from_millis(100));
            if lit(&host.window.picture().unwrap()) > 50 {
                break;
            }
        }
        if reports_stop {
            host.daw.run_stopped(512).unwrap();
        }
        wait(&mut host.daw, &host.window, |picture| lit(picture) == 0);
    }
}

/// Selects modes with the pointer: the first button is Off, the second Continue.
fn obeys_the_pointer(host: &mut EditorHost) {
    assert_eq!(
        host.daw.plugin().parameter_text("mode").unwrap(),
        "Continue"
    );
    host.window.click(25, 20).unwrap();
    host.wait_for("mode", "Off").unwrap();
    host.window.click(90, 20).unwrap();
    host.wait_for("mode", "Continue").unwrap();
}

/// The host shrinks and enlarges its window.
fn follows_the_size_of_its_window(host: &mut EditorHost) {
    for (width, height) in [(560, 480), (1040, 680)] {
        let plugin = host.daw.plugin().editor();
        plugin.resize_editor(width, height).unwrap();
        let began = Instant::now();
        while host.window.child_size().unwrap() != Some((width, height)) {
            assert!(began.elapsed() < TIMEOUT, "never {width} x {height}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Dragging the editor's lower right corner shrinks the window, to its minimum at most, and enlarges it.
fn is_resized_by_dragging_its_corner(host: &mut EditorHost) {
    let mut size = (1040, 680);
    for (to, expected) in [
        ((720, 520), (724, 524)),
        ((100, 100), (480, 400)),
        ((1036, 676), (1040, 680)),
    ] {
        let began = Instant::now();
        let mut dragged: Option<Instant> = None;
        while size != expected || host.window.child_size().unwrap() != Some(expected) {
            assert!(
                began.elapsed() < TIMEOUT,
                "never {expected:?}, wanted {size:?}"
            );
            // On a busy machine the editor may receive the whole drag at once and miss it, or its end.
            let missed = dragged.is_none_or(|at| at.elapsed() > Duration::from_secs(3));
            if size != expected && missed {
                let corner = (size.0 as i16 - 4, size.1 as i16 - 4);
                host.window.drag(corner, to).unwrap();
                dragged = Some(Instant::now());
            }
            let plugin = host.daw.plugin().editor();
            plugin.run_main_thread().unwrap();
            if let Some(wanted) = plugin.requested_size() {
                size = wanted;
                host.window.resize(size).unwrap();
                plugin.resize_editor(size.0, size.1).unwrap();
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// A MIDI file and a recording that are dropped on the window are learned and part of the saved state.
/// The recording is left out where the bundle has no ear.
fn learns_dropped_files(host: &mut EditorHost, format: Format) {
    let folder = tempfile::tempdir().unwrap();
    let music = continuo_score::tune::minuet().ended_at(4 * 36).to_midi();
    let mut files = vec![folder.path().join("dropped on it.mid")];
    music.write_file(&files[0]).unwrap();
    if artifacts::bundled_ear(format).unwrap().is_some() {
        let recording = folder.path().join("dropped on it.wav");
        let output = Output::check(&recording, &kind::WAV, Replace::SameKind).unwrap();
        write_wav(&music, 0..music.end, &output, 22_050, &mut |_| ()).unwrap();
        files.push(recording);
    }
    let paths: Vec<&Path> = files.iter().map(PathBuf::as_path).collect();
    host.window.drop_files(&paths).unwrap();
    let began = Instant::now();
    let is_learned = |state: &[u8], path: &Path| {
        let name = path.file_name().unwrap().as_encoded_bytes();
        state.windows(name.len()).any(|part| part == name)
    };
    loop {
        let state = host.daw.plugin().save().unwrap();
        if paths.iter().all(|path| is_learned(&state, path)) {
            return;
        }
        assert!(
            began.elapsed() < TIMEOUT,
            "{paths:?} were not learned within {TIMEOUT:?}"
        );
        host.daw.plugin().editor().run_main_thread().unwrap();
        host.daw.run_stopped(512).unwrap();
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Opens twenty windows, each drawn before it is closed.
fn repeated_opening_leaks_nothing(host: &mut EditorHost, format: Format) {
    // Once before counting, for what the graphics driver allocates first.
    host.open().unwrap();
    host.close().unwrap();
    let (before, memory) = (OpenResources::settled().unwrap(), resident());
    let mut times: Vec<_> = (0..20)
        .map(|_| {
            let time = host.open().unwrap();
            host.close().unwrap();
            time
        })
        .collect();
    times.sort();
    let after = OpenResources::settled().unwrap();
    after.no_more_than(before, "twenty windows").unwrap();
    let grown = resident() - memory;
    println!(
        "{format:?}: 20 times: median {:?}, longest {:?}; {grown:.1} MiB more",
        times[10], times[19]
    );
    assert!(
        grown < MAX_GROWTH,
        "twenty windows left {grown:.1} MiB behind"
    );
}

/// Destroys twenty editors before their threads start, and twenty before they are drawn: none hangs and
/// none stays.
fn closes_before_it_is_drawn(host: &mut EditorHost) {
    let before = OpenResources::settled().unwrap();
    let parent = host.window.id;
    for shown in [false, true] {
        for _ in 0..20 {
            let plugin = host.daw.plugin().editor();
            plugin.create_editor().unwrap();
            if shown {
                plugin.show_editor(parent as usize).unwrap();
            }
            plugin.destroy_editor().unwrap();
        }
    }
    let after = OpenResources::settled().unwrap();
    after.no_more_than(before, "forty windows").unwrap();
    assert_eq!(host.window.children().unwrap(), 0, "a window stays");
}

/// Opens and closes windows while the audio thread changes a parameter that the editor shows. A panic of
/// either thread would end the process when the plugin is dropped.
fn opens_and_closes_beside_the_audio_thread(host: &mut EditorHost) {
    let before = OpenResources::settled().unwrap();
    let parent = host.window.id;
    let plugin = host.daw.plugin();
    let changes = ["1.5", "0.5"].map(|value| plugin.parameter("temp", value).unwrap());
    let blocks = host.daw.run_stopped_in_background(&changes, &mut |editor| {
        for _ in 0..100 {
            editor.create_editor()?;
            editor.show_editor(parent as usize)?;
            editor.run_main_thread()?;
            editor.destroy_editor()?;
            editor.run_main_thread()?;
        }
        Ok(())
    });
    assert!(
        blocks.unwrap() > 100,
        "the audio thread processed too few blocks"
    );
    let shown = host.daw.plugin().parameter_text("temp").unwrap();
    assert!(["1.50", "0.50"].contains(&shown.as_str()), "{shown}");
    let after = OpenResources::settled().unwrap();
    after.no_more_than(before, "a hundred windows").unwrap();
}

/// Processor time of this process in seconds.
fn processor_time() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    // Fields after the name, which may contain spaces: 14 and 15 are user and system time.
    let fields: Vec<&str> = stat[stat.rfind(')').unwrap() + 2..].split(' ').collect();
    let ticks: f64 = fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap();
    // Linux reports hundredths of a second.
    ticks / 100.0
}

/// Prints the share of a core that each state takes.
#[test]
#[ignore = "measures; see the head of the file"]
fn editor_processor_time() {
    let Some(display) = display() else { return };
    let mut host = EditorHost::new(Format::Clap, &display).unwrap();
    let rate = |host: &mut EditorHost, plays: bool, what: &str| {
        let (began, before) = (Instant::now(), processor_time());
        let beat = host.daw.clock().beat(host.daw.now());
        while began.elapsed() < Duration::from_secs(4) {
            if plays {
                let beat = beat + began.elapsed().as_secs_f64() * 2.0;
                host.daw.play_to(beat).unwrap();
            } else {
                host.daw.run_stopped(512).unwrap();
            }
            host.daw.plugin().editor().run_main_thread().unwrap();
            std::thread::sleep(Duration::from_millis(10));
        }
        let share = (processor_time() - before) / began.elapsed().as_secs_f64();
        println!("{what}: {:.1} % of a core", 100.0 * share);
    };
    for plays in [false, true] {
        let how = if plays { "playing" } else { "stopped" };
        rate(&mut host, plays, &format!("{how}, closed"));
        host.open().unwrap();
        rate(&mut host, plays, &format!("{how}, shown"));
        host.daw.plugin().editor().hide_editor(true).unwrap();
        // The editor needs some time to notice that it is hidden.
        std::thread::sleep(Duration::from_millis(200));
        rate(&mut host, plays, &format!("{how}, hidden"));
        host.daw.plugin().editor().hide_editor(false).unwrap();
        while host.window.pixel(3, 3).unwrap() != BACKGROUND {
            std::thread::sleep(Duration::from_millis(5));
        }
        host.close().unwrap();
    }
    host.daw.finish().unwrap();
}
