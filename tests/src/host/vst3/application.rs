//! The host objects that a VST3 plugin calls: application and component handler.

use std::ffi::c_void;
use std::sync::{Mutex, PoisonError};

use vst3::Class;
use vst3::Steinberg::Vst::{
    IComponentHandler, IComponentHandlerTrait, IHostApplication, IHostApplicationTrait, ParamID,
    ParamValue, String128,
};
use vst3::Steinberg::{TUID, int32, kInvalidArgument, kNotImplemented, kResultOk, tresult};

use crate::host::plugin::ParameterChange;

/// `IHostApplication` and `IComponentHandler`: the host's name, and parameter edits of the editor.
#[derive(Default)]
pub(super) struct HostApplication {
    /// Parameter edits since the last block, for the plugin's processor. Written by the main thread.
    edits: Mutex<Vec<ParameterChange>>,
}

impl HostApplication {
    /// Takes the parameter edits made in the editor since the last call.
    pub(super) fn take_edits(&self) -> Vec<ParameterChange> {
        // A panic cannot leave the vector inconsistent.
        std::mem::take(&mut *self.edits.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Class for HostApplication {
    type Interfaces = (IHostApplication, IComponentHandler);
}

impl IHostApplicationTrait for HostApplication {
    unsafe fn getName(&self, name: *mut String128) -> tresult {
        if name.is_null() {
            return kInvalidArgument;
        }
        // SAFETY: the caller provides room for 128 characters.
        let name = unsafe { &mut *name };
        name.fill(0);
        for (to, from) in name.iter_mut().zip("Continuo tests".encode_utf16()) {
            *to = from as _;
        }
        kResultOk
    }

    unsafe fn createInstance(&self, _: *mut TUID, _: *mut TUID, _: *mut *mut c_void) -> tresult {
        kNotImplemented
    }
}

impl IComponentHandlerTrait for HostApplication {
    unsafe fn beginEdit(&self, _id: ParamID) -> tresult {
        kResultOk
    }

    unsafe fn performEdit(&self, id: ParamID, value: ParamValue) -> tresult {
        let mut edits = self.edits.lock().unwrap_or_else(PoisonError::into_inner);
        edits.push(ParameterChange { id, value });
        kResultOk
    }

    unsafe fn endEdit(&self, _id: ParamID) -> tresult {
        kResultOk
    }

    unsafe fn restartComponent(&self, _flags: int32) -> tresult {
        kResultOk
    }
}
