//! Notes dragged out of the editor of the built CLAP and VST3 into windows of another program.
//!
//! There is one test, since the display and the temporary folder are named in the environment of the whole process.

#![cfg(target_os = "linux")]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use continuo_score::midi::{self, MidiFile};
use continuo_tests::assertions::{self, GridNote};
use continuo_tests::drop_target::{Conduct, DropEvent, DropTarget};
use continuo_tests::editor_host::{EditorHost, OpenResources, TIMEOUT, abort_on_hang};
use continuo_tests::host::Format;
use continuo_tests::scenario::{self, STEPS_PER_BEAT};
use continuo_tests::virtual_display::VirtualDisplay;

/// Colour of the text of *Panic*, in the row of the tile.
const BAD: [u8; 3] = [0xff, 0x7b, 0x72];

/// Left part of the tile "Drag answer", in pixels from the window's left edge.
const TILE: i16 = 470;

/// Right of the host's window: the target, a position in it, and one beside it.
const TARGET: (i16, i16) = (1200, 200);
const INSIDE: (i16, i16) = (1300, 300);
const BESIDE: (i16, i16) = (1300, 800);
const LAST: DropEvent = DropEvent::Positioned(INSIDE.0, INSIDE.1);

/// Where the answer is stopped, in quarter notes.
const STOP: f64 = scenario::ENTRY + 5.0;

#[test]
fn answer_is_dragged_into_another_window_as_a_midi_file() -> Result<()> {
    let alive = abort_on_hang();
    let Some(display) = VirtualDisplay::start()? else {
        eprintln!("skipped: Xvfb is not installed (apt-get install xvfb)");
        return Ok(());
    };
    // The files that are dragged go with it.
    let temporary = tempfile::tempdir()?;
    // SAFETY: the one test of this process calls this before it starts a thread that reads them.
    unsafe {
        std::env::set_var("DISPLAY", &display.name);
        std::env::set_var("TMPDIR", temporary.path());
    }
    for format in [Format::Clap, Format::Vst3] {
        let mut drags = Drags::start(format, display.name.clone(), &display)?;
        drags.file_holds_the_answer()?;
        drags.selected_bars_are_a_file_of_their_length()?;
        drags.late_target_finds_the_file()?;
        drags.refusals_change_nothing()?;
        drags.silent_target_delays_nothing()?;
        drags.escape_cancels()?;
        drags.own_window_learns_nothing()?;
        drags.closing_leaves_no_thread()?;
        drags.host.daw.finish()?;
    }
    drop(alive);
    Ok(())
}

/// A host with an answer, and the tile in its editor.
struct Drags {
    host: EditorHost,
    display: String,
    answer: Vec<GridNote>,
    tile: (i16, i16),
}

impl Drags {
    fn start(format: Format, name: String, display: &VirtualDisplay) -> Result<Self> {
        let mut host = EditorHost::new(format, display)?;
        host.open()?;
        host.window.point(1, 1)?;
        host.daw.play_to(STOP)?;
        let end = host.daw.now();
        host.daw.run_stopped(1000)?;
        let notes = assertions::pair_notes(host.daw.sent())?;
        let clock = host.daw.clock();
        let answer = assertions::place_on_grid(&notes, clock, STEPS_PER_BEAT, end)?;
        ensure!(!answer.is_empty(), "no answer");
        let row = host.wait("Panic is drawn", |host| {
            let picture = host.window.picture()?;
            let close = |p: &image::Rgba<u8>| {
                let distances = (0..3).map(|i| p.0[i].abs_diff(BAD[i]));
                distances.max().is_some_and(|distance| distance < 40)
            };
            // Problems in the status line have the colour, too.
            let below = |x: u32, y: u32| x > 960 && y > 200;
            let rows = picture.enumerate_pixels();
            let rows = rows.filter(|&(x, y, p)| below(x, y) && close(p));
            let rows: Vec<_> = rows.map(|(_, y, _)| y).collect();
            Ok((rows.len() > 20).then(|| rows[rows.len() / 2]))
        })?;
        Ok(Self {
            host,
            display: name,
            answer,
            tile: (TILE, i16::try_from(row)?),
        })
    }

    fn target(&self, conduct: Conduct) -> Result<DropTarget> {
        DropTarget::open(&self.display, TARGET, conduct)
    }

    /// Waits for the target's next event, while the host works.
    fn next(&mut self, target: &DropTarget) -> Result<DropEvent> {
        let event = self.next_within(target, TIMEOUT)?;
        event.context("no event of the target")
    }

