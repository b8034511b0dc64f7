//! The editor of the built plugin in a real window of a real host, on a display nobody sees.
//!
//! `CONTINUO_PICTURE=FILE.png cargo test -p continuo-tests --test window` keeps the picture.

#![cfg(target_os = "linux")]

use std::time::{Duration, Instant};

use continuo_tests::host::Format;
use continuo_tests::player::{Blocks, Player};
use continuo_tests::scene;
use continuo_tests::screen::{HostWindow, Screen};
use image::RgbaImage;

/// How long anything may take that the editor does by itself: a model is loaded meanwhile, on
/// a machine that may be busy.
const PATIENCE: Duration = Duration::from_secs(60);

/// What twenty windows may leave in memory, in MiB. With Mesa's software OpenGL it was 14 to
/// 74, whose was not found; this is for leaks beyond that.
const MOST_GROWN: f64 = 300.0;

/// Colours of the editor's theme: its ground, heard and played.
const GROUND: [u8; 3] = [0x14, 0x16, 0x1a];
const HEARD: [u8; 3] = [0x5c, 0xb2, 0xff];
const PLAYED: [u8; 3] = [0xff, 0xa5, 0x3d];

/// A display, or `None` and a word about it.
fn screen() -> Option<Screen> {
    let screen = Screen::start().unwrap();
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
fn wait(player: &mut Player, window: &HostWindow, wanted: impl Fn(&RgbaImage) -> bool) {
    let began = Instant::now();
    loop {
        player.plugin().turn();
        let picture = window.picture().unwrap();
        if wanted(&picture) {
            return;
        }
        assert!(began.elapsed() < PATIENCE, "the editor never showed it");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Threads and open files of this process.
fn held() -> (usize, usize) {
    let count = |folder| std::fs::read_dir(folder).unwrap().count();
    (count("/proc/self/task"), count("/proc/self/fd"))
}

/// The same once it stays so: a thread that was told to end may need a moment.
fn settled() -> (usize, usize) {
    let began = Instant::now();
    let (mut last, mut since) = (held(), Instant::now());
    while since.elapsed() < Duration::from_millis(500) && began.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(20));
        let now = held();
        if now != last {
            (last, since) = (now, Instant::now());
        }
    }
    last
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
fn the_editor_opens_shows_what_is_played_and_leaves_nothing_behind() {
    let Some(screen) = screen() else { return };
    let setup = scene::setup(48_000.0, 120.0, Blocks::Fixed(512));
    let mut player = scene::stage(Format::Clap, setup, 1, &scene::opening()).unwrap();
    let size = player.plugin().make_editor().unwrap();
    let window = HostWindow::open(&screen, size).unwrap();

    let is_drawn = |picture: &RgbaImage| {
        let ground = picture.pixels().filter(|p| p.0[..3] == GROUND).count();
        ground > 1000
    };
    let show = |player: &mut Player| {
        let began = Instant::now();
        player.plugin().show_editor(window.id).unwrap();
        wait(player, &window, is_drawn);
        began.elapsed()
    };
    let open = |player: &mut Player| {
        let began = Instant::now();
        player.plugin().make_editor().unwrap();
        show(player);
        began.elapsed()
    };
    // Always of a window that was drawn: baseview 0.4 may wait forever for the thread of one
    // that is closed before its thread has begun.
    let close = |player: &mut Player| {
        player.plugin().drop_editor().unwrap();
        let began = Instant::now();
        while window.children().unwrap() > 0 {
            assert!(began.elapsed() < PATIENCE, "the editor's window stays");
            std::thread::sleep(Duration::from_millis(2));
        }
    };

    println!("shown in {:?} the first time", show(&mut player));
    // Out of the way: no tooltip is to cover anything.
    window.point(1, 1).unwrap();
    // Heard, and an answer to it, with some of it still ahead of the playhead.
    player.play_to(scene::ENTRY + 5.0).unwrap();
    let notes = |picture: &RgbaImage| near(picture, HEARD) > 500 && near(picture, PLAYED) > 500;
    wait(&mut player, &window, notes);
    // The range of keys takes a moment to follow the notes.
    std::thread::sleep(Duration::from_secs(1));
    let picture = window.picture().unwrap();
    if let Some(path) = std::env::var_os("CONTINUO_PICTURE") {
        picture.save(path).unwrap();
    }

    // A mode, pressed with a real pointer: the first button is Off.
    assert_eq!(player.plugin().shown("mode").unwrap(), "Continue");
    window.click(25, 20).unwrap();
    let began = Instant::now();
    while player.plugin().shown("mode").unwrap() != "Off" {
        assert!(began.elapsed() < PATIENCE, "the button did nothing");
        player.plugin().turn();
        player.stand(512).unwrap();
        std::thread::sleep(Duration::from_millis(10));
    }

    close(&mut player);
    // Once more, for what a graphics driver keeps after the first time.
    open(&mut player);
    close(&mut player);
    let (before, memory) = (settled(), resident());
    let mut times: Vec<_> = (0..20)
        .map(|_| {
            let time = open(&mut player);
            close(&mut player);
            time
        })
        .collect();
    times.sort();
    let after = settled();
    assert!(
        after.0 <= before.0 && after.1 <= before.1,
        "{before:?} threads and files before twenty windows, {after:?} after"
    );
    let grown = resident() - memory;
    println!(
        "20 times: median {:?}, longest {:?}; {grown:.1} MiB more",
        times[10], times[19]
    );
    assert!(
        grown < MOST_GROWN,
        "twenty windows left {grown:.1} MiB behind"
    );
    player.finish().unwrap();
}
