//! The source's connection to the X server: its window, the selection, pointer and messages.
//! Thread "continuo drag".

use std::time::{Duration, Instant};

use x11rb::connection::Connection;
use x11rb::errors::{ConnectionError, ReplyOrIdError};
use x11rb::protocol::Event;
use x11rb::protocol::xproto::{
    AtomEnum, ClientMessageEvent, ConnectionExt, CreateWindowAux, EventMask, KeyButMask, PropMode,
    SELECTION_NOTIFY_EVENT, SelectionNotifyEvent, SelectionRequestEvent, Window, WindowClass,
};
use x11rb::rust_connection::RustConnection;
use x11rb::wrapper::ConnectionExt as _;
use x11rb::{COPY_DEPTH_FROM_PARENT, COPY_FROM_PARENT, CURRENT_TIME, NONE};

use super::exchange::{Message, Position, Target};
use super::target_search::TargetSearch;

/// Longest wait for the server's time.
const TIME_LIMIT: Duration = Duration::from_millis(500);

/// X11 keysym of the Escape key.
const ESCAPE: u32 = 0xff1b;

x11rb::atom_manager! {
    /// Atoms of the protocol.
    Atoms: AtomsCookie {
        XdndAware,
        XdndProxy,
        XdndSelection,
        XdndEnter,
        XdndPosition,
        XdndStatus,
        XdndLeave,
        XdndDrop,
        XdndFinished,
        XdndActionCopy,
        TARGETS,
        UriList: b"text/uri-list",
    }
}

/// An event that concerns the drag.
pub(super) enum SourceEvent {
    /// A target answers a position.
    Status { target: Window, accepts: bool },
    /// A target is done with the drop.
    Finished { target: Window, took: bool },
    /// A window is gone.
    Lost(Window),
    /// Another drag took the selection.
    OtherDrag,
}

/// State of pointer and keyboard.
pub(super) struct Pointer {
    /// On the root window.
    pub(super) at: Position,
    /// Whether the first button is down.
    pub(super) pressed: bool,
    /// Whether the Escape key is down.
    pub(super) escape: bool,
}

/// The source of one drag. Its window and its selection go with it.
pub(super) struct Source<'a> {
    connection: RustConnection,
    atoms: Atoms,
    root: Window,
    window: Window,
    /// The window of the editor, which is no target.
    editor: Window,
    /// Server time at which the drag began.
    time: u32,
    escape: Option<u8>,
    list: &'a str,
}

impl<'a> Source<'a> {
    /// Connects to the X server, and offers the file of a `text/uri-list`. `None` without a server.
    ///
    /// # Errors
    /// The connection breaks.
    pub(super) fn open(list: &'a str, editor: Window) -> Result<Option<Self>, ReplyOrIdError> {
        let Ok((connection, screen)) = x11rb::connect(None) else {
            return Ok(None);
        };
        let Some(root) = connection
            .setup()
            .roots
            .get(screen)
            .map(|screen| screen.root)
        else {
            return Ok(None);
        };
        let atoms = Atoms::new(&connection)?.reply()?;
        let window = connection.generate_id()?;
        let options = CreateWindowAux::new()
            .override_redirect(1)
            .event_mask(EventMask::PROPERTY_CHANGE);
        let class = WindowClass::INPUT_OUTPUT;
        let (depth, visual) = (COPY_DEPTH_FROM_PARENT, COPY_FROM_PARENT);
        connection.create_window(
            depth, window, root, -1, -1, 1, 1, 0, class, visual, &options,
        )?;
        let mut source = Self {
            connection,
            atoms,
            root,
            window,
            editor,
            time: CURRENT_TIME,
            escape: None,
            list,
        };
        source.time = source.server_time()?;
        source.escape = source.keycode(ESCAPE)?;
        let (atoms, connection) = (source.atoms, &source.connection);
        connection.set_selection_owner(window, atoms.XdndSelection, source.time)?;
        connection.flush()?;
        Ok(Some(source))
    }

    /// The server's time, from the notice of a change of a property.
    fn server_time(&self) -> Result<u32, ReplyOrIdError> {
        let (append, kind) = (PropMode::APPEND, AtomEnum::ATOM);
        let property = self.atoms.XdndSelection;
        self.connection
            .change_property32(append, self.window, property, kind, &[])?;
        self.connection.flush()?;
        let began = Instant::now();
        while began.elapsed() < TIME_LIMIT {
            match self.connection.poll_for_event()? {
                Some(Event::PropertyNotify(notice)) => return Ok(notice.time),
                Some(_) => {}
                None => std::thread::sleep(Duration::from_millis(1)),
            }
        }
        Ok(CURRENT_TIME)
    }

    /// The key code of a keysym.
    fn keycode(&self, keysym: u32) -> Result<Option<u8>, ReplyOrIdError> {
        let setup = self.connection.setup();
        let (first, last) = (setup.min_keycode, setup.max_keycode);
        let map = self
            .connection
            .get_keyboard_mapping(first, last.saturating_sub(first).saturating_add(1))?;
        let map = map.reply()?;
        let each = usize::from(map.keysyms_per_keycode).max(1);
        let mut codes = (first..=last).zip(map.keysyms.chunks(each));
        let found = codes.find(|(_, keysyms)| keysyms.first() == Some(&keysym));
        Ok(found.map(|(code, _)| code))
    }

