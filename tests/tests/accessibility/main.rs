//! The editor of the built plugin, CLAP and VST3, as a screen reader meets it: over AT-SPI, on
//! a session's bus of the test's own; and with the keyboard, in a real window.
//!
//! One test: a display and a bus are named in the environment, which is the whole process's.

#![cfg(target_os = "linux")]

mod reader;

use anyhow::{Context, Result, ensure};
use atspi::Role;
use continuo_tests::editor_host::{EditorHost, OpenResources, abort_on_hang};
use continuo_tests::host::Format;
use continuo_tests::virtual_display::VirtualDisplay;

use reader::{Node, Reader, Session};

/// What the editor's window is called.
const WINDOW: &str = "Continuo";

/// X11's names of keys.
const TAB: u32 = 0xff09;
const RETURN: u32 = 0xff0d;
const ESCAPE: u32 = 0xff1b;
const LEFT: u32 = 0xff51;
const HOME: u32 = 0xff50;
const SPACE: u32 = 0x20;
const PERIOD: u32 = 0x2e;
const ONE: u32 = 0x31;

/// A display, a session's bus and a screen reader on it, or `None` and a word about it.
fn desk() -> Result<Option<(VirtualDisplay, Session, Reader)>> {
    let missing = |what| {
        eprintln!("skipped: {what}");
        Ok(None)
    };
    let Some(screen) = VirtualDisplay::start()? else {
        return missing("Xvfb is not installed (apt-get install xvfb)");
    };
    let Some(session) = Session::start(&screen.name)? else {
        return missing("D-Bus is not installed (apt-get install dbus)");
    };
    let Some(reader) = Reader::new(&session)? else {
        return missing("AT-SPI is not installed (apt-get install at-spi2-core)");
    };
    // SAFETY: the one test of this process calls this before it starts a thread that looks at
    // the environment; those of the reader have what they need.
    unsafe {
        std::env::set_var("DISPLAY", &screen.name);
        std::env::set_var("DBUS_SESSION_BUS_ADDRESS", &session.address);
        std::env::remove_var("AT_SPI_BUS_ADDRESS");
    }
    Ok(Some((screen, session, reader)))
}

#[test]
fn screen_reader_and_keyboard_operate_every_control() -> Result<()> {
    let alive = abort_on_hang();
    let Some((screen, _session, reader)) = desk()? else {
        return Ok(());
    };
    for format in [Format::Clap, Format::Vst3] {
        let mut host = EditorHost::new(format, &screen)?;
        is_hidden_until_a_reader_asks(&mut host, &reader)?;
        let nodes = window(&mut host, &reader)?;
        controls_have_names_and_roles(&nodes)?;
        controls_obey_the_reader(&mut host, &reader)?;
        keyboard_focus_decides_who_gets_a_key(&mut host, &reader)?;
        tree_follows_the_reader(&mut host, &reader)?;
        repeated_opening_leaks_nothing(&mut host, &reader)?;
        reader.reads(false)?;
        host.daw.finish()?;
    }
    drop(alive);
    Ok(())
}

/// What is in the editor's window, once there is one with controls in it.
fn window(host: &mut EditorHost, reader: &Reader) -> Result<Vec<Node>> {
    host.wait("a screen reader sees one window", |_| {
        let mut windows = reader.windows(WINDOW);
        let whole = windows.len() == 1 && windows[0].len() > 20;
        Ok(if whole { windows.pop() } else { None })
    })
}

/// The one thing of this role and name.
fn find(host: &mut EditorHost, reader: &Reader, role: Role, name: &str) -> Result<Node> {
    host.wait(&format!("there is a {role:?} {name:?}"), |_| {
        let nodes = reader.windows(WINDOW).into_iter().flatten();
        let mut found: Vec<_> = nodes
            .filter(|node| node.role == role && node.name == name)
            .collect();
        ensure!(found.len() < 2, "more than one {role:?} {name:?}");
        Ok(found.pop())
    })
}

/// Waits until what has the focus is called so.
fn wait_focus(host: &mut EditorHost, reader: &Reader, name: &str) -> Result<()> {
    host.wait(&format!("{name:?} has the focus"), |_| {
        let mut nodes = reader.windows(WINDOW).into_iter().flatten();
        Ok(nodes
            .any(|node| node.focused && node.name == name)
            .then_some(()))
    })
}

fn is_hidden_until_a_reader_asks(host: &mut EditorHost, reader: &Reader) -> Result<()> {
    host.open()?;
    ensure!(reader.count(WINDOW) == 0, "nobody had asked");
    reader.reads(true)
}

/// The window's name; every kind of control; none without a name; in the order they are read.
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

