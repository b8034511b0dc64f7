//! What a host hands a VST3 for one block: lists of events and of parameter changes.

use std::cell::RefCell;
use std::ffi::c_void;
use std::mem::zeroed;
use std::sync::{Mutex, PoisonError};

use vst3::Steinberg::Vst::{
    Event, Event_::EventTypes_, IComponentHandler, IComponentHandlerTrait, IEventList,
    IEventListTrait, IHostApplication, IHostApplicationTrait, IParamValueQueue,
    IParamValueQueueTrait, IParameterChanges, IParameterChangesTrait, ParamID, ParamValue,
    String128,
};
use vst3::Steinberg::{
    TUID, int32, kInvalidArgument, kNotImplemented, kResultFalse, kResultOk, tresult,
};
use vst3::{Class, ComPtr, ComWrapper};

use super::super::{NoteEvent, OUTPUT_EVENTS, ParameterChange};

/// `IEventList`.
pub(super) struct Events(RefCell<Vec<Event>>);

impl Events {
    pub(super) fn new(notes: &[NoteEvent]) -> Self {
        Self(RefCell::new(notes.iter().map(to_event).collect()))
    }

    /// Room for what a block brings, so that this host calls nobody while the plugin is at work.
    pub(super) fn empty() -> Self {
        Self(RefCell::new(Vec::with_capacity(OUTPUT_EVENTS)))
    }

    /// The notes among the events.
    pub(super) fn notes(&self) -> Vec<NoteEvent> {
        self.0.borrow().iter().filter_map(from_event).collect()
    }
}

impl Class for Events {
    type Interfaces = (IEventList,);
}

impl IEventListTrait for Events {
    unsafe fn getEventCount(&self) -> int32 {
        self.0.borrow().len() as int32
    }

    unsafe fn getEvent(&self, index: int32, event: *mut Event) -> tresult {
        match self.0.borrow().get(index as usize) {
            Some(found) if !event.is_null() => {
                // SAFETY: the caller gives room for one event.
                unsafe { event.write(*found) };
                kResultOk
            }
            _ => kInvalidArgument,
        }
    }

    unsafe fn addEvent(&self, event: *mut Event) -> tresult {
        if event.is_null() {
            return kInvalidArgument;
        }
        // SAFETY: the caller gives an event.
        self.0.borrow_mut().push(unsafe { *event });
        kResultOk
    }
}

fn to_event(note: &NoteEvent) -> Event {
    // SAFETY: a C struct of numbers, for which zeros are valid.
    let mut event: Event = unsafe { zeroed() };
    event.sampleOffset = note.offset as i32;
    let (channel, pitch) = (i16::from(note.channel), i16::from(note.key));
    if note.on {
        event.r#type = EventTypes_::kNoteOnEvent as u16;
        // SAFETY: as above.
        let mut on: vst3::Steinberg::Vst::NoteOnEvent = unsafe { zeroed() };
        (on.channel, on.pitch, on.velocity, on.noteId) = (channel, pitch, note.velocity, -1);
        event.__field0.noteOn = on;
    } else {
        event.r#type = EventTypes_::kNoteOffEvent as u16;
        // SAFETY: as above.
        let mut off: vst3::Steinberg::Vst::NoteOffEvent = unsafe { zeroed() };
        (off.channel, off.pitch, off.velocity, off.noteId) = (channel, pitch, note.velocity, -1);
        event.__field0.noteOff = off;
    }
    event
}

fn from_event(event: &Event) -> Option<NoteEvent> {
    let (on, channel, key, velocity) = if event.r#type == EventTypes_::kNoteOnEvent as u16 {
        // SAFETY: the type says which of the union it is.
        let note = unsafe { event.__field0.noteOn };
        (true, note.channel, note.pitch, note.velocity)
    } else if event.r#type == EventTypes_::kNoteOffEvent as u16 {
        // SAFETY: as above.
        let note = unsafe { event.__field0.noteOff };
        (false, note.channel, note.pitch, note.velocity)
    } else {
        return None;
    };
    Some(NoteEvent {
        offset: event.sampleOffset.try_into().ok()?,
        on,
        channel: channel.try_into().ok()?,
        key: key.try_into().ok()?,
        velocity,
    })
}

/// `IParameterChanges`: what the host changes going in, what the plugin changes coming out.
pub(super) struct Changes(Vec<ComPtr<IParamValueQueue>>);

impl Changes {
    pub(super) fn new(changes: &[ParameterChange]) -> Self {
        let queue = |change: &ParameterChange| {
            ComWrapper::new(Queue(*change)).to_com_ptr::<IParamValueQueue>()
        };
        Self(changes.iter().filter_map(queue).collect())
    }
}

impl Class for Changes {
    type Interfaces = (IParameterChanges,);
}

impl IParameterChangesTrait for Changes {
    unsafe fn getParameterCount(&self) -> int32 {
        self.0.len() as int32
    }

    unsafe fn getParameterData(&self, index: int32) -> *mut IParamValueQueue {
        self.0
            .get(index as usize)
            .map_or(std::ptr::null_mut(), ComPtr::as_ptr)
    }

    unsafe fn addParameterData(
        &self,
        _id: *const ParamID,
        _index: *mut int32,
    ) -> *mut IParamValueQueue {
        std::ptr::null_mut()
    }
}

/// `IParamValueQueue`: one change, at the first sample.
struct Queue(ParameterChange);

impl Class for Queue {
    type Interfaces = (IParamValueQueue,);
}

impl IParamValueQueueTrait for Queue {
    unsafe fn getParameterId(&self) -> ParamID {
        self.0.id
    }

    unsafe fn getPointCount(&self) -> int32 {
        1
    }

    unsafe fn getPoint(&self, index: int32, offset: *mut int32, value: *mut ParamValue) -> tresult {
        if index != 0 || offset.is_null() || value.is_null() {
            return kInvalidArgument;
        }
        // SAFETY: the caller gives room for both.
        unsafe {
            offset.write(0);
            value.write(self.0.value);
        }
        kResultOk
    }

    unsafe fn addPoint(&self, _offset: int32, _value: ParamValue, _index: *mut int32) -> tresult {
        kResultFalse
    }
}

/// The host itself, as far as a plugin asks.
#[derive(Default)]
pub(super) struct Host {
    /// What was done in the plugin's editor, for its processor to hear of in the next block.
    edits: Mutex<Vec<ParameterChange>>,
}

impl Host {
    /// What was done in the editor since the last call.
    pub(super) fn take_edits(&self) -> Vec<ParameterChange> {
        // One push at a time: a panic leaves nothing half done.
        std::mem::take(&mut *self.edits.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Class for Host {
    type Interfaces = (IHostApplication, IComponentHandler);
}

impl IHostApplicationTrait for Host {
    unsafe fn getName(&self, name: *mut String128) -> tresult {
        if name.is_null() {
            return kInvalidArgument;
        }
        // SAFETY: the caller gives room for 128 characters.
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

impl IComponentHandlerTrait for Host {
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
