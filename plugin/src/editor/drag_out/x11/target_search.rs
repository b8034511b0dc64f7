//! The search for the window under the pointer that takes drops. Thread "continuo drag".

use x11rb::NONE;
use x11rb::errors::{ConnectionError, ReplyError};
use x11rb::protocol::xproto::{Atom, AtomEnum, ConnectionExt, Window};
use x11rb::rust_connection::RustConnection;

use super::exchange::{Position, Target};

/// Version of XDND spoken here, and the least one: older targets had no rule for windows in windows.
const VERSION: u8 = 5;
const LEAST_VERSION: u8 = 3;

/// Greatest number of windows inside each other.
const MAX_DEPTH: usize = 64;

/// A connection, and the atoms of the properties that mark targets.
pub(super) struct TargetSearch<'a> {
    /// The connection.
    pub(super) connection: &'a RustConnection,
    /// `XdndAware`.
    pub(super) aware: Atom,
    /// `XdndProxy`.
    pub(super) proxy: Atom,
}

impl TargetSearch<'_> {
    /// The outermost window at a position of the root window that takes drops; none over the window
    /// `editor`, wherever that lies. The root window counts last: a desktop may have a proxy there.
    ///
    /// # Errors
    /// The connection breaks.
    pub(super) fn at(
        &self,
        root: Window,
        (x, y): Position,
        editor: Window,
    ) -> Result<Option<Target>, ConnectionError> {
        let (mut window, mut found) = (root, None);
        for _ in 0..MAX_DEPTH {
            let inside = self.connection.translate_coordinates(root, window, x, y)?;
            // A window may vanish at any time.
            let inside = known(inside.reply())?.map_or(NONE, |inside| inside.child);
            if inside == NONE {
                break;
            }
            if inside == editor {
                return Ok(None);
            }
            window = inside;
            if found.is_none() {
                found = self.target(window)?;
            }
        }
        match found {
            None => self.target(root),
            found => Ok(found),
        }
    }

    /// The window as a target, if it is one.
    fn target(&self, window: Window) -> Result<Option<Target>, ConnectionError> {
        let proxy_of = |window| self.number(window, self.proxy, AtomEnum::WINDOW);
        // A proxy that names itself is alive.
        let receiver = match proxy_of(window)? {
            Some(proxy) if proxy_of(proxy)? == Some(proxy) => proxy,
            _ => window,
        };
        let version = self.number(receiver, self.aware, AtomEnum::ATOM)?;
        let version = version.and_then(|version| u8::try_from(version).ok());
        let version = version.filter(|&version| version >= LEAST_VERSION);
        Ok(version.map(|version| Target {
            window,
            receiver,
            version: version.min(VERSION),
        }))
    }

    /// A property that is one number.
    fn number(
        &self,
        window: Window,
        property: Atom,
        kind: AtomEnum,
    ) -> Result<Option<u32>, ConnectionError> {
        let value = self
            .connection
            .get_property(false, window, property, kind, 0, 1)?;
        let value = known(value.reply())?;
        Ok(value.and_then(|value| value.value32()?.next()))
    }
}

/// A reply, or `None` where the server refuses the request because a window is gone.
fn known<T>(reply: Result<T, ReplyError>) -> Result<Option<T>, ConnectionError> {
    match reply {
        Ok(reply) => Ok(Some(reply)),
        Err(ReplyError::X11Error(_)) => Ok(None),
        Err(ReplyError::ConnectionError(why)) => Err(why),
    }
}
