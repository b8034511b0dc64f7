//! Texts that are written for an archive.

use crate::target::{System, Target};

/// The Debian package's file on its licences.
pub(super) const COPYRIGHT: &str = "\
Continuo is under the MIT licence or the Apache licence 2.0, as you choose: LICENSE-MIT and
LICENSE-APACHE beside this file. THIRD-PARTY-LICENSES.txt has the licences of the works that it is
compiled from. ONNX Runtime, basic-pitch's model and the model that plays lie in
/usr/lib/continuo/Continuo.resources with licences of their own.
";

/// The first steps with an archive.
pub(super) fn readme(target: Target) -> String {
    let install = match target.system {
        System::Linux => {
            "Run ./install.sh: it copies both plugins into ~/.clap and ~/.vst3. The package \
             (.deb) installs them for all users instead."
        }
        System::Windows => {
            "Run install.cmd: it copies both plugins into %LOCALAPPDATA%\\Programs\\Common. \
             Continuo.resources belongs beside Continuo.clap. ONNX Runtime needs Microsoft's \
             Visual C++ Redistributable for this processor, 14.40 or newer."
        }
        System::MacOs => {
            "Run ./install.sh in a terminal: it copies both plugins into ~/Library/Audio/Plug-Ins. \
             The plugins are signed for this use only, and not notarised: if macOS refuses \
             them, run  xattr -dr com.apple.quarantine  on both."
        }
    };
    format!(
        "Continuo {} for {}\n\n{install}\n\nThen let your DAW scan its plugins, and put Continuo \
         on an instrument track.\n\nThe command `continuo` beside this file continues MIDI \
         files: run `continuo --help`.\n",
        env!("CARGO_PKG_VERSION"),
        target.name()
    )
}