    fn next_within(&mut self, target: &DropTarget, time: Duration) -> Result<Option<DropEvent>> {
        let began = Instant::now();
        self.host.wait("an event of the target", |_| {
            let event = target.try_next();
            Ok((event.is_some() || began.elapsed() > time).then_some(event))
        })
    }

    /// Holds a tile over the target until the target was entered. On a busy machine the editor may receive
    /// press and motion at once and miss the drag; then it is repeated.
    fn enter(&mut self, tile: (i16, i16), target: &DropTarget) -> Result<()> {
        let mut entered = None;
        for number in 0..5 {
            self.host.window.hold(tile, INSIDE)?;
            entered = self.next_within(target, Duration::from_secs(4))?;
            if entered.is_some() {
                break;
            }
            println!("the editor missed drag {number}");
            self.host.window.release(INSIDE)?;
        }
        let types = vec!["text/uri-list".to_string()];
        ensure!(entered == Some(DropEvent::Entered(types)), "{entered:?}");
        // The first position on the way; the last one, where that is answered.
        let mut position = self.next(target)?;
        while target.conduct != Conduct::Silent && position != LAST {
            position = self.next(target)?;
        }
        ensure!(
            matches!(position, DropEvent::Positioned(..)),
            "{position:?}"
        );
        Ok(())
    }

    /// Drops a tile on the target, and returns the file's path.
    fn drop_on(&mut self, tile: (i16, i16), target: &DropTarget) -> Result<PathBuf> {
        self.enter(tile, target)?;
        self.host.window.release(INSIDE)?;
        match self.next(target)? {
            DropEvent::Dropped(list) => path(&list),
            other => anyhow::bail!("{other:?}"),
        }
    }

    fn file_holds_the_answer(&mut self) -> Result<()> {
        let target = self.target(Conduct::Accepts(Duration::ZERO))?;
        let path = self.drop_on(self.tile, &target)?;
        ensure!(path.ends_with("Continuo last answer.mid"), "{path:?}");
        let file = read(&path)?;
        // The file begins with the answer's bar.
        let notes = placed(&file, scenario::ENTRY);
        let expected = expected(&self.answer);
        ensure!(notes == expected, "{notes:?}, not {expected:?}");
        target.close()
    }

    /// Selects the first bar of the answer in the ruler: the playhead is at 679 pixels, and a quarter
    /// note has 30. The tile lies right of *Regenerate*, at the bar's left edge.
    fn selected_bars_are_a_file_of_their_length(&mut self) -> Result<()> {
        let x = |beat: f64| (679.0 - (STOP - beat) * 30.0) as i16;
        let (from, to) = (scenario::ENTRY, scenario::ENTRY + 3.0);
        let bar = (x(from + 1.5), 70);
        self.wait_until_still()?;
        self.host.window.click(bar.0, bar.1)?;
        self.wait_until_still()?;
        let target = self.target(Conduct::Accepts(Duration::ZERO))?;
        let path = self.drop_on((x(from) + 210, 95), &target)?;
        ensure!(path.ends_with("Continuo bar 6.mid"), "{path:?}");
        let file = read(&path)?;
        let steps = [from, to].map(|beat| (beat * f64::from(STEPS_PER_BEAT)) as i64);
        let mut expected = expected(&self.answer);
        expected.retain(|(step, ..)| (steps[0]..steps[1]).contains(step));
        ensure!(!expected.is_empty() && expected.len() < self.answer.len());
        let notes = placed(&file, from);
        ensure!(notes == expected, "{notes:?}, not {expected:?}");
        ensure!(
            file.end >= 3 * u64::from(file.ticks_per_beat),
            "{}",
            file.end
        );
        self.host.window.click(bar.0, bar.1)?;
        target.close()
    }

    fn late_target_finds_the_file(&mut self) -> Result<()> {
        let target = self.target(Conduct::Accepts(Duration::from_secs(3)))?;
        let path = self.drop_on(self.tile, &target)?;
        let notes = placed(&read(&path)?, scenario::ENTRY);
        ensure!(notes.len() == self.answer.len());
        target.close()
    }

    fn refusals_change_nothing(&mut self) -> Result<()> {
        let target = self.target(Conduct::Accepts(Duration::ZERO))?;
        self.enter(self.tile, &target)?;
        self.host.window.point(BESIDE.0, BESIDE.1)?;
        ensure!(self.next(&target)? == DropEvent::Left);
        self.host.window.release(BESIDE)?;
        self.settle()?;
        ensure!(target.try_next().is_none(), "an event after it was left");
        target.close()?;

        let target = self.target(Conduct::Refuses)?;
        self.enter(self.tile, &target)?;
        self.host.window.release(INSIDE)?;
        ensure!(self.next(&target)? == DropEvent::Left);
        target.close()?;

        let target = self.target(Conduct::Unaware)?;
        self.host.window.drag(self.tile, INSIDE)?;
        self.settle()?;
        ensure!(target.try_next().is_none());
        target.close()
    }

