//! Event lists and parameter changes that a VST3 host passes to the plugin for one block.

use std::cell::RefCell;
use std::mem::zeroed;

use vst3::Steinberg::Vst::{
    Event, Event_::EventTypes_, IEventList, IEventListTrait, IParamValueQueue,
    IParamValueQueueTrait, IParameterChanges, IParameterChangesTrait, ParamID, ParamValue,
};
use vst3::Steinberg::{int32, kInvalidArgument, kResultFalse, kResultOk, tresult};
use vst3::{Class, ComPtr, ComWrapper};

use crate::host::audio_thread::OUTPUT_EVENTS;
use crate::host::plugin::{NoteEvent, ParameterChange};

/// `IEventList` over a vector.
pub(super) struct EventList(RefCell<Vec<Event>>);

impl EventList {
    pub(super) fn new(notes: &[NoteEvent]) -> Self {
        Self(RefCell::new(notes.iter().map(to_event).collect()))
    }

    /// An empty list with room for [`OUTPUT_EVENTS`], so that it does not allocate in `process()`.
    pub(super) fn empty() -> Self {
        Self(RefCell::new(Vec::with_capacity(OUTPUT_EVENTS)))
    }

    /// The notes among the events.
    pub(super) fn notes(&self) -> Vec<NoteEvent> {
        self.0.borrow().iter().filter_map(from_event).collect()
    }
}

impl Class for EventList {
    type Interfaces = (IEventList,);
}

impl IEventListTrait for EventList {
    unsafe fn getEventCount(&self) -> int32 {
        self.0.borrow().len() as int32
    }

    unsafe fn getEvent(&self, index: int32, event: *mut Event) -> tresult {
        match self.0.borrow().get(index as usize) {
            Some(found) if !event.is_null() => {
                // SAFETY: the caller provides room for one event.
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
        // SAFETY: the caller provides an event.
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
        // SAFETY: the type selects this member of the union.
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

/// `IParameterChanges`: one queue per changed parameter.
pub(super) struct ParameterChanges(Vec<ComPtr<IParamValueQueue>>);

impl ParameterChanges {
    pub(super) fn new(changes: &[ParameterChange]) -> Self {
        let queue = |change: &ParameterChange| {
            ComWrapper::new(ValueQueue(*change)).to_com_ptr::<IParamValueQueue>()
        };
        Self(changes.iter().filter_map(queue).collect())
    }
}

impl Class for ParameterChanges {
    type Interfaces = (IParameterChanges,);
}

impl IParameterChangesTrait for ParameterChanges {
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
struct ValueQueue(ParameterChange);

impl Class for ValueQueue {
    type Interfaces = (IParamValueQueue,);
}

impl IParamValueQueueTrait for ValueQueue {
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
        // SAFETY: the caller provides room for both.
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
