//! The editor of the built plugin, CLAP and VST3, in a real window of a real host, on a display
//! nobody sees.
//!
//! `CONTINUO_PICTURE=FILE.png cargo test -p continuo-tests --test window` keeps the picture. One
//! test at a time: a display is named in the environment, which is the whole process's. What it
//! costs is measured when asked: `cargo test -p continuo-tests --test window -- --ignored
//! --nocapture`; `CONTINUO_TEST_BUNDLES` names a folder with other bundles, such as a release's, and
//! `CONTINUO_TEST_MODEL` another model: docs/editor.png has the release's and models/default.

#![cfg(target_os = "linux")]

use std::time::{Duration, Instant};

use continuo_tests::artifacts;
use continuo_tests::daw::Daw;
use continuo_tests::editor_host::{BACKGROUND, EditorHost, OpenResources, TIMEOUT, abort_on_hang};
use continuo_tests::host::{ClapHost, ClapHostConfig, Format};
use continuo_tests::scenario;
use continuo_tests::virtual_display::{HostWindow, VirtualDisplay};
use image::RgbaImage;

/// What twenty windows may leave in memory, in MiB. It was 0 to 5 with Mesa's software OpenGL,
/// and 14 to 74 when threads of closed windows were not waited for.
const MOST_GROWN: f64 = 25.0;

/// Some of the keyboard beside the roll: left, top, width and height in pixels.
const KEYBOARD: (u32, u32, u32, u32) = (8, 100, 42, 160);

/// Colours of the editor's theme: heard and played.
const HEARD: [u8; 3] = [0x5c, 0xb2, 0xff];
const PLAYED: [u8; 3] = [0xff, 0xa5, 0x3d];

/// A display, or `None` and a word about it.
fn screen() -> Option<VirtualDisplay> {
    let screen = VirtualDisplay::start().unwrap();
    match &screen {
        // SAFETY: the one test of this process calls this before it starts a thread.
        Some(screen) => unsafe { std::env::set_var("DISPLAY", &screen.name) },
        None => eprintln!("skipped: Xvfb is not installed (apt-get install xvfb)"),
    }
    screen
}

/// How many pixels are nearly of a colour's hue: notes are darker where they are softer.
fn near(picture: &RgbaImage, [r, g, b]: [u8; 3]) -> usize {
    let close = |p: &&image::Rgba<u8>| {
        let off = |i: usize, to: u8| i32::from(p.0[i]).abs_diff(i32::from(to));
        off(0, r) + off(1, g) + off(2, b) < 100
    };
    picture.pixels().filter(close).count()
}

