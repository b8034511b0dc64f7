//! A drag on Windows, by the Shell: it makes the data and draws the drag. Compiled here, not seen.
//!
//! The Shell's drag runs a message loop of its own, which draws the editor, too. So it must not begin while
//! the editor draws: a timer of the thread, which the host's message loop fires, begins it. Everything is on
//! the window's thread.

use std::cell::Cell;
use std::path::{Path, PathBuf};

use raw_window_handle::{HasWindowHandle, RawWindowHandle};
use windows::Win32::Foundation::{HWND, LPARAM, WPARAM};
use windows::Win32::System::Com::IDataObject;
use windows::Win32::System::Ole::{
    DROPEFFECT_COPY, DROPEFFECT_NONE, IDropSource, OleInitialize, OleUninitialize,
};
use windows::Win32::UI::Input::KeyboardAndMouse::ReleaseCapture;
use windows::Win32::UI::Shell::{
    BHID_DataObject, IShellItem, SHCreateItemFromParsingName, SHDoDragDrop,
};
use windows::Win32::UI::WindowsAndMessaging::{KillTimer, PostMessageW, SetTimer, WM_LBUTTONUP};
use windows::core::{HSTRING, Result as WindowsResult};

use super::{DragLink, DragOutcome};

/// A drag that begins with the timer.
struct PendingDrag {
    file: PathBuf,
    window: HWND,
    link: DragLink,
}

thread_local! {
    static PENDING: Cell<Option<PendingDrag>> = const { Cell::new(None) };
}

/// Starts a drag out of `window`, as soon as the window's thread is back in its message loop.
///
/// # Errors
/// A text for people: there is no such window, or no timer.
pub(super) fn start(
    file: &Path,
    window: &impl HasWindowHandle,
    link: DragLink,
) -> Result<(), String> {
    let Ok(RawWindowHandle::Win32(handle)) = window.window_handle().map(|handle| handle.as_raw())
    else {
        return Err("the editor has no window".into());
    };
    let window = HWND(handle.hwnd.get() as *mut _);
    let file = file.to_path_buf();
    PENDING.set(Some(PendingDrag { file, window, link }));
    // SAFETY: without a window, the timer is this thread's; the library stays loaded.
    match unsafe { SetTimer(None, 0, 1, Some(begin)) } {
        0 => {
            PENDING.set(None);
            Err("the system has no timer left".into())
        }
        _ => Ok(()),
    }
}

/// Runs the drag that is pending. The message loop of the window's thread calls it.
unsafe extern "system" fn begin(_window: HWND, _message: u32, timer: usize, _time: u32) {
    // SAFETY: the timer is this thread's own.
    let _ = unsafe { KillTimer(None, timer) };
    let Ok(Some(PendingDrag { file, window, link })) = PENDING.try_with(Cell::take) else {
        return;
    };
    if link.is_cancelled() || !link.is_window_open() {
        return;
    }
    let outcome = match drag(&file, window) {
        Ok(true) => DragOutcome::Dropped,
        // The Shell shows what refuses a file, and does not tell a refusal from Escape.
        Ok(false) => DragOutcome::Cancelled,
        Err(why) => DragOutcome::Failed(why.to_string()),
    };
    // The drag took the release of the button, which the editor waits for.
    // SAFETY: a message to a window that may be gone fails.
    let _ = unsafe { PostMessageW(Some(window), WM_LBUTTONUP, WPARAM(0), LPARAM(0)) };
    link.end(outcome);
}

/// Drags the file until the button is released; whether a target took it.
fn drag(file: &Path, window: HWND) -> WindowsResult<bool> {
    // SAFETY: this is the thread of a window, so its COM apartment is single-threaded. Each success has
    // its end below.
    unsafe { OleInitialize(None) }?;
    let run = || {
        // SAFETY: the arguments live through the calls, and the objects are released with their handles.
        unsafe {
            let item: IShellItem = SHCreateItemFromParsingName(&HSTRING::from(file), None)?;
            let data: IDataObject = item.BindToHandler(None, &BHID_DataObject)?;
            // baseview would answer the Shell's capture of the mouse by releasing it.
            let _ = ReleaseCapture();
            // Without a source of ours, the Shell uses its own.
            SHDoDragDrop(Some(window), &data, None::<&IDropSource>, DROPEFFECT_COPY)
        }
    };
    let effect = run();
    // SAFETY: ends the initialisation above.
    unsafe { OleUninitialize() };
    effect.map(|effect| effect != DROPEFFECT_NONE)
}
