//! A VST3 plugin's editor in an X11 window of the host, with the run loop that VST3 requires on Linux.

use std::cell::{Cell, RefCell};
use std::ffi::c_void;
use std::os::fd::BorrowedFd;

use anyhow::{Context, Result, bail};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use vst3::Steinberg::Linux::{
    FileDescriptor, IEventHandler, IEventHandlerTrait, IRunLoop, IRunLoopTrait, ITimerHandler,
    TimerInterval,
};
use vst3::Steinberg::Vst::{IEditController, IEditControllerTrait, ViewType::kEditor};
use vst3::Steinberg::{
    IPlugFrame, IPlugFrameTrait, IPlugView, IPlugViewTrait, ViewRect, kInvalidArgument,
    kNotImplemented, kPlatformTypeX11EmbedWindowID, kResultOk, tresult,
};
use vst3::{Class, ComPtr, ComRef, ComWrapper};

use super::convert::ok;

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
            let kind = kPlatformTypeX11EmbedWindowID;
            ok(view.isPlatformTypeSupported(kind), "an X11 window")?;
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

    /// Embeds it in an X11 window of the host and shows it.
    pub(super) fn show(&mut self, parent: u32) -> Result<()> {
        let parent = parent as usize as *mut c_void;
        // SAFETY: VST3 passes an X11 window id in place of the pointer.
        let result = unsafe { self.view.attached(parent, kPlatformTypeX11EmbedWindowID) };
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

    /// Runs one iteration of the host's run loop.
    pub(super) fn run_main_thread(&self) -> Result<()> {
        self.frame.run_once()
    }

    /// Removes it from the window.
    ///
    /// # Errors
    ///
    /// Fails when it leaves handlers in the host's run loop.
    pub(super) fn close(mut self) -> Result<()> {
        self.detach();
        match self.frame.handlers.borrow().len() {
            0 => Ok(()),
            left => bail!("the editor left {left} handlers in the host's run loop"),
        }
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

/// `IPlugFrame` and `IRunLoop`: resize requests, and handlers of file descriptors.
#[derive(Default)]
struct Frame {
    /// Registered handlers and their file descriptors.
    handlers: RefCell<Vec<(ComPtr<IEventHandler>, FileDescriptor)>>,
    /// The size that the editor requested last.
    requested_size: Cell<Option<(u32, u32)>>,
}

impl Frame {
    /// Calls every handler whose file descriptor is readable.
    fn run_once(&self) -> Result<()> {
        // Handlers may register and unregister while one is called.
        let handlers = self.handlers.borrow().clone();
        for (handler, fd) in handlers {
            // SAFETY: the plugin keeps the file open while it is registered.
            let file = unsafe { BorrowedFd::borrow_raw(fd) };
            let mut wanted = [PollFd::new(&file, PollFlags::IN)];
            if poll(&mut wanted, Some(&Timespec::default()))? > 0 {
                // SAFETY: a reference to it is held.
                unsafe { handler.onFDIsSet(fd) };
            }
        }
        Ok(())
    }
}

impl Class for Frame {
    type Interfaces = (IPlugFrame, IRunLoop);
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

impl IRunLoopTrait for Frame {
    unsafe fn registerEventHandler(
        &self,
        handler: *mut IEventHandler,
        fd: FileDescriptor,
    ) -> tresult {
        // SAFETY: the caller passes a valid handler.
        let Some(handler) = (unsafe { ComRef::from_raw(handler) }) else {
            return kInvalidArgument;
        };
        let mut handlers = self.handlers.borrow_mut();
        handlers.push((handler.to_com_ptr(), fd));
        kResultOk
    }

    unsafe fn unregisterEventHandler(&self, handler: *mut IEventHandler) -> tresult {
        let mut handlers = self.handlers.borrow_mut();
        let found = handlers.iter().position(|(h, _)| h.as_ptr() == handler);
        let Some(found) = found else {
            return kInvalidArgument;
        };
        let gone = handlers.remove(found);
        // Dropping the last reference runs the plugin's code, which may call this object.
        drop(handlers);
        drop(gone);
        kResultOk
    }

    unsafe fn registerTimer(&self, _: *mut ITimerHandler, _: TimerInterval) -> tresult {
        kNotImplemented
    }

    unsafe fn unregisterTimer(&self, _: *mut ITimerHandler) -> tresult {
        kNotImplemented
    }
}
