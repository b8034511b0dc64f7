//! A window of another program that takes dropped files: the target's side of XDND, on a thread and a
//! connection of its own.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use x11rb::connection::Connection;
use x11rb::protocol::Event;
use x11rb::protocol::xproto::{
    AtomEnum, ClientMessageEvent, ConnectionExt, CreateWindowAux, EventMask, PropMode, WindowClass,
};
use x11rb::rust_connection::RustConnection;
use x11rb::wrapper::ConnectionExt as _;
use x11rb::{COPY_DEPTH_FROM_PARENT, NONE};

/// Longest wait for an event.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Conduct of a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conduct {
    /// Accepts every file. It fetches the data this long after the drop.
    Accepts(Duration),
    /// Refuses every file.
    Refuses,
    /// Answers nothing.
    Silent,
    /// Is a window without XDND.
    Unaware,
}

/// Something that happened to a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DropEvent {
    /// The pointer entered, and these types are offered.
    Entered(Vec<String>),
    /// It is at this position of the screen.
    Positioned(i16, i16),
    /// It left, or the drag ended without a drop.
    Left,
    /// This data of the type `text/uri-list` was dropped.
    Dropped(String),
}

/// The window. Dropping it closes it.
pub struct DropTarget {
    /// Its conduct.
    pub conduct: Conduct,
    events: Receiver<DropEvent>,
    stop: Sender<()>,
    thread: Option<JoinHandle<Result<()>>>,
}

impl DropTarget {
    /// Opens a window of 200 by 200 pixels at a position of the display.
    pub fn open(display: &str, (x, y): (i16, i16), conduct: Conduct) -> Result<Self> {
        let (connection, screen) = x11rb::connect(Some(display))?;
        let root = connection.setup().roots[screen].root;
        let window = connection.generate_id()?;
        let options = CreateWindowAux::new()
            .override_redirect(1)
            .background_pixel(0x0080_8080);
        let class = WindowClass::INPUT_OUTPUT;
        let (depth, size) = (COPY_DEPTH_FROM_PARENT, 200);
        connection.create_window(depth, window, root, x, y, size, size, 0, class, 0, &options)?;
        if conduct != Conduct::Unaware {
            let aware = atom(&connection, "XdndAware")?;
            let (replace, kind) = (PropMode::REPLACE, AtomEnum::ATOM);
            connection.change_property32(replace, window, aware, kind, &[5])?;
        }
        connection.map_window(window)?;
        connection.get_input_focus()?.reply()?;
        let (sender, events) = channel();
        let (stop, stopped) = channel();
        let thread = std::thread::spawn(move || {
            let mut session = Session {
                connection,
                window,
                conduct,
                events: sender,
            };
            while stopped.try_recv().is_err() {
                match session.connection.poll_for_event()? {
                    Some(Event::ClientMessage(message)) => session.message(&message)?,
                    Some(_) => {}
                    None => std::thread::sleep(Duration::from_millis(2)),
                }
            }
            Ok(())
        });
        Ok(Self {
            conduct,
            events,
            stop,
            thread: Some(thread),
        })
    }

    /// The event that is there already.
    pub fn try_next(&self) -> Option<DropEvent> {
        self.events.try_recv().ok()
    }

    /// Closes the window.
    ///
    /// # Errors
    /// The exchange failed.
    pub fn close(mut self) -> Result<()> {
        let _ = self.stop.send(());
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(result)) => result,
            _ => bail!("the target's thread panicked"),
        }
    }
}

impl Drop for DropTarget {
    fn drop(&mut self) {
        let _ = self.stop.send(());
    }
}

fn atom(connection: &RustConnection, name: &str) -> Result<u32> {
    Ok(connection
        .intern_atom(false, name.as_bytes())?
        .reply()?
        .atom)
}

/// State of the target's thread.
struct Session {
    connection: RustConnection,
    window: u32,
    conduct: Conduct,
    events: Sender<DropEvent>,
}

impl Session {
    fn atom(&self, name: &str) -> Result<u32> {
        atom(&self.connection, name)
    }

    fn emit(&self, event: DropEvent) {
        // The test may have ended.
        let _ = self.events.send(event);
    }

    fn message(&mut self, message: &ClientMessageEvent) -> Result<()> {
        let name = self.connection.get_atom_name(message.type_)?.reply()?.name;
        let [source, a, b, time, action] = message.data.as_data32();
        match name.as_slice() {
            b"XdndEnter" => {
                ensure!(a >> 24 == 5, "version {} is spoken", a >> 24);
                ensure!(a & 1 == 0, "more than three types");
                let mut types = Vec::new();
                for kind in [b, time, action].into_iter().filter(|&kind| kind != NONE) {
                    let name = self.connection.get_atom_name(kind)?.reply()?.name;
                    types.push(String::from_utf8(name)?);
                }
                self.emit(DropEvent::Entered(types));
            }
            b"XdndPosition" => {
                ensure!(action == self.atom("XdndActionCopy")?, "another action");
                self.emit(DropEvent::Positioned((b >> 16) as i16, b as i16));
                if self.conduct != Conduct::Silent {
                    let accepts = matches!(self.conduct, Conduct::Accepts(_));
                    let data = [self.window, u32::from(accepts), 0, 0, action];
                    self.send(source, "XdndStatus", data)?;
                }
            }
            b"XdndLeave" => self.emit(DropEvent::Left),
            b"XdndDrop" => {
                let Conduct::Accepts(after) = self.conduct else {
                    bail!("a drop that was not accepted");
                };
                std::thread::sleep(after);
                // The second word of the data is the time of this message.
                let data = self.fetch("text/uri-list", b)?;
                let copy = self.atom("XdndActionCopy")?;
                self.send(source, "XdndFinished", [self.window, 1, copy, 0, 0])?;
                self.emit(DropEvent::Dropped(data.context("no data")?));
            }
            _ => {}
        }
        Ok(())
    }

    /// The dragged data as this type; `None` where the source does not have it.
    fn fetch(&self, kind: &str, time: u32) -> Result<Option<String>> {
        let (selection, property) = (self.atom("XdndSelection")?, self.atom("DROPPED")?);
        let kind = self.atom(kind)?;
        self.connection
            .convert_selection(self.window, selection, kind, property, time)?;
        self.connection.flush()?;
        let began = Instant::now();
        while began.elapsed() < TIMEOUT {
            match self.connection.poll_for_event()? {
                Some(Event::SelectionNotify(notice)) if notice.property == NONE => return Ok(None),
                Some(Event::SelectionNotify(notice)) => {
                    ensure!(notice.time == time, "the request's time is not repeated");
                    let data =
                        self.connection
                            .get_property(true, self.window, property, kind, 0, 4096)?;
                    return Ok(Some(String::from_utf8(data.reply()?.value)?));
                }
                Some(_) => {}
                None => std::thread::sleep(Duration::from_millis(2)),
            }
        }
        bail!("the source does not answer the request for data")
    }

    fn send(&self, source: u32, name: &str, data: [u32; 5]) -> Result<()> {
        let message = ClientMessageEvent::new(32, source, self.atom(name)?, data);
        let (connection, mask) = (&self.connection, EventMask::NO_EVENT);
        connection.send_event(false, source, mask, message)?;
        // The reply comes after the message is on its way.
        connection.get_input_focus()?.reply()?;
        Ok(())
    }
}
