//! The plugin's editor in a window of the host's. X11 only: it is what a virtual display has.

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

use super::ok;

/// An editor that was made, and perhaps shown.
pub(super) struct Editor {
    view: ComPtr<IPlugView>,
    frame: ComWrapper<Frame>,
    attached: bool,
}

impl Editor {
    /// Makes it.
    pub(super) fn make(controller: &ComPtr<IEditController>) -> Result<Self> {
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

    /// Its size, in pixels.
    pub(super) fn size(&self) -> Result<(u32, u32)> {
        let mut size = rect(0, 0);
        // SAFETY: the view lives, and there is room for the answer.
        ok(unsafe { self.view.getSize(&mut size) }, "to tell its size")?;
        let [width, height] = [size.right - size.left, size.bottom - size.top];
        Ok((u32::try_from(width)?, u32::try_from(height)?))
    }

    /// Puts it into a window of the host's, which shows it.
    pub(super) fn show(&mut self, parent: u32) -> Result<()> {
        let parent = parent as usize as *mut c_void;
        // SAFETY: the format gives X11 windows as the pointer itself.
        let told = unsafe { self.view.attached(parent, kPlatformTypeX11EmbedWindowID) };
        ok(told, "the host's window")?;
        self.attached = true;
        Ok(())
    }

    /// Tells it its window's new size, in pixels.
    pub(super) fn resize(&mut self, width: u32, height: u32) -> Result<()> {
        let mut wanted = rect(i32::try_from(width)?, i32::try_from(height)?);
        // SAFETY: the view lives, and so does the rectangle.
        unsafe {
            ok(self.view.checkSizeConstraint(&mut wanted), "a size")?;
            ok(self.view.onSize(&mut wanted), "its new size")
        }
    }

    /// The size that it asked for, if it did since the last call.
    pub(super) fn requested_size(&self) -> Option<(u32, u32)> {
        self.frame.wanted.take()
    }

    /// One turn of the host's run loop.
    pub(super) fn run_main_thread(&self) -> Result<()> {
        self.frame.run_main_thread()
    }

    /// Takes it out of the window. An error if it stays in the host's run loop.
    pub(super) fn close(mut self) -> Result<()> {
        self.leave();
        match self.frame.waiting.borrow().len() {
            0 => Ok(()),
            left => bail!("the editor left {left} handlers in the host's run loop"),
        }
    }

    fn leave(&mut self) {
        // SAFETY: the view lives. What these answer is of no use any more.
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
        self.leave();
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

/// The host's side of the window, with the run loop a plugin needs on Linux.
#[derive(Default)]
struct Frame {
    /// What waits for which file.
    waiting: RefCell<Vec<(ComPtr<IEventHandler>, FileDescriptor)>>,
    /// The size that the editor asked for last.
    wanted: Cell<Option<(u32, u32)>>,
}

impl Frame {
    /// Calls those whose file has something to be read.
    fn run_main_thread(&self) -> Result<()> {
        // A handler may come and go while another is called.
        let handlers = self.waiting.borrow().clone();
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
        // SAFETY: the caller gives a rectangle that lives, or none.
        let Some(size) = (unsafe { size.as_ref() }) else {
            return kInvalidArgument;
        };
        let side = |from: i32, to: i32| u32::try_from(to - from).ok();
        let wanted = side(size.left, size.right).zip(side(size.top, size.bottom));
        // Whoever shows the window resizes it.
        self.wanted.set(wanted);
        kResultOk
    }
}

impl IRunLoopTrait for Frame {
    unsafe fn registerEventHandler(
        &self,
        handler: *mut IEventHandler,
        fd: FileDescriptor,
    ) -> tresult {
        // SAFETY: the caller gives a handler that lives.
        let Some(handler) = (unsafe { ComRef::from_raw(handler) }) else {
            return kInvalidArgument;
        };
        let mut waiting = self.waiting.borrow_mut();
        waiting.push((handler.to_com_ptr(), fd));
        kResultOk
    }

    unsafe fn unregisterEventHandler(&self, handler: *mut IEventHandler) -> tresult {
        let mut handlers = self.waiting.borrow_mut();
        let found = handlers.iter().position(|(h, _)| h.as_ptr() == handler);
        let Some(found) = found else {
            return kInvalidArgument;
        };
        let gone = handlers.remove(found);
        // Letting go of the last reference runs the plugin's code, which may come back here.
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
