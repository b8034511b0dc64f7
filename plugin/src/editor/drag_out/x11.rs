//! A drag on X11: XDND version 5, the source's side.
//!
//! While the button is down, the editor's own connection has the pointer's grab. So the drag has a thread
//! "continuo drag" and a connection of its own, which asks for the pointer 60 times a second instead of
//! grabbing it. The thread owns everything here. It ends with the drag: at the latest when the instance goes, or
//! [`exchange::FINISH_LIMIT`] after the drop. If the editor closes while the button is down, the drag is cancelled.

mod exchange;
mod source;
mod target_search;

use std::path::Path;
use std::time::{Duration, Instant};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use raw_window_handle::{HasWindowHandle, RawWindowHandle};
use x11rb::errors::ReplyOrIdError;

use self::exchange::Exchange;
use self::source::{Source, SourceEvent};
use super::{DragLink, DragOutcome};

/// Time between two looks at the pointer.
const TICK: Duration = Duration::from_micros(16_600);

/// Bytes of a path that a URI keeps as they are: letters, digits and these.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Starts the thread of a drag out of `window`.
///
/// # Errors
/// A text for people: the window is not an X11 window, or no thread can be started.
pub(super) fn start(
    file: &Path,
    window: &impl HasWindowHandle,
    link: DragLink,
) -> Result<(), String> {
    let editor = match window.window_handle().map(|handle| handle.as_raw()) {
        Ok(RawWindowHandle::Xlib(handle)) => u32::try_from(handle.window).ok(),
        Ok(RawWindowHandle::Xcb(handle)) => Some(handle.window.get()),
        _ => None,
    };
    let editor = editor.ok_or("the editor is not in an X11 window")?;
    let list = uri_list(file);
    let thread = std::thread::Builder::new().name("continuo drag".into());
    let started = thread.spawn(move || {
        let outcome = match run(&list, editor, &link) {
            Ok(outcome) => outcome,
            Err(why) => DragOutcome::Failed(why.to_string()),
        };
        link.end(outcome);
    });
    started.map(drop).map_err(|why| why.to_string())
}

/// Runs a drag to its end.
///
/// # Errors
/// The connection to the X server cannot be made, or breaks.
fn run(list: &str, editor: u32, link: &DragLink) -> Result<DragOutcome, ReplyOrIdError> {
    let Some(source) = Source::open(list, editor)? else {
        return Ok(DragOutcome::Failed("the X server cannot be reached".into()));
    };
    let mut exchange = Exchange::default();
    loop {
        while let Some(event) = source.next_event()? {
            let messages = match event {
                SourceEvent::Status { target, accepts } => {
                    exchange.status(target, accepts, Instant::now())
                }
                SourceEvent::Finished { target, took } => exchange.finished(target, took),
                SourceEvent::Lost(window) => exchange.lost(window),
                SourceEvent::OtherDrag => exchange.cancel(),
            };
            source.send(&messages)?;
        }
        let now = Instant::now();
        let is_without_window = exchange.is_dragging() && !link.is_window_open();
        let messages = if link.is_cancelled() || is_without_window {
            exchange.cancel()
        } else if !exchange.is_dragging() {
            exchange.check_limits(now)
        } else {
            let pointer = source.pointer()?;
            if pointer.escape {
                exchange.cancel()
            } else {
                // A quick release comes with a new position.
                let mut messages = exchange.moved(pointer.at, source.target_at(pointer.at)?);
                if !pointer.pressed {
                    messages.extend(exchange.released(now));
                }
                messages
            }
        };
        source.send(&messages)?;
        link.set_accepted(exchange.is_accepted());
        if let Some(outcome) = exchange.outcome() {
            source.sync()?;
            return Ok(outcome);
        }
        std::thread::sleep(TICK);
    }
}

/// The file as `text/uri-list`: an absolute path becomes a URI, percent-encoded, with CRLF.
fn uri_list(file: &Path) -> String {
    use std::os::unix::ffi::OsStrExt;
    let path = percent_encode(file.as_os_str().as_bytes(), ESCAPED);
    format!("file://{path}\r\n")
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    #[test]
    fn paths_are_percent_encoded() {
        assert_eq!(
            uri_list(Path::new("/tmp/C-1_a~/bars 9 to 12.mid")),
            "file:///tmp/C-1_a~/bars%209%20to%2012.mid\r\n"
        );
        assert_eq!(
            uri_list(Path::new("/Übung/50%#?.mid")),
            "file:///%C3%9Cbung/50%25%23%3F.mid\r\n"
        );
        // A path need not be text.
        let bytes = Path::new(OsStr::from_bytes(b"/\xff\n"));
        assert_eq!(uri_list(bytes), "file:///%FF%0A\r\n");
    }
}
