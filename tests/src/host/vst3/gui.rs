//! A VST3 plugin's editor in a window of the host: an X11 window, or one of Windows.

use std::cell::Cell;
use std::ffi::c_void;

use anyhow::{Context, Result};
use vst3::Steinberg::Vst::{IEditController, IEditControllerTrait, ViewType::kEditor};
use vst3::Steinberg::{
    FIDString, IPlugFrame, IPlugFrameTrait, IPlugView, IPlugViewTrait, ViewRect, kInvalidArgument,
    kResultOk, tresult,
};
use vst3::{ComPtr, ComWrapper};

use super::convert::ok;
#[cfg(target_os = "linux")]
use super::run_loop::RunLoop;
use crate::host::plugin::WindowId;

/// The kind of the host's window.
#[cfg(windows)]
const KIND: FIDString = vst3::Steinberg::kPlatformTypeHWND;
#[cfg(target_os = "linux")]
const KIND: FIDString = vst3::Steinberg::kPlatformTypeX11EmbedWindowID;

/// A plugin's editor, embedded in a window or not yet.
pub(super) struct Editor {
    view: ComPtr<IPlugView>,
    frame: ComWrapper<Frame>,
    attached: bool,
}

impl Editor {
    /// Creates the editor of a controller.
    pub(super) fn create(controller: &ComPtr<IEditController>) -> Result<Self> {
        let frame = ComWrapper::new(Frame::default());
        let host = frame.to_com_ptr::<IPlugFrame>().context("no frame")?;
        // SAFETY: the controller lives; a view comes with a count of 1.
        let view = unsafe { ComPtr::from_raw(controller.createView(kEditor)) };
        let view = view.context("the plugin has no editor")?;
        // SAFETY: the view lives, and so does the frame until it is taken back.
        unsafe {
            ok(view.isPlatformTypeSupported(KIND), "the host's windows")?;
            ok(view.canResize(), "to be resized")?;
            ok(view.setFrame(host.as_ptr()), "the host's frame")?;
        }
        Ok(Self {
            view,
            frame,
            attached: false,
        })
    }

    /// Its width and height in pixels.
    pub(super) fn size(&self) -> Result<(u32, u32)> {
        let mut size = rect(0, 0);
        // SAFETY: the view lives, and there is room for the answer.
        ok(unsafe { self.view.getSize(&mut size) }, "its size")?;
        let [width, height] = [size.right - size.left, size.bottom - size.top];
        Ok((u32::try_from(width)?, u32::try_from(height)?))
    }

    /// Embeds it in a window of the host and shows it.
    pub(super) fn show(&mut self, parent: WindowId) -> Result<()> {
        // SAFETY: VST3 passes an X11 window id in place of the pointer; an `HWND` is a pointer.
        let result = unsafe { self.view.attached(parent as *mut c_void, KIND) };
        ok(result, "the host's window")?;
        self.attached = true;
        Ok(())
    }

    /// Reports the new size of its window in pixels.
    pub(super) fn resize(&mut self, width: u32, height: u32) -> Result<()> {
        let mut wanted = rect(i32::try_from(width)?, i32::try_from(height)?);
        // SAFETY: the view lives, and so does the rectangle.
        unsafe {
            ok(self.view.checkSizeConstraint(&mut wanted), "a size")?;
            ok(self.view.onSize(&mut wanted), "its new size")
        }
    }

    /// The size in pixels that it has requested since the last call, if any.
    pub(super) fn requested_size(&self) -> Option<(u32, u32)> {
        self.frame.requested_size.take()
    }

    /// Runs one iteration of the host's run loop. On Windows, the host's messages are that.
    pub(super) fn run_main_thread(&self) -> Result<()> {
        #[cfg(target_os = "linux")]
        self.frame.run_loop.run_once()?;
        Ok(())
    }

    /// Removes it from the window.
    ///
    /// # Errors
    ///
    /// Fails when it leaves handlers in the host's run loop.
    pub(super) fn close(mut self) -> Result<()> {
        self.detach();
        #[cfg(target_os = "linux")]
        self.frame.run_loop.check_empty()?;
        Ok(())
    }

    fn detach(&mut self) {
        // SAFETY: the view lives. Nothing depends on the results.
        unsafe {
            if std::mem::take(&mut self.attached) {
                self.view.removed();
            }
            self.view.setFrame(std::ptr::null_mut());
        }
    }
}

impl Drop for Editor {
    fn drop(&mut self) {
        self.detach();
    }
}

fn rect(width: i32, height: i32) -> ViewRect {
    ViewRect {
        left: 0,
        top: 0,
        right: width,
        bottom: height,
    }
}

/// `IPlugFrame` and, on Linux, `IRunLoop`.
#[derive(Default)]
pub(super) struct Frame {
    #[cfg(target_os = "linux")]
    pub(super) run_loop: RunLoop,
    /// The size that the editor requested last.
    requested_size: Cell<Option<(u32, u32)>>,
}

#[cfg(not(target_os = "linux"))]
impl vst3::Class for Frame {
    type Interfaces = (IPlugFrame,);
}

impl IPlugFrameTrait for Frame {
    unsafe fn resizeView(&self, _view: *mut IPlugView, size: *mut ViewRect) -> tresult {
        // SAFETY: the caller passes a valid rectangle, or null.
        let Some(size) = (unsafe { size.as_ref() }) else {
            return kInvalidArgument;
        };
        let side = |from: i32, to: i32| u32::try_from(to - from).ok();
        let wanted = side(size.left, size.right).zip(side(size.top, size.bottom));
        // The owner of the window resizes it: see `PluginEditor::requested_size`.
        self.requested_size.set(wanted);
        kResultOk
    }
}
