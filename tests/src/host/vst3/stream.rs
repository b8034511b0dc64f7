//! `IBStream` over bytes in memory, for a plugin's state.

use std::cell::RefCell;
use std::ffi::c_void;
use std::io::{Cursor, Read, Seek, SeekFrom, Write};

use vst3::Class;
use vst3::Steinberg::IBStream_::IStreamSeekMode_ as From;
use vst3::Steinberg::{
    IBStream, IBStreamTrait, int32, int64, kInvalidArgument, kResultFalse, kResultOk, tresult,
};

/// A stream that grows as it is written.
#[derive(Default)]
pub(super) struct Stream(RefCell<Cursor<Vec<u8>>>);

impl Stream {
    pub(super) fn new(bytes: &[u8]) -> Self {
        Self(RefCell::new(Cursor::new(bytes.to_vec())))
    }

    /// All bytes of the stream.
    pub(super) fn bytes(&self) -> Vec<u8> {
        self.0.borrow().get_ref().clone()
    }
}

impl Class for Stream {
    type Interfaces = (IBStream,);
}

impl IBStreamTrait for Stream {
    unsafe fn read(&self, buffer: *mut c_void, count: int32, read: *mut int32) -> tresult {
        let Ok(count) = usize::try_from(count) else {
            return kInvalidArgument;
        };
        if buffer.is_null() && count > 0 {
            return kInvalidArgument;
        }
        let mut bytes = vec![0; count];
        // Reading from memory cannot fail.
        let found = self.0.borrow_mut().read(&mut bytes).unwrap_or(0);
        // SAFETY: the caller provides room for `count` bytes, and for the number if not null.
        unsafe {
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), buffer.cast::<u8>(), found);
            if !read.is_null() {
                read.write(found as int32);
            }
        }
        kResultOk
    }

    unsafe fn write(&self, buffer: *mut c_void, count: int32, written: *mut int32) -> tresult {
        let Some(count) = usize::try_from(count).ok().filter(|_| !buffer.is_null()) else {
            return kInvalidArgument;
        };
        // SAFETY: the caller provides `count` bytes.
        let bytes = unsafe { std::slice::from_raw_parts(buffer.cast::<u8>(), count) };
        if self.0.borrow_mut().write_all(bytes).is_err() {
            return kResultFalse;
        }
        if !written.is_null() {
            // SAFETY: the caller provides room for the number.
            unsafe { written.write(count as int32) };
        }
        kResultOk
    }

    unsafe fn seek(&self, place: int64, mode: int32, result: *mut int64) -> tresult {
        let to = match mode {
            mode if mode == From::kIBSeekSet as int32 => match u64::try_from(place) {
                Ok(place) => SeekFrom::Start(place),
                Err(_) => return kInvalidArgument,
            },
            mode if mode == From::kIBSeekCur as int32 => SeekFrom::Current(place),
            mode if mode == From::kIBSeekEnd as int32 => SeekFrom::End(place),
            _ => return kInvalidArgument,
        };
        let Ok(now) = self.0.borrow_mut().seek(to) else {
            return kInvalidArgument;
        };
        if !result.is_null() {
            // SAFETY: the caller provides room for the number.
            unsafe { result.write(now as int64) };
        }
        kResultOk
    }

    unsafe fn tell(&self, place: *mut int64) -> tresult {
        if place.is_null() {
            return kInvalidArgument;
        }
        // SAFETY: the caller provides room for the number.
        unsafe { place.write(self.0.borrow().position() as int64) };
        kResultOk
    }
}
