//! A window of the host on Windows, for the plugin's editor. Main thread only.

use anyhow::{Context, Result};
use windows::Win32::Foundation::{HWND, LPARAM};
use windows::Win32::UI::WindowsAndMessaging::{
    CreateWindowExW, DestroyWindow, DispatchMessageW, EnumChildWindows, MSG, PM_REMOVE,
    PeekMessageW, TranslateMessage, WS_OVERLAPPEDWINDOW, WS_VISIBLE,
};
use windows::core::{BOOL, w};

use crate::host::WindowId;

/// A window, closed when dropped.
pub struct Win32Window {
    handle: HWND,
}

impl Win32Window {
    /// Opens a window of a size in pixels.
    ///
    /// # Errors
    ///
    /// The system refuses it, as it does without a display.
    pub fn open((width, height): (u32, u32)) -> Result<Self> {
        let [width, height] = [i32::try_from(width)?, i32::try_from(height)?];
        // SAFETY: the class is the system's own; no pointer outlives the call.
        let handle = unsafe {
            CreateWindowExW(
                Default::default(),
                w!("STATIC"),
                w!("Host"),
                WS_OVERLAPPEDWINDOW | WS_VISIBLE,
                0,
                0,
                width,
                height,
                None,
                None,
                None,
                None,
            )
        };
        let handle = handle.context("the system opens no window")?;
        Ok(Self { handle })
    }

    /// The window for [`crate::host::PluginEditor::show_editor`].
    pub fn id(&self) -> WindowId {
        self.handle.0 as WindowId
    }

    /// Number of windows inside this one.
    pub fn children(&self) -> usize {
        unsafe extern "system" fn count(_: HWND, number: LPARAM) -> BOOL {
            // SAFETY: `children` passes the address of its number, and waits for the calls.
            unsafe { *(number.0 as *mut usize) += 1 };
            true.into()
        }
        let mut number = 0_usize;
        let address = LPARAM(&raw mut number as isize);
        // SAFETY: the number outlives the call.
        let _ = unsafe { EnumChildWindows(Some(self.handle), Some(count), address) };
        number
    }
}

impl Drop for Win32Window {
    fn drop(&mut self) {
        // SAFETY: the window belongs to this thread and is not used afterwards.
        let _ = unsafe { DestroyWindow(self.handle) };
    }
}

/// Handles the messages that wait for windows of this thread, as a host's main loop does.
pub fn handle_messages() {
    let mut message = MSG::default();
    // SAFETY: the message lives through the calls.
    unsafe {
        while PeekMessageW(&mut message, None, 0, 0, PM_REMOVE).as_bool() {
            let _ = TranslateMessage(&message);
            DispatchMessageW(&message);
        }
    }
}
