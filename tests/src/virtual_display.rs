//! A virtual X11 display (Xvfb), the host's window on it, pictures of it, and simulated input.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use image::RgbaImage;
use x11rb::connection::Connection;
use x11rb::protocol::Event;
use x11rb::protocol::xproto::{
    BUTTON_PRESS_EVENT, BUTTON_RELEASE_EVENT, ClientMessageEvent, ConfigureWindowAux,
    ConnectionExt, CreateWindowAux, EventMask, ImageFormat, KEY_PRESS_EVENT, KEY_RELEASE_EVENT,
    MOTION_NOTIFY_EVENT, PropMode, SELECTION_NOTIFY_EVENT, SelectionNotifyEvent,
    SelectionRequestEvent, WindowClass,
};
use x11rb::rust_connection::RustConnection;
use x11rb::wrapper::ConnectionExt as _;
use x11rb::{COPY_DEPTH_FROM_PARENT, CURRENT_TIME};

use crate::server_process::ServerProcess;

/// Longest wait for the X server and for answers of the editor.
const TIMEOUT: Duration = Duration::from_secs(20);

/// A virtual display of this process. Dropping it ends the server.
pub struct VirtualDisplay {
    /// Its name: the value of `DISPLAY`.
    pub name: String,
    _server: ServerProcess,
}

impl VirtualDisplay {
    /// Starts a display. Returns `None` if Xvfb is not installed.
    ///
    /// # Errors
    ///
    /// Fails when Xvfb is there and does not start.
    pub fn start() -> Result<Option<Self>> {
        let mut xvfb = Command::new("Xvfb");
        // The server takes the first free number and prints it.
        xvfb.args(["-displayfd", "1", "-screen", "0", "1920x1200x24"])
            .args(["-nolisten", "tcp"]);
        Ok(ServerProcess::start(&mut xvfb)?.map(|server| Self {
            name: format!(":{}", server.address),
            _server: server,
        }))
    }
}

/// A window of the host, and input for it.
pub struct HostWindow {
    connection: RustConnection,
    /// The root window, which simulated input goes to.
    root: u32,
    /// Its X11 id.
    pub id: u32,
    size: (u16, u16),
}

impl HostWindow {
    /// Opens and shows a window of this width and height in pixels in the display's top left corner.
    pub fn open(screen: &VirtualDisplay, (width, height): (u32, u32)) -> Result<Self> {
        let began = Instant::now();
        let (connection, number) = loop {
            match x11rb::connect(Some(&screen.name)) {
                Ok(connected) => break connected,
                Err(error) if began.elapsed() > TIMEOUT => return Err(error.into()),
                Err(_) => std::thread::sleep(Duration::from_millis(20)),
            }
        };
        let root = connection.setup().roots[number].root;
        let size = (u16::try_from(width)?, u16::try_from(height)?);
        let id = connection.generate_id()?;
        // White, so that a closed editor leaves no pixels.
        let mask = CreateWindowAux::new()
            .background_pixel(0x00ff_ffff)
            .event_mask(EventMask::STRUCTURE_NOTIFY | EventMask::KEY_PRESS);
        connection.create_window(
            COPY_DEPTH_FROM_PARENT,
            id,
            root,
            0,
            0,
            size.0,
            size.1,
            0,
            WindowClass::INPUT_OUTPUT,
            0,
            &mask,
        )?;
        connection.map_window(id)?;
        connection.get_input_focus()?.reply()?;
        Ok(Self {
            connection,
            root,
            id,
            size,
        })
    }

    /// A picture of the window as it is now.
    pub fn picture(&self) -> Result<RgbaImage> {
        let (width, height) = self.size;
        let image = self
            .connection
            .get_image(ImageFormat::Z_PIXMAP, self.id, 0, 0, width, height, !0)?
            .reply()?;
        // A 24-bit display has bytes for blue, green, red, and one unused.
        let mut pixels = image.data;
        for pixel in pixels.chunks_exact_mut(4) {
            pixel.swap(0, 2);
            pixel[3] = 255;
        }
        RgbaImage::from_raw(width.into(), height.into(), pixels)
            .context("the display is not 24 bits deep")
    }