/// A button, a switch and a slider, each through the interface a screen reader uses for it.
fn controls_obey_the_reader(host: &mut EditorHost, reader: &Reader) -> Result<()> {
    for mode in ["Off", "Continue"] {
        let name = format!("Mode: {mode}");
        let nodes = window(host, reader)?;
        let button = nodes.iter().find(|node| node.name == name && node.presses);
        let button = button.with_context(|| format!("nothing to press is called {name:?}"))?;
        reader.press(button)?;
        host.wait_for("mode", mode)?;
    }
    let switch = find(host, reader, Role::CheckBox, "Through")?;
    for shown in ["On", "Off"] {
        reader.press(&switch)?;
        host.wait_for("thru", shown)?;
    }
    // From 0.1 to 2 in the plugin's terms, a share of the way in the reader's.
    let slider = find(host, reader, Role::Slider, "Temperature")?;
    for (share, shown) in [(1.0, "2.00"), (0.0, "0.10")] {
        reader.set(&slider, share)?;
        host.wait_for("temp", shown)?;
        host.wait(&format!("it reads {shown}"), |_| {
            let read = reader.value(&slider)? == [0.0, share, 1.0];
            let mut nodes = reader.windows(WINDOW).into_iter().flatten();
            let told = nodes.any(|n| n.name == "Temperature" && n.description == shown);
            Ok((read && told).then_some(()))
        })?;
    }
    Ok(())
}

/// With the keyboard in the window: arrows and typing are the control's that has the focus,
/// Tab goes on, Return presses, Escape leaves; the space bar is the host's all the while.
fn keyboard_focus_decides_who_gets_a_key(host: &mut EditorHost, reader: &Reader) -> Result<()> {
    // A click gives the window the keyboard: on the mode that is in force, so nothing changes.
    host.window.click(90, 20)?;
    let slider = find(host, reader, Role::Slider, "Temperature")?;
    reader.focus(&slider)?;
    wait_focus(host, reader, "Temperature")?;
    host.window.received_key(SPACE)?;
    host.window.press(SPACE)?;
    given(host, SPACE)?;

    reader.set(&slider, 1.0)?;
    host.wait_for("temp", "2.00")?;
    host.window.press(LEFT)?;
    host.wait_for("temp", "1.96")?;
    host.window.press(HOME)?;
    host.wait_for("temp", "0.10")?;

    // Typed, and left with Escape; typed, and entered.
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
        "the host had a key of the field"
    );

    let switch = find(host, reader, Role::CheckBox, "Through")?;
    reader.focus(&switch)?;
    wait_focus(host, reader, "Through")?;
    for shown in ["On", "Off"] {
        host.window.press(RETURN)?;
        host.wait_for("thru", shown)?;
    }
    host.window.press(TAB)?;
    host.wait("Tab goes on", |_| {
        let nodes: Vec<_> = reader.windows(WINDOW).into_iter().flatten().collect();
        let focused = nodes.iter().find(|node| node.focused);
        Ok(focused.and_then(|node| (node.name != "Through").then_some(())))
    })?;
    ensure!(
        !host.window.received_key(TAB)?,
        "the host had the editor's Tab"
    );

    // Nothing has the focus: what the editor has no use for goes on to the host.
    host.window.press(ESCAPE)?;
    host.wait("nothing has the focus", |_| {
        let nodes: Vec<_> = reader.windows(WINDOW).into_iter().flatten().collect();
        let on = |node: &Node| node.focused && node.role != Role::Frame;
        Ok((!nodes.is_empty() && !nodes.iter().any(on)).then_some(()))
    })?;
    for key in [SPACE, ONE] {
        host.window.press(key)?;
        given(host, key)?;
    }
    Ok(())
}

/// Waits until the host has a key that was pressed in the editor.
fn given(host: &mut EditorHost, keysym: u32) -> Result<()> {
    host.wait(&format!("the host has key {keysym:#x}"), |host| {
        Ok(host.window.received_key(keysym)?.then_some(()))
    })
}

fn tree_follows_the_reader(host: &mut EditorHost, reader: &Reader) -> Result<()> {
    reader.reads(false)?;
    host.wait("the window is not read", |_| {
        Ok((reader.count(WINDOW) == 0).then_some(()))
    })?;
    reader.reads(true)?;
    window(host, reader).map(|_| ())
}

/// Twenty windows, each seen by the reader before it is closed.
fn repeated_opening_leaks_nothing(host: &mut EditorHost, reader: &Reader) -> Result<()> {
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
        host.wait("an opened window is seen", |_| {
            Ok((reader.count(WINDOW) == 1).then_some(()))
        })?;
        close(host)?;
    }
    OpenResources::settled()?.no_more_than(before, "twenty windows that were read")
}