    /// Pointer and keyboard now.
    pub(super) fn pointer(&self) -> Result<Pointer, ReplyOrIdError> {
        let pointer = self.connection.query_pointer(self.root)?;
        let keys = self.connection.query_keymap()?;
        let (pointer, keys) = (pointer.reply()?, keys.reply()?.keys);
        let is_down = |code: u8| {
            let byte = keys.get(usize::from(code / 8)).copied();
            byte.unwrap_or(0) & (1 << (code % 8)) != 0
        };
        Ok(Pointer {
            at: (pointer.root_x, pointer.root_y),
            pressed: pointer.mask.contains(KeyButMask::BUTTON1),
            escape: self.escape.is_some_and(is_down),
        })
    }

    /// The window at a position that takes drops; none over the editor.
    pub(super) fn target_at(&self, at: Position) -> Result<Option<Target>, ConnectionError> {
        let search = TargetSearch {
            connection: &self.connection,
            aware: self.atoms.XdndAware,
            proxy: self.atoms.XdndProxy,
        };
        search.at(self.root, at, self.editor)
    }

    /// Sends messages to their targets.
    pub(super) fn send(&self, messages: &[Message]) -> Result<(), ConnectionError> {
        let atoms = &self.atoms;
        for message in messages {
            let (target, kind, rest) = match *message {
                Message::Enter(target) => {
                    let version = u32::from(target.version) << 24;
                    (target, atoms.XdndEnter, [version, atoms.UriList, 0, 0])
                }
                Message::Position(target, (x, y)) => {
                    // Sixteen bits each, as they are.
                    let at = (u32::from(x.cast_unsigned()) << 16) | u32::from(y.cast_unsigned());
                    let rest = [0, at, self.time, atoms.XdndActionCopy];
                    (target, atoms.XdndPosition, rest)
                }
                Message::Leave(target) => (target, atoms.XdndLeave, [0; 4]),
                Message::Drop(target) => (target, atoms.XdndDrop, [0, self.time, 0, 0]),
            };
            let [a, b, c, d] = rest;
            let data = [self.window, a, b, c, d];
            let event = ClientMessageEvent::new(32, target.window, kind, data);
            let receiver = target.receiver;
            self.connection
                .send_event(false, receiver, EventMask::NO_EVENT, event)?;
        }
        self.connection.flush()
    }

    /// Waits until the server has taken all messages. It drops those that it has not read when a connection
    /// closes.
    pub(super) fn sync(&self) -> Result<(), ReplyOrIdError> {
        self.connection.get_input_focus()?.reply()?;
        Ok(())
    }

    /// The next event that concerns the drag, if one is there. Requests for the file are answered.
    pub(super) fn next_event(&self) -> Result<Option<SourceEvent>, ConnectionError> {
        let atoms = &self.atoms;
        while let Some(event) = self.connection.poll_for_event()? {
            match event {
                Event::ClientMessage(message) if message.format == 32 => {
                    let [target, flags, ..] = message.data.as_data32();
                    let is_set = flags & 1 == 1;
                    if message.type_ == atoms.XdndStatus {
                        let accepts = is_set;
                        return Ok(Some(SourceEvent::Status { target, accepts }));
                    }
                    if message.type_ == atoms.XdndFinished {
                        let took = is_set;
                        return Ok(Some(SourceEvent::Finished { target, took }));
                    }
                }
                Event::SelectionRequest(request) => self.answer(&request)?,
                Event::SelectionClear(_) => return Ok(Some(SourceEvent::OtherDrag)),
                Event::Error(error) => return Ok(Some(SourceEvent::Lost(error.bad_value))),
                _ => {}
            }
        }
        Ok(None)
    }

    /// Gives the file's URI, or the list of what can be asked for, to a window that asks.
    fn answer(&self, request: &SelectionRequestEvent) -> Result<(), ConnectionError> {
        let (atoms, replace) = (&self.atoms, PropMode::REPLACE);
        // Old clients name no property and mean this one.
        let property = match request.property {
            NONE => request.target,
            property => property,
        };
        let (connection, requestor) = (&self.connection, request.requestor);
        let mut answer = SelectionNotifyEvent {
            response_type: SELECTION_NOTIFY_EVENT,
            sequence: 0,
            time: request.time,
            requestor,
            selection: request.selection,
            target: request.target,
            property,
        };
        if request.target == atoms.UriList {
            let list = self.list.as_bytes();
            connection.change_property8(replace, requestor, property, atoms.UriList, list)?;
        } else if request.target == atoms.TARGETS {
            let (kind, list) = (AtomEnum::ATOM, [atoms.TARGETS, atoms.UriList]);
            connection.change_property32(replace, requestor, property, kind, &list)?;
        } else {
            answer.property = NONE;
        }
        connection.send_event(false, requestor, EventMask::NO_EVENT, answer)?;
        connection.flush()
    }
}