    fn silent_target_delays_nothing(&mut self) -> Result<()> {
        let target = self.target(Conduct::Silent)?;
        self.enter(self.tile, &target)?;
        self.host.window.release(INSIDE)?;
        let began = Instant::now();
        // The editor obeys meanwhile: the first button is Off, the second Continue.
        self.host.window.click(25, 20)?;
        self.host.wait_for("mode", "Off")?;
        self.host.window.click(90, 20)?;
        self.host.wait_for("mode", "Continue")?;
        ensure!(self.next(&target)? == DropEvent::Left);
        println!("a silent target was left after {:?}", began.elapsed());
        target.close()
    }

    fn escape_cancels(&mut self) -> Result<()> {
        const ESCAPE: u32 = 0xff1b;
        let target = self.target(Conduct::Accepts(Duration::ZERO))?;
        self.enter(self.tile, &target)?;
        self.host
            .window
            .hold_key(ESCAPE, Duration::from_millis(200))?;
        ensure!(self.next(&target)? == DropEvent::Left);
        self.host.window.release(INSIDE)?;
        self.settle()?;
        ensure!(target.try_next().is_none());
        target.close()
    }

    fn own_window_learns_nothing(&mut self) -> Result<()> {
        self.host.window.drag(self.tile, (500, 200))?;
        self.settle()?;
        let state = self.host.daw.plugin().save()?;
        let name = b"last answer.mid";
        let learned = state.windows(name.len()).any(|part| part == name);
        ensure!(!learned, "the editor learned its own answer");
        Ok(())
    }

    /// While a target fetches nothing after the drop, the editor closes and the plugin goes.
    fn closing_leaves_no_thread(&mut self) -> Result<()> {
        self.host.close()?;
        let before = OpenResources::settled()?;
        self.host.open()?;
        let target = self.target(Conduct::Silent)?;
        self.enter(self.tile, &target)?;
        self.host.close()?;
        self.host.window.release(INSIDE)?;
        ensure!(self.next(&target)? == DropEvent::Left);
        target.close()?;
        OpenResources::settled()?.no_more_than(before, "a drag out of a closed window")
    }

    /// Waits until the roll no longer moves to the playhead.
    fn wait_until_still(&mut self) -> Result<()> {
        let (mut last, mut since) = (self.host.window.picture()?, Instant::now());
        self.host.wait("the picture stays the same", |host| {
            let picture = host.window.picture()?;
            if picture != last {
                (last, since) = (picture, Instant::now());
            }
            Ok((since.elapsed() > Duration::from_millis(500)).then_some(()))
        })
    }

    /// Lets the drag end.
    fn settle(&mut self) -> Result<()> {
        let began = Instant::now();
        self.host.wait("half a second", |_| {
            Ok((began.elapsed() > Duration::from_millis(500)).then_some(()))
        })
    }
}

fn read(path: &Path) -> Result<MidiFile> {
    midi::read_bytes(&std::fs::read(path)?).map_err(anyhow::Error::msg)
}

/// The path in a `text/uri-list` with one file.
fn path(list: &str) -> Result<PathBuf> {
    let uri = list.strip_suffix("\r\n").context("no CRLF")?;
    let path = uri.strip_prefix("file://").context("no file URI")?;
    ensure!(
        path.starts_with('/') && !path.contains([' ', '\r', '\n']),
        "{path}"
    );
    Ok(path.replace("%20", " ").into())
}

/// Step, key and velocity of each note.
fn expected(answer: &[GridNote]) -> Vec<(i64, u8, u8)> {
    let notes = answer.iter().map(|n| (n.step, n.key, n.velocity));
    let mut notes: Vec<_> = notes.collect();
    notes.sort_unstable();
    notes
}

/// The same of the notes in a file that begins at beat `origin`.
fn placed(file: &MidiFile, origin: f64) -> Vec<(i64, u8, u8)> {
    let ticks = f64::from(file.ticks_per_beat);
    let step = |tick: u64| (tick as f64 / ticks + origin) * f64::from(STEPS_PER_BEAT);
    let notes = file.notes.iter();
    let mut notes: Vec<_> = notes
        .map(|n| (step(n.start).round() as i64, n.pitch, n.velocity))
        .collect();
    notes.sort_unstable();
    notes
}
