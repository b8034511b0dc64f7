//! The editor of the built CLAP and VST3 through a screen reader's interface (AT-SPI, on a session bus of
//! the test) and the keyboard.
//!
//! There is one test, since display and bus are named in the environment of the whole process.

#![cfg(target_os = "linux")]

mod reader;

use anyhow::{Context, Result, ensure};
use atspi::Role;
use continuo_tests::editor_host::{EditorHost, OpenResources, abort_on_hang};
use continuo_tests::host::Format;
use continuo_tests::virtual_display::VirtualDisplay;

use reader::{Node, ScreenReader, SessionBus};

/// Accessible name of the editor's window.
const WINDOW: &str = "Continuo";

/// X11 keysyms.
const TAB: u32 = 0xff09;
const RETURN: u32 = 0xff0d;
const ESCAPE: u32 = 0xff1b;
const LEFT: u32 = 0xff51;
const HOME: u32 = 0xff50;
const SPACE: u32 = 0x20;
const PERIOD: u32 = 0x2e;
const ONE: u32 = 0x31;

/// Starts a display, a session bus and a screen reader, or prints why the test is skipped.
fn desktop() -> Result<Option<(VirtualDisplay, SessionBus, ScreenReader)>> {
    let missing = |what| {
        eprintln!("skipped: {what}");
        Ok(None)
    };
    let Some(display) = VirtualDisplay::start()? else {
        return missing("Xvfb is not installed (apt-get install xvfb)");
    };
    let Some(session) = SessionBus::start(&display.name)? else {
        return missing("D-Bus is not installed (apt-get install dbus)");
    };
    let Some(reader) = ScreenReader::new(&session)? else {
        return missing("AT-SPI is not installed (apt-get install at-spi2-core)");
    };
    // SAFETY: the one test of this process calls this before any thread reads the environment; the
    // reader's threads have read theirs.
    unsafe {
        std::env::set_var("DISPLAY", &display.name);
        std::env::set_var("DBUS_SESSION_BUS_ADDRESS", &session.address);
        std::env::remove_var("AT_SPI_BUS_ADDRESS");
    }
    Ok(Some((display, session, reader)))
}

#[test]
fn screen_reader_and_keyboard_operate_every_control() -> Result<()> {
    let alive = abort_on_hang();
    let Some((display, _session, reader)) = desktop()? else {
        return Ok(());
    };
    for format in [Format::Clap, Format::Vst3] {
        let mut host = EditorHost::new(format, &display)?;
        is_hidden_until_a_reader_asks(&mut host, &reader)?;
        let nodes = window(&mut host, &reader)?;
        controls_have_names_and_roles(&nodes)?;
        controls_obey_the_reader(&mut host, &reader)?;
        keyboard_focus_decides_who_gets_a_key(&mut host, &reader)?;
        tree_follows_the_reader(&mut host, &reader)?;
        repeated_opening_leaks_nothing(&mut host, &reader)?;
        reader.set_active(false)?;
        host.daw.finish()?;
    }
    drop(alive);
    Ok(())
}

/// The nodes of the editor's window, once there is one with controls.
fn window(host: &mut EditorHost, reader: &ScreenReader) -> Result<Vec<Node>> {
    host.wait("a screen reader sees one window", |_| {
        let mut windows = reader.windows(WINDOW);
        let whole = windows.len() == 1 && windows[0].len() > 20;
        Ok(if whole { windows.pop() } else { None })
    })
}

/// The node of this role and name; there must be only one.
fn find(host: &mut EditorHost, reader: &ScreenReader, role: Role, name: &str) -> Result<Node> {
    host.wait(&format!("there is a {role:?} {name:?}"), |_| {
        let nodes = reader.windows(WINDOW).into_iter().flatten();
        let mut found: Vec<_> = nodes
            .filter(|node| node.role == role && node.name == name)
            .collect();
        ensure!(found.len() < 2, "more than one {role:?} {name:?}");
        Ok(found.pop())
    })
}

/// Waits until the node of this name has the focus.
fn wait_focus(host: &mut EditorHost, reader: &ScreenReader, name: &str) -> Result<()> {
    host.wait(&format!("{name:?} has the focus"), |_| {
        let mut nodes = reader.windows(WINDOW).into_iter().flatten();
        Ok(nodes
            .any(|node| node.focused && node.name == name)
            .then_some(()))
    })
}

fn is_hidden_until_a_reader_asks(host: &mut EditorHost, reader: &ScreenReader) -> Result<()> {
    host.open()?;
    ensure!(
        reader.count(WINDOW) == 0,
        "the window is visible without a reader"
    );
    reader.set_active(true)
}

/// The window comes first, every kind of control exists, and every control has a name.
fn controls_have_names_and_roles(nodes: &[Node]) -> Result<()> {
    ensure!(nodes[0].role == Role::Frame, "{:?}", nodes[0]);
    for (role, name) in [
        (Role::Button, "Panic"),
        (Role::ToggleButton, "Mode: Continue"),
        (Role::Slider, "Temperature"),
        (Role::CheckBox, "Through"),
        (Role::ComboBox, "Scale"),
    ] {
        let found = nodes.iter().filter(|node| node.name == name);
        let roles: Vec<_> = found.map(|node| node.role).collect();
        ensure!(roles.contains(&role), "{name} is {roles:?}, not {role:?}");
    }
    for node in nodes {
        let control = node.presses || node.role == Role::Slider;
        ensure!(!control || !node.name.trim().is_empty(), "{node:?}");
    }
    Ok(())
}

