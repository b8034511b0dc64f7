//! The host's callbacks and extensions that a CLAP plugin can call.

use std::ffi::CStr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use clack_extensions::gui::HostGui;
use clack_extensions::latency::{HostLatency, HostLatencyImpl};
use clack_extensions::note_ports::NoteDialects;
use clack_extensions::params::{
    HostParams, HostParamsImplMainThread, HostParamsImplShared, ParamClearFlags, ParamRescanFlags,
};
use clack_host::extensions::prelude::{HostWrapper, clap_host};
use clack_host::extensions::{
    Extension, ExtensionImplementation, HostExtensionSide, RawExtension, RawExtensionImplementation,
};
use clack_host::prelude::*;

use super::notes::{ClapHostConfig, Dialect};

/// Callbacks that the plugin may call from any thread.
pub(super) struct Shared {
    /// Whether the plugin has requested a call on the main thread.
    pub(super) callback: AtomicBool,
    pub(super) config: ClapHostConfig,
    /// Width and height in pixels that the editor requested last.
    pub(super) requested_size: Mutex<Option<(u32, u32)>>,
}

impl Shared {
    pub(super) fn new(config: ClapHostConfig) -> Self {
        Self {
            callback: AtomicBool::new(false),
            config,
            requested_size: Mutex::default(),
        }
    }
}

impl SharedHandler<'_> for Shared {
    fn request_restart(&self) {}

    fn request_process(&self) {}

    fn request_callback(&self) {
        self.callback.store(true, Ordering::SeqCst);
    }
}

impl HostParamsImplShared for Shared {
    fn request_flush(&self) {}
}

/// Callbacks that the plugin may call from the main thread.
pub(super) struct MainThread {
    /// Note dialects that the host declares.
    pub(super) declares: Option<Vec<Dialect>>,
}

impl MainThreadHandler<'_> for MainThread {}

impl HostParamsImplMainThread for MainThread {
    fn rescan(&self, _flags: ParamRescanFlags) {}

    fn clear(&self, _id: ClapId, _flags: ParamClearFlags) {}
}

impl HostLatencyImpl for MainThread {
    fn changed(&self) {}
}

/// Types of the callbacks, for clack.
pub(super) struct Handlers;

impl HostHandlers for Handlers {
    type Shared<'a> = Shared;
    type MainThread<'a> = MainThread;
    type AudioProcessor<'a> = ();

    fn declare_extensions(builder: &mut HostExtensions<Self>, shared: &Self::Shared<'_>) {
        builder.register::<HostParams>().register::<HostLatency>();
        if shared.config.has_gui {
            builder.register::<HostGui>();
        }
        if shared.config.declares.is_some() {
            builder.register::<NotePorts>();
        }
    }
}

/// The extension `clap.note-ports`. clack-extensions 0.2.0 has one that passes the plugin a pointer
/// to a pointer.
#[derive(Clone, Copy)]
struct NotePorts;

/// Memory layout of the extension, from the CLAP specification.
#[repr(C)]
struct RawNotePorts {
    supported_dialects: unsafe extern "C" fn(*const clap_host) -> u32,
    rescan: unsafe extern "C" fn(*const clap_host, u32),
}

unsafe extern "C" fn supported_dialects(host: *const clap_host) -> u32 {
    let declared = |main: &MainThread| {
        let bit = |dialect: &Dialect| match dialect {
            Dialect::Clap => NoteDialects::CLAP.bits(),
            Dialect::Midi => NoteDialects::MIDI.bits(),
        };
        Ok(main.declares.iter().flatten().map(bit).sum())
    };
    // SAFETY: the plugin passes the host pointer that it received, on the main thread.
    unsafe { HostWrapper::<Handlers>::handle_main_thread(host, declared) }.unwrap_or(0)
}

unsafe extern "C" fn rescan(_: *const clap_host, _: u32) {}

// SAFETY: `from_raw` ignores the pointer, so its type does not matter.
unsafe impl Extension for NotePorts {
    const IDENTIFIERS: &'static [&'static CStr] = &[c"clap.note-ports"];
    type ExtensionSide = HostExtensionSide;

    unsafe fn from_raw(_: RawExtension<HostExtensionSide>) -> Self {
        Self
    }
}

// SAFETY: `RawNotePorts` has the layout of the CLAP specification.
unsafe impl ExtensionImplementation<Handlers> for NotePorts {
    const IMPLEMENTATION: RawExtensionImplementation =
        RawExtensionImplementation::new(&RawNotePorts {
            supported_dialects,
            rescan,
        });
}
