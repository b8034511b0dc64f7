//! The part of a VST3 host that the main thread owns: the edit controller and the editor.

use vst3::ComPtr;
use vst3::Steinberg::Vst::IEditController;

#[cfg(not(target_os = "macos"))]
use super::gui::Editor;
use crate::host::plugin::PluginEditor;

/// State of the main thread.
pub(super) struct Main {
    #[cfg(not(target_os = "macos"))]
    editor: Option<Editor>,
    pub(super) controller: ComPtr<IEditController>,
}

impl Main {
    /// Without an editor.
    pub(super) fn new(controller: ComPtr<IEditController>) -> Self {
        Self {
            #[cfg(not(target_os = "macos"))]
            editor: None,
            controller,
        }
    }
}

#[cfg(target_os = "macos")]
impl PluginEditor for Main {}

#[cfg(not(target_os = "macos"))]
mod editor {
    use anyhow::{Context, Result, bail};

    use super::{Editor, Main, PluginEditor};
    use crate::host::plugin::WindowId;

    impl PluginEditor for Main {
        fn create_editor(&mut self) -> Result<(u32, u32)> {
            if self.editor.is_some() {
                bail!("the editor exists already");
            }
            let editor = Editor::create(&self.controller)?;
            self.editor.insert(editor).size()
        }

        fn show_editor(&mut self, parent: WindowId) -> Result<()> {
            self.editor.as_mut().context("no editor")?.show(parent)
        }

        fn resize_editor(&mut self, width: u32, height: u32) -> Result<()> {
            let editor = self.editor.as_mut().context("no editor")?;
            editor.resize(width, height)
        }

        fn requested_size(&mut self) -> Option<(u32, u32)> {
            self.editor.as_ref()?.requested_size()
        }

        fn run_main_thread(&mut self) -> Result<()> {
            self.editor.as_ref().map_or(Ok(()), Editor::run_main_thread)
        }

        fn destroy_editor(&mut self) -> Result<()> {
            self.editor.take().context("no editor")?.close()
        }
    }
}