/// Operates a button, a switch and a slider through the reader's interfaces.
fn controls_obey_the_reader(host: &mut EditorHost, reader: &ScreenReader) -> Result<()> {
    for mode in ["Off", "Continue"] {
        let name = format!("Mode: {mode}");
        let nodes = window(host, reader)?;
        let button = nodes.iter().find(|node| node.name == name && node.presses);
        let button = button.with_context(|| format!("no button has the name {name:?}"))?;
        reader.press(button)?;
        host.wait_for("mode", mode)?;
    }
    let switch = find(host, reader, Role::CheckBox, "Through")?;
    for shown in ["On", "Off"] {
        reader.press(&switch)?;
        host.wait_for("thru", shown)?;
    }
    // The plugin's range is 0.1 to 2; the reader's is 0 to 1.
    let slider = find(host, reader, Role::Slider, "Temperature")?;
    for (share, shown) in [(1.0, "2.00"), (0.0, "0.10")] {
        reader.set(&slider, share)?;
        host.wait_for("temp", shown)?;
        host.wait(&format!("it reads {shown}"), |_| {
            let read = reader.value(&slider)? == [0.0, share, 1.0];
            let mut nodes = reader.windows(WINDOW).into_iter().flatten();
            let described = nodes.any(|n| n.name == "Temperature" && n.description == shown);
            Ok((read && described).then_some(()))
        })?;
    }
    Ok(())
}

/// Arrows and digits go to the focused control, Tab moves the focus, Return presses, Escape cancels. The
/// space bar always goes to the host.
fn keyboard_focus_decides_who_gets_a_key(
    host: &mut EditorHost,
    reader: &ScreenReader,
) -> Result<()> {
    // A click gives the window the keyboard focus; the clicked mode is on already.
    host.window.click(90, 20)?;
    let slider = find(host, reader, Role::Slider, "Temperature")?;
    reader.focus(&slider)?;
    wait_focus(host, reader, "Temperature")?;
    host.window.received_key(SPACE)?;
    host.window.press(SPACE)?;
    wait_for_host_key(host, SPACE)?;

    reader.set(&slider, 1.0)?;
    host.wait_for("temp", "2.00")?;
    host.window.press(LEFT)?;
    host.wait_for("temp", "1.96")?;
    host.window.press(HOME)?;
    host.wait_for("temp", "0.10")?;

    // A typed value, cancelled with Escape and then confirmed with Return.
    for (end, shown) in [(ESCAPE, "0.10"), (RETURN, "1.10")] {
        reader.focus(&slider)?;
        wait_focus(host, reader, "Temperature")?;
        host.window.press(ONE)?;
        find(host, reader, Role::Entry, "Temperature, value")?;
        wait_focus(host, reader, "Temperature, value")?;
        host.window.press(PERIOD)?;
        host.window.press(ONE)?;
        host.window.press(end)?;
        find(host, reader, Role::Slider, "Temperature")?;
        host.wait_for("temp", shown)?;
    }
    ensure!(
        !host.window.received_key(ONE)?,
        "the host received a key of the text field"
    );

    let switch = find(host, reader, Role::CheckBox, "Through")?;
    reader.focus(&switch)?;
    wait_focus(host, reader, "Through")?;
    for shown in ["On", "Off"] {
        host.window.press(RETURN)?;
        host.wait_for("thru", shown)?;
    }
    host.window.press(TAB)?;
    host.wait("Tab moves the focus", |_| {
        let nodes: Vec<_> = reader.windows(WINDOW).into_iter().flatten().collect();
        let focused = nodes.iter().find(|node| node.focused);
        Ok(focused.and_then(|node| (node.name != "Through").then_some(())))
    })?;
    ensure!(
        !host.window.received_key(TAB)?,
        "the host received the editor's Tab"
    );

    // Without a focused control, keys go to the host.
    host.window.press(ESCAPE)?;
    host.wait("nothing has the focus", |_| {
        let nodes: Vec<_> = reader.windows(WINDOW).into_iter().flatten().collect();
        let on = |node: &Node| node.focused && node.role != Role::Frame;
        Ok((!nodes.is_empty() && !nodes.iter().any(on)).then_some(()))
    })?;
    for key in [SPACE, ONE] {
        host.window.press(key)?;
        wait_for_host_key(host, key)?;
    }
    Ok(())
}

/// Waits until the host has received a key that was pressed in the editor.
fn wait_for_host_key(host: &mut EditorHost, keysym: u32) -> Result<()> {
    host.wait(&format!("the host has key {keysym:#x}"), |host| {
        Ok(host.window.received_key(keysym)?.then_some(()))
    })
}

fn tree_follows_the_reader(host: &mut EditorHost, reader: &ScreenReader) -> Result<()> {
    reader.set_active(false)?;
    host.wait("the window is not read", |_| {
        Ok((reader.count(WINDOW) == 0).then_some(()))
    })?;
    reader.set_active(true)?;
    window(host, reader).map(|_| ())
}

/// Opens twenty windows, each read before it is closed.
fn repeated_opening_leaks_nothing(host: &mut EditorHost, reader: &ScreenReader) -> Result<()> {
    let close = |host: &mut EditorHost| {
        host.close()?;
        host.wait("a closed window is gone", |_| {
            Ok((reader.count(WINDOW) == 0).then_some(()))
        })
    };
    close(host)?;
    let before = OpenResources::settled()?;
    for _ in 0..20 {
        host.open()?;
        host.wait("the reader sees an opened window", |_| {
            Ok((reader.count(WINDOW) == 1).then_some(()))
        })?;
        close(host)?;
    }
    OpenResources::settled()?.no_more_than(before, "twenty windows that were read")
}
