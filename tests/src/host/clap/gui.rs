//! A CLAP plugin's editor in a window of the host: an X11 window, or one of Windows.

use anyhow::{Context, Result, anyhow, bail};
use clack_extensions::gui::{
    GuiApiType, GuiConfiguration, GuiSize, HostGuiImpl, PluginGui, Window,
};
use clack_host::prelude::*;

use super::handlers::Shared;
use super::main_thread::Main;
use crate::host::plugin::{PluginEditor, WindowId};

impl HostGuiImpl for Shared {
    fn resize_hints_changed(&self) {}

    fn request_resize(&self, size: GuiSize) -> Result<(), HostError> {
        // The owner of the window resizes it: see `PluginEditor::requested_size`.
        let mut requested = self
            .requested_size
            .lock()
            .map_err(|_| HostError::Message("poisoned"))?;
        *requested = Some((size.width, size.height));
        Ok(())
    }

    fn request_show(&self) -> Result<(), HostError> {
        Ok(())
    }

    fn request_hide(&self) -> Result<(), HostError> {
        Ok(())
    }

    fn closed(&self, _was_destroyed: bool) {}
}

const EMBEDDED: GuiConfiguration = GuiConfiguration {
    api_type: if cfg!(windows) {
        GuiApiType::WIN32
    } else {
        GuiApiType::X11
    },
    is_floating: false,
};

impl Main {
    fn gui(&mut self) -> Result<PluginGui> {
        self.instance
            .plugin_handle()
            .get_extension::<PluginGui>()
            .context("the plugin has no editor")
    }
}

impl PluginEditor for Main {
    fn create_editor(&mut self) -> Result<(u32, u32)> {
        let gui = self.gui()?;
        let handle = self.instance.plugin_handle();
        if !gui.is_api_supported(&handle, EMBEDDED) {
            bail!("the editor cannot be embedded in a window of the host");
        }
        gui.create(&handle, EMBEDDED)?;
        let size = gui.get_size(&handle).context("the editor has no size")?;
        if !gui.can_resize(&handle) {
            bail!("the editor cannot be resized");
        }
        Ok((size.width, size.height))
    }

    fn show_editor(&mut self, parent: WindowId) -> Result<()> {
        let gui = self.gui()?;
        let handle = self.instance.plugin_handle();
        // SAFETY: the caller's window is of this platform.
        #[cfg(windows)]
        let window = unsafe { Window::from_win32_hwnd(parent as *mut _) };
        #[cfg(not(windows))]
        let window = Window::from_x11_handle(parent as _);
        // SAFETY: the caller keeps the window until the editor is destroyed.
        unsafe { gui.set_parent(&handle, window) }?;
        gui.show(&handle)?;
        Ok(())
    }

    fn hide_editor(&mut self, hidden: bool) -> Result<()> {
        let gui = self.gui()?;
        let handle = self.instance.plugin_handle();
        if hidden {
            gui.hide(&handle)?;
        } else {
            gui.show(&handle)?;
        }
        Ok(())
    }

    fn resize_editor(&mut self, width: u32, height: u32) -> Result<()> {
        let gui = self.gui()?;
        let handle = self.instance.plugin_handle();
        gui.set_size(&handle, GuiSize { width, height })
            .map_err(|error| anyhow!("the editor cannot be {width} x {height}: {error}"))
    }

    fn requested_size(&mut self) -> Option<(u32, u32)> {
        self.instance
            .access_shared_handler(|shared| shared.requested_size.lock().ok()?.take())
    }

    fn run_main_thread(&mut self) -> Result<()> {
        self.run_callback();
        Ok(())
    }

    fn destroy_editor(&mut self) -> Result<()> {
        let gui = self.gui()?;
        gui.destroy(&self.instance.plugin_handle());
        Ok(())
    }
}
