//! The run loop that VST3 requires of hosts on Linux: handlers of file descriptors.

use std::cell::RefCell;
use std::os::fd::BorrowedFd;

use anyhow::{Result, bail};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use vst3::Steinberg::Linux::{
    FileDescriptor, IEventHandler, IEventHandlerTrait, IRunLoop, IRunLoopTrait, ITimerHandler,
    TimerInterval,
};
use vst3::Steinberg::{IPlugFrame, kInvalidArgument, kNotImplemented, kResultOk, tresult};
use vst3::{Class, ComPtr, ComRef};

use super::gui::Frame;

/// Registered handlers. Main thread only.
#[derive(Default)]
pub(super) struct RunLoop {
    /// Handlers and their file descriptors.
    handlers: RefCell<Vec<(ComPtr<IEventHandler>, FileDescriptor)>>,
}

impl RunLoop {
    /// Calls every handler whose file descriptor is readable.
    pub(super) fn run_once(&self) -> Result<()> {
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

    /// Fails if a handler is registered.
    pub(super) fn check_empty(&self) -> Result<()> {
        match self.handlers.borrow().len() {
            0 => Ok(()),
            left => bail!("the editor left {left} handlers in the host's run loop"),
        }
    }
}

impl Class for Frame {
    type Interfaces = (IPlugFrame, IRunLoop);
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
        let mut handlers = self.run_loop.handlers.borrow_mut();
        handlers.push((handler.to_com_ptr(), fd));
        kResultOk
    }

    unsafe fn unregisterEventHandler(&self, handler: *mut IEventHandler) -> tresult {
        let mut handlers = self.run_loop.handlers.borrow_mut();
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
