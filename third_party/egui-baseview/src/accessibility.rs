//! PATCH: what egui tells of its widgets reaches the platform's screen readers, and what they
//! ask for reaches egui: AT-SPI over D-Bus on Linux and BSD, UI Automation on Windows,
//! NSAccessibility on macOS, each through AccessKit's adapter for it.
//!
//! egui builds no tree until the platform says that somebody reads it. The platform asks on
//! threads of its own (D-Bus) or from within a window's procedure; either way it only leaves a
//! word here and wakes the window, which answers in its next frame.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Weak};

use baseview::{WindowContext, WindowWaker};
use egui::accesskit::{
    ActionHandler, ActionRequest, ActivationHandler, DeactivationHandler, TreeUpdate,
};

use platform::Adapter;

/// What the platform asks of the window.
enum Asked {
    /// To tell of its widgets from now on.
    Begin,
    /// Not to any more.
    End,
    Do(ActionRequest),
}

/// The platform's end. It may outlive the window for a moment, or for ever where there is no
/// D-Bus, so it keeps nothing of the window alive.
#[derive(Clone)]
struct Asking {
    asked: Sender<Asked>,
    waker: Weak<WindowWaker>,
}

impl Asking {
    fn ask(&self, what: Asked) {
        // A window that has closed meanwhile has nothing to answer.
        if self.asked.send(what).is_ok()
            && let Some(waker) = self.waker.upgrade()
        {
            waker.request_redraw();
        }
    }
}

impl ActivationHandler for Asking {
    fn request_initial_tree(&mut self) -> Option<TreeUpdate> {
        self.ask(Asked::Begin);
        // It comes with the next frame.
        None
    }
}

impl ActionHandler for Asking {
    fn do_action(&mut self, request: ActionRequest) {
        self.ask(Asked::Do(request));
    }
}

impl DeactivationHandler for Asking {
    fn deactivate_accessibility(&mut self) {
        self.ask(Asked::End);
    }
}

/// The window's end, on the window's thread.
pub(crate) struct Accessibility {
    asked: Receiver<Asked>,
    /// The only strong one.
    _waker: Arc<WindowWaker>,
    /// None where the platform has nothing to give it to.
    adapter: Option<Adapter>,
    title: String,
}

impl Accessibility {
    /// On the window's thread, before it is shown. Waits for nothing: on Linux the session's
    /// bus is looked for on another thread, and if there is none, that is all.
    pub(crate) fn new(window: &WindowContext, title: String) -> Self {
        let (sender, asked) = channel();
        let waker = Arc::new(window.waker());
        let asking = Asking {
            asked: sender,
            waker: Arc::downgrade(&waker),
        };
        Self {
            asked,
            _waker: waker,
            adapter: platform::adapter(window, asking),
            title,
        }
    }

    /// Before a frame: what was asked for since the last one.
    pub(crate) fn before_frame(&self, ctx: &egui::Context, input: &mut egui::RawInput) {
        for asked in self.asked.try_iter() {
            match asked {
                Asked::Begin => ctx.enable_accesskit(),
                Asked::End => ctx.disable_accesskit(),
                Asked::Do(request) => {
                    let event = egui::Event::AccessKitActionRequest(request);
                    input.events.push(event);
                }
            }
        }
    }

    /// After a frame: the widgets it showed.
    pub(crate) fn after_frame(&mut self, output: &mut egui::PlatformOutput) {
        let (Some(adapter), Some(mut tree)) =
            (&mut self.adapter, output.accesskit_update.take())
        else {
            return;
        };
        // egui does not know what its window is called.
        let root = tree.tree.as_ref().map(|info| info.root);
        for (id, node) in &mut tree.nodes {
            if Some(*id) == root && node.label().is_none() {
                node.set_label(self.title.as_str());
            }
        }
        platform::update(adapter, tree);
    }

    /// The window has the keyboard, or has it no longer.
    pub(crate) fn focus(&mut self, focused: bool) {
        if let Some(adapter) = &mut self.adapter {
            platform::focus(adapter, focused);
        }
    }
}

#[cfg(not(any(windows, target_os = "macos")))]
mod platform {
    use super::{Asking, TreeUpdate, WindowContext};

    pub(super) use accesskit_unix::Adapter;

    /// It needs no window: a program is known by its connection to the bus.
    pub(super) fn adapter(_: &WindowContext, asking: Asking) -> Option<Adapter> {
        Some(Adapter::new(asking.clone(), asking.clone(), asking))
    }

    pub(super) fn update(adapter: &mut Adapter, tree: TreeUpdate) {
        adapter.update_if_active(|| tree);
    }

    pub(super) fn focus(adapter: &mut Adapter, focused: bool) {
        adapter.update_window_focus_state(focused);
    }
}

#[cfg(windows)]
mod platform {
    use accesskit_windows::HWND;
    use raw_window_handle::{HasWindowHandle, RawWindowHandle};

    use super::{Asking, TreeUpdate, WindowContext};

    pub(super) use accesskit_windows::SubclassingAdapter as Adapter;

    /// baseview shows its window after its handler is built, as the adapter demands.
    pub(super) fn adapter(window: &WindowContext, asking: Asking) -> Option<Adapter> {
        let RawWindowHandle::Win32(handle) = window.window_handle().ok()?.as_raw() else {
            return None;
        };
        let hwnd = HWND(handle.hwnd.get() as *mut _);
        Some(Adapter::new(hwnd, asking.clone(), asking))
    }

    pub(super) fn update(adapter: &mut Adapter, tree: TreeUpdate) {
        if let Some(events) = adapter.update_if_active(|| tree) {
            events.raise();
        }
    }

    /// It sees the window's messages itself.
    pub(super) fn focus(_: &mut Adapter, _: bool) {}
}

#[cfg(target_os = "macos")]
mod platform {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use raw_window_handle::{HasWindowHandle, RawWindowHandle};

    use super::{Asking, TreeUpdate, WindowContext};

    pub(super) use accesskit_macos::SubclassingAdapter as Adapter;

    /// None too where another plugin of the process has brought an AccessKit of its own: names
    /// of Objective-C classes are the whole process's, and the adapter panics where its is taken.
    pub(super) fn adapter(window: &WindowContext, asking: Asking) -> Option<Adapter> {
        let RawWindowHandle::AppKit(handle) = window.window_handle().ok()?.as_raw() else {
            return None;
        };
        let view = handle.ns_view.as_ptr();
        let subclass = || {
            // SAFETY: the handle is this window's, which is open: its view is alive, and the
            // adapter keeps it so.
            unsafe { Adapter::new(view, asking.clone(), asking) }
        };
        // Nothing of ours is left half done: what it was given goes with it.
        catch_unwind(AssertUnwindSafe(subclass)).ok()
    }

    pub(super) fn update(adapter: &mut Adapter, tree: TreeUpdate) {
        if let Some(events) = adapter.update_if_active(|| tree) {
            events.raise();
        }
    }

    pub(super) fn focus(adapter: &mut Adapter, focused: bool) {
        if let Some(events) = adapter.update_view_focus_state(focused) {
            events.raise();
        }
    }
}
