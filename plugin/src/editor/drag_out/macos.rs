//! A drag on macOS, by AppKit. Compiled here, not seen.
//!
//! AppKit runs the drag in the main thread's run loop and calls its source back there. The view, which is
//! baseview's, is not the source: a small object of ours is. Main thread.

use std::cell::Cell;
use std::path::Path;

use objc2::rc::Retained;
use objc2::runtime::{NSObject, NSObjectProtocol, ProtocolObject};
use objc2::{AnyThread, DefinedClass, MainThreadMarker, MainThreadOnly, define_class, msg_send};
use objc2_app_kit::{
    NSDragOperation, NSDraggingContext, NSDraggingItem, NSDraggingSession, NSDraggingSource,
    NSEvent, NSEventModifierFlags, NSEventType, NSPasteboardWriting, NSView, NSWorkspace,
};
use objc2_foundation::{NSArray, NSPoint, NSRect, NSSize, NSString, NSURL};
use raw_window_handle::{HasWindowHandle, RawWindowHandle};

use super::{DragLink, DragOutcome};

/// Side of the picture under the pointer, in points.
const ICON: f64 = 32.0;

/// State of a source.
struct SourceState {
    /// Taken when the drag ends.
    link: Cell<Option<DragLink>>,
    view: Retained<NSView>,
}

define_class!(
    /// The source of one drag. The class has no name of its own: objc2's generated names may occur in several
    /// libraries of one process, such as Continuo's CLAP and VST3.
    // SAFETY: NSObject has no rules for its subclasses, and there is no `Drop`.
    #[unsafe(super(NSObject))]
    #[thread_kind = MainThreadOnly]
    #[ivars = SourceState]
    struct DragSource;

    unsafe impl NSObjectProtocol for DragSource {}

    unsafe impl NSDraggingSource for DragSource {
        #[unsafe(method(draggingSession:sourceOperationMaskForDraggingContext:))]
        fn operations(
            &self,
            _session: &NSDraggingSession,
            _context: NSDraggingContext,
        ) -> NSDragOperation {
            NSDragOperation::Copy
        }

        #[unsafe(method(draggingSession:endedAtPoint:operation:))]
        fn ended(&self, _session: &NSDraggingSession, _at: NSPoint, operation: NSDragOperation) {
            let state = self.ivars();
            // The drag took the release of the button, which the editor waits for.
            if let Some(release) = mouse_event(&state.view, NSEventType::LeftMouseUp) {
                state.view.mouseUp(&release);
            }
            if let Some(link) = state.link.take() {
                link.end(match operation {
                    // AppKit does not tell a refusal from Escape.
                    NSDragOperation::None => DragOutcome::Cancelled,
                    _ => DragOutcome::Dropped,
                });
            }
        }
    }
);

impl DragSource {
    fn new(link: DragLink, view: Retained<NSView>, main: MainThreadMarker) -> Retained<Self> {
        let link = Cell::new(Some(link));
        let source = Self::alloc(main).set_ivars(SourceState { link, view });
        // SAFETY: NSObject's initialiser has this signature.
        unsafe { msg_send![super(source), init] }
    }
}

/// Starts a drag out of `window`, which AppKit runs.
///
/// # Errors
/// A text for people: there is no such view, or it is in no window.
pub(super) fn start(
    file: &Path,
    window: &impl HasWindowHandle,
    link: DragLink,
) -> Result<(), String> {
    let main = MainThreadMarker::new().ok_or("the editor is not on the main thread")?;
    let Ok(RawWindowHandle::AppKit(handle)) = window.window_handle().map(|handle| handle.as_raw())
    else {
        return Err("the editor has no view".into());
    };
    // SAFETY: the handle is that of a live view, and this is the main thread.
    let view = unsafe { Retained::retain(handle.ns_view.as_ptr().cast::<NSView>()) };
    let view = view.ok_or("the editor has no view")?;
    let event = mouse_event(&view, NSEventType::LeftMouseDragged);
    let event = event.ok_or("the editor is in no window")?;
    let name = NSString::from_str(&file.to_string_lossy());
    let url = NSURL::fileURLWithPath(&name);
    let writer: &ProtocolObject<dyn NSPasteboardWriting> = ProtocolObject::from_ref(&*url);
    let item = NSDraggingItem::initWithPasteboardWriter(NSDraggingItem::alloc(), writer);
    let icon = NSWorkspace::sharedWorkspace().iconForFile(&name);
    let at = view.convertPoint_fromView(event.locationInWindow(), None);
    let corner = NSPoint::new(at.x - ICON / 2.0, at.y - ICON / 2.0);
    let frame = NSRect::new(corner, NSSize::new(ICON, ICON));
    // SAFETY: the contents are an image, as they must be.
    unsafe { item.setDraggingFrame_contents(frame, Some(&icon)) };
    let source = DragSource::new(link, view.clone(), main);
    let items = NSArray::from_retained_slice(&[item]);
    let source = ProtocolObject::from_ref(&*source);
    // The session keeps its source.
    view.beginDraggingSessionWithItems_event_source(&items, &event, source);
    Ok(())
}

/// An event of the left button, where the pointer is now.
fn mouse_event(view: &NSView, kind: NSEventType) -> Option<Retained<NSEvent>> {
    let window = view.window()?;
    NSEvent::mouseEventWithType_location_modifierFlags_timestamp_windowNumber_context_eventNumber_clickCount_pressure(
        kind,
        window.mouseLocationOutsideOfEventStream(),
        NSEventModifierFlags::empty(),
        0.0,
        window.windowNumber(),
        None,
        0,
        1,
        1.0,
    )
}