    /// Red, green and blue of one pixel. Far cheaper than a picture, for waits that are measured.
    pub fn pixel(&self, x: i16, y: i16) -> Result<[u8; 3]> {
        let image = self
            .connection
            .get_image(ImageFormat::Z_PIXMAP, self.id, x, y, 1, 1, !0)?
            .reply()?;
        match image.data[..] {
            [blue, green, red, _] => Ok([red, green, blue]),
            _ => bail!("the display is not 24 bits deep"),
        }
    }

    /// Moves the pointer to a position in the window, in pixels.
    pub fn point(&self, x: i16, y: i16) -> Result<()> {
        self.simulate(MOTION_NOTIFY_EVENT, 0, (x, y))
    }

    /// Clicks the first button at a position in the window, in pixels.
    pub fn click(&self, x: i16, y: i16) -> Result<()> {
        self.point(x, y)?;
        std::thread::sleep(Duration::from_millis(100));
        self.simulate(BUTTON_PRESS_EVENT, 1, (x, y))?;
        std::thread::sleep(Duration::from_millis(100));
        self.simulate(BUTTON_RELEASE_EVENT, 1, (x, y))
    }

    /// Drags with the first button between two positions in the window, in pixels.
    pub fn drag(&self, from: (i16, i16), to: (i16, i16)) -> Result<()> {
        self.hold(from, to)?;
        std::thread::sleep(Duration::from_millis(200));
        self.release(to)
    }

    /// Presses the first button at a position and moves the pointer to another, in pixels. Both may lie
    /// beside the window.
    pub fn hold(&self, from: (i16, i16), to: (i16, i16)) -> Result<()> {
        self.point(from.0, from.1)?;
        std::thread::sleep(Duration::from_millis(100));
        self.simulate(BUTTON_PRESS_EVENT, 1, from)?;
        // Close by, in case that the window takes press and motion at once.
        self.point(from.0 + 4, from.1)?;
        for step in 1..=4 {
            let between = |a: i16, b: i16| a + (b - a) / 4 * step;
            std::thread::sleep(Duration::from_millis(100));
            self.point(between(from.0, to.0), between(from.1, to.1))?;
        }
        self.point(to.0, to.1)
    }

    /// Releases the first button at a position, in pixels, and rests there.
    pub fn release(&self, at: (i16, i16)) -> Result<()> {
        self.simulate(BUTTON_RELEASE_EVENT, 1, at)?;
        std::thread::sleep(Duration::from_millis(100));
        Ok(())
    }

    /// Resizes the window, in pixels.
    pub fn resize(&mut self, (width, height): (u32, u32)) -> Result<()> {
        let size = ConfigureWindowAux::new().width(width).height(height);
        self.connection.configure_window(self.id, &size)?;
        self.connection.get_input_focus()?.reply()?;
        self.size = (u16::try_from(width)?, u16::try_from(height)?);
        Ok(())
    }

    /// Presses and releases a key, by its X11 keysym, in the window with the keyboard focus.
    pub fn press(&self, keysym: u32) -> Result<()> {
        self.hold_key(keysym, Duration::ZERO)
    }

    /// As [`press`](Self::press), with this time between both.
    pub fn hold_key(&self, keysym: u32, time: Duration) -> Result<()> {
        let code = self.keycode(keysym)?;
        self.simulate(KEY_PRESS_EVENT, code, (0, 0))?;
        std::thread::sleep(time);
        self.simulate(KEY_RELEASE_EVENT, code, (0, 0))
    }

    /// Whether this window has received a key press since the last call.
    pub fn received_key(&self, keysym: u32) -> Result<bool> {
        let code = self.keycode(keysym)?;
        let mut received = false;
        while let Some(event) = self.connection.poll_for_event()? {
            if let Event::KeyPress(key) = event {
                received |= key.detail == code;
            }
        }
        Ok(received)
    }

    /// The key code of a keysym on the display's keyboard.
    fn keycode(&self, keysym: u32) -> Result<u8> {
        let setup = self.connection.setup();
        let (first, last) = (setup.min_keycode, setup.max_keycode);
        let map = self
            .connection
            .get_keyboard_mapping(first, last - first + 1)?
            .reply()?;
        let each = usize::from(map.keysyms_per_keycode).max(1);
        let mut codes = (first..=last).zip(map.keysyms.chunks(each));
        let found = codes.find(|(_, keysyms)| keysyms.first() == Some(&keysym));
        let (code, _) = found.with_context(|| format!("no key has keysym {keysym:#x}"))?;
        Ok(code)
    }