/// Waits until the window shows what is wanted.
fn wait(daw: &mut Daw, window: &HostWindow, wanted: impl Fn(&RgbaImage) -> bool) {
    let began = Instant::now();
    loop {
        daw.plugin().editor().run_main_thread().unwrap();
        let picture = window.picture().unwrap();
        if wanted(&picture) {
            return;
        }
        assert!(began.elapsed() < TIMEOUT, "the editor never showed it");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Resident memory in MiB, without what the allocator merely keeps.
fn resident() -> f64 {
    unsafe extern "C" {
        fn malloc_trim(pad: usize) -> i32;
    }
    // SAFETY: glibc's, and it may be called at any time.
    unsafe { malloc_trim(0) };
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: f64 = statm.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096.0 / (1 << 20) as f64
}

#[test]
fn editor_opens_shows_notes_and_closes_without_leaks() {
    let alive = abort_on_hang();
    let Some(screen) = screen() else { return };
    for format in [Format::Clap, Format::Vst3] {
        let mut host = EditorHost::new(format, &screen).unwrap();
        let first = host.open().unwrap();
        println!("{format:?}: shown in {first:?} the first time");
        shows_heard_and_played_notes(&mut host, format);
        keys_go_dark_after_a_stop(&mut host);
        obeys_the_pointer(&mut host);
        follows_the_size_of_its_window(&mut host);
        is_resized_by_dragging_its_corner(&mut host);
        learns_a_dropped_file(&mut host);
        host.close().unwrap();
        repeated_opening_leaks_nothing(&mut host, format);
        closes_before_it_is_drawn(&mut host);
        opens_and_closes_beside_the_audio_thread(&mut host);
        host.daw.finish().unwrap();
    }
    opens_without_the_gui_extension_of_the_host(&screen);
    drop(alive);
}

/// A CLAP host that lacks the `clap.gui` extension: the editor opens, and stays as large as it is.
fn opens_without_the_gui_extension_of_the_host(screen: &VirtualDisplay) {
    let config = ClapHostConfig {
        has_gui: false,
        ..ClapHostConfig::default()
    };
    artifacts::use_test_model().unwrap();
    let bundle = artifacts::bundle(Format::Clap).unwrap();
    let plugin = ClapHost::load_with(&bundle, config).unwrap();
    let mut host = EditorHost::with(Box::new(plugin), screen).unwrap();
    host.open().unwrap();
    obeys_the_pointer(&mut host);
    let size = host.window.child_size().unwrap();
    host.window.drag((1036, 676), (700, 500)).unwrap();
    // The drag does reach the editor, which goes back to where it was.
    let began = Instant::now();
    while began.elapsed() < Duration::from_millis(500) || host.window.child_size().unwrap() != size
    {
        assert!(began.elapsed() < TIMEOUT, "the editor does not go back");
        host.daw.plugin().editor().run_main_thread().unwrap();
        std::thread::sleep(Duration::from_millis(5));
    }
    host.close().unwrap();
    host.daw.finish().unwrap();
}

/// Heard, and an answer to it, with some of it still ahead of the playhead.
fn shows_heard_and_played_notes(host: &mut EditorHost, format: Format) {
    // Out of the way: no tooltip is to cover anything.
    host.window.point(1, 1).unwrap();
    host.daw.play_to(scenario::ENTRY + 5.0).unwrap();
    let notes = |picture: &RgbaImage| near(picture, HEARD) > 500 && near(picture, PLAYED) > 500;
    wait(&mut host.daw, &host.window, notes);
    if format != Format::Clap {
        return;
    }
    if let Some(path) = std::env::var_os("CONTINUO_PICTURE") {
        // The range of keys takes a moment to follow the notes.
        std::thread::sleep(Duration::from_secs(1));
        host.window.picture().unwrap().save(path).unwrap();
    }
}

/// How many pixels of the keyboard beside the roll are lit.
fn lit(picture: &RgbaImage) -> usize {
    let (left, top, width, height) = KEYBOARD;
    let keyboard = image::imageops::crop_imm(picture, left, top, width, height).to_image();
    near(&keyboard, HEARD) + near(&keyboard, PLAYED)
}

/// Keys are lit while notes sound, and dark once the host calls for no blocks any more, or says that
/// its transport stands.
fn keys_go_dark_after_a_stop(host: &mut EditorHost) {
    let mut beat = host.daw.clock().beat(host.daw.now());
    for says_so in [false, true] {
        loop {
            beat += 0.25;
            assert!(beat < scenario::ENTRY + 40.0, "no key is ever lit");
            host.daw.play_to(beat).unwrap();
            host.daw.plugin().editor().run_main_thread().unwrap();
            std::thread::sleep(Duration::from_millis(100));
            if lit(&host.window.picture().unwrap()) > 50 {
                break;
            }
        }
        if says_so {
            host.daw.run_stopped(512).unwrap();
        }
        wait(&mut host.daw, &host.window, |picture| lit(picture) == 0);
    }
}

/// A mode, pressed with a real pointer: the first button is Off, the second Continue.
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

/// The host makes its window smaller and large again.
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

/// A hand drags the editor's lower right corner: the window gets smaller, no smaller than it may
/// be, and large again.
fn is_resized_by_dragging_its_corner(host: &mut EditorHost) {
    let mut size = (1040, 680);
    for (to, expected) in [
        ((720, 520), (724, 524)),
        ((100, 100), (480, 400)),
        ((1036, 676), (1040, 680)),
    ] {
        let (before, began) = (size, Instant::now());
        let mut dragged: Option<Instant> = None;
        while size != expected || host.window.child_size().unwrap() != Some(expected) {
            assert!(
                began.elapsed() < TIMEOUT,
                "never {expected:?}, wanted {size:?}"
            );
            // On a busy machine the editor may see the whole drag at once, and so none.
            let missed = dragged.is_none_or(|at| at.elapsed() > Duration::from_secs(3));
            if size == before && missed {
                let corner = (before.0 as i16 - 4, before.1 as i16 - 4);
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

/// A MIDI file dropped on the window is learned: the project keeps it.
fn learns_a_dropped_file(host: &mut EditorHost) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("dropped on it.mid");
    continuo_score::tune::minuet()
        .to_midi()
        .write_file(&file)
        .unwrap();
    host.window.drop_files(&[&file]).unwrap();
    let name = b"dropped on it.mid";
    let began = Instant::now();
    loop {
        let state = host.daw.plugin().save().unwrap();
        if state.windows(name.len()).any(|part| part == name) {
            return;
        }
        assert!(began.elapsed() < TIMEOUT, "it was never learned");
        host.daw.plugin().editor().run_main_thread().unwrap();
        host.daw.run_stopped(512).unwrap();
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Twenty windows, each drawn before it is closed.
fn repeated_opening_leaks_nothing(host: &mut EditorHost, format: Format) {
    // Once more, for what a graphics driver keeps after the first time.
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
        grown < MOST_GROWN,
        "twenty windows left {grown:.1} MiB behind"
    );
}

/// Twenty windows that are closed before their threads have begun, and twenty that are closed
/// before they are drawn: none waits for ever, and none stays.
fn closes_before_it_is_drawn(host: &mut EditorHost) {
    let before = OpenResources::settled().unwrap();
    let parent = host.window.id;
    for shown in [false, true] {
        for _ in 0..20 {
            let plugin = host.daw.plugin().editor();
            plugin.create_editor().unwrap();
            if shown {
                plugin.show_editor(parent).unwrap();
            }
            plugin.destroy_editor().unwrap();
        }
    }
    let after = OpenResources::settled().unwrap();
    after.no_more_than(before, "forty windows").unwrap();
    assert_eq!(host.window.children().unwrap(), 0, "a window stays");
}

/// Windows that are opened and closed while the audio thread moves a parameter, which the plugin
/// is to show where there is a window: neither thread takes from the other what it is using. A
/// thread that panicked over it ends the process when the plugin is let go of.
fn opens_and_closes_beside_the_audio_thread(host: &mut EditorHost) {
    let before = OpenResources::settled().unwrap();
    let parent = host.window.id;
    let plugin = host.daw.plugin();
    let changes = ["1.5", "0.5"].map(|value| plugin.parameter("temp", value).unwrap());
    let blocks = host
        .daw
        .run_stopped_in_background(&changes, &mut |windows| {
            for _ in 0..100 {
                windows.create_editor()?;
                windows.show_editor(parent)?;
                windows.run_main_thread()?;
                windows.destroy_editor()?;
                windows.run_main_thread()?;
            }
            Ok(())
        });
    assert!(blocks.unwrap() > 100, "the audio thread hardly ran");
    let shown = host.daw.plugin().parameter_text("temp").unwrap();
    assert!(["1.50", "0.50"].contains(&shown.as_str()), "{shown}");
    let after = OpenResources::settled().unwrap();
    after.no_more_than(before, "a hundred windows").unwrap();
}

/// Processor time of this process so far, in seconds.
fn worked() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    // After the name, which may hold anything: fields 14 and 15 are user and system time.
    let fields: Vec<&str> = stat[stat.rfind(')').unwrap() + 2..].split(' ').collect();
    let ticks: f64 = fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap();
    // Linux tells it in hundredths of a second, whatever its own clock.
    ticks / 100.0
}

/// Processor time of a second of each state.
#[test]
#[ignore = "measures; see the file's first lines"]
fn editor_processor_time() {
    let Some(screen) = screen() else { return };
    let mut host = EditorHost::new(Format::Clap, &screen).unwrap();
    let rate = |host: &mut EditorHost, plays: bool, what: &str| {
        let (began, before) = (Instant::now(), worked());
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
        let share = (worked() - before) / began.elapsed().as_secs_f64();
        println!("{what}: {:.1} % of a core", 100.0 * share);
    };
    for plays in [false, true] {
        let how = if plays { "playing" } else { "stopped" };
        rate(&mut host, plays, &format!("{how}, closed"));
        host.open().unwrap();
        rate(&mut host, plays, &format!("{how}, shown"));
        host.daw.plugin().editor().hide_editor(true).unwrap();
        // A window counts as hidden when it has not looked for a second.
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