    /// Drops files on the embedded window, like a file manager (XDND, version 5).
    pub fn drop_files(&self, files: &[&Path]) -> Result<()> {
        let children = self.connection.query_tree(self.id)?.reply()?.children;
        let target = *children
            .first()
            .context("there is no embedded window to drop on")?;
        let atom = |name: &str| -> Result<u32> {
            let known = self.connection.intern_atom(false, name.as_bytes())?;
            Ok(known.reply()?.atom)
        };
        let (selection, list) = (atom("XdndSelection")?, atom("text/uri-list")?);
        let (status, finished) = (atom("XdndStatus")?, atom("XdndFinished")?);
        let uris: String = files
            .iter()
            .map(|file| format!("file://{}\r\n", file.display()))
            .collect();
        self.connection
            .set_selection_owner(self.id, selection, CURRENT_TIME)?;
        let send = |name: &str, rest: [u32; 4]| -> Result<()> {
            let [a, b, c, d] = rest;
            let data = [self.id, a, b, c, d];
            let message = ClientMessageEvent::new(32, target, atom(name)?, data);
            self.connection
                .send_event(false, target, EventMask::NO_EVENT, message)?;
            self.connection.flush()?;
            Ok(())
        };
        let middle = (u32::from(self.size.0 / 2) << 16) | u32::from(self.size.1 / 2);
        send("XdndEnter", [5 << 24, list, 0, 0])?;
        send(
            "XdndPosition",
            [0, middle, CURRENT_TIME, atom("XdndActionCopy")?],
        )?;
        let began = Instant::now();
        let mut dropped = false;
        while began.elapsed() < TIMEOUT {
            match self.connection.poll_for_event()? {
                Some(Event::SelectionRequest(wanted)) => {
                    self.send_selection(&wanted, list, &uris)?
                }
                // The editor accepts the drop.
                Some(Event::ClientMessage(message)) if message.type_ == status && !dropped => {
                    if message.data.as_data32()[1] & 1 == 1 {
                        send("XdndDrop", [0, CURRENT_TIME, 0, 0])?;
                        dropped = true;
                    } else {
                        send(
                            "XdndPosition",
                            [0, middle, CURRENT_TIME, atom("XdndActionCopy")?],
                        )?;
                    }
                }
                Some(Event::ClientMessage(message)) if message.type_ == finished => return Ok(()),
                Some(_) => {}
                None => std::thread::sleep(Duration::from_millis(5)),
            }
        }
        bail!("the editor did not accept the dropped files")
    }

    /// Sends the dragged file names to the window that requests them.
    fn send_selection(&self, wanted: &SelectionRequestEvent, list: u32, uris: &str) -> Result<()> {
        self.connection.change_property8(
            PropMode::REPLACE,
            wanted.requestor,
            wanted.property,
            list,
            uris.as_bytes(),
        )?;
        let done = SelectionNotifyEvent {
            response_type: SELECTION_NOTIFY_EVENT,
            sequence: 0,
            time: wanted.time,
            requestor: wanted.requestor,
            selection: wanted.selection,
            target: wanted.target,
            property: wanted.property,
        };
        self.connection
            .send_event(false, wanted.requestor, EventMask::NO_EVENT, done)?;
        self.connection.flush()?;
        Ok(())
    }

    /// Sends one simulated input event and waits until the server has processed it.
    fn simulate(&self, kind: u8, detail: u8, (x, y): (i16, i16)) -> Result<()> {
        use x11rb::protocol::xtest::ConnectionExt as _;
        self.connection
            .xtest_fake_input(kind, detail, 0, self.root, x, y, 0)?;
        // The reply comes after the event is processed.
        self.connection.get_input_focus()?.reply()?;
        Ok(())
    }

    /// Width and height in pixels of the embedded window, if there is one.
    pub fn child_size(&self) -> Result<Option<(u32, u32)>> {
        let children = self.connection.query_tree(self.id)?.reply()?.children;
        let Some(&child) = children.first() else {
            return Ok(None);
        };
        let geometry = self.connection.get_geometry(child)?.reply()?;
        Ok(Some((geometry.width.into(), geometry.height.into())))
    }

    /// Number of embedded windows.
    pub fn children(&self) -> Result<usize> {
        Ok(self.connection.query_tree(self.id)?.reply()?.children.len())
    }
}
