//! The actions of the editor with their texts, keys and parameters, declared in one place: the
//! toolbar, the menus, the keyboard, the host's parameters and screen readers use them. Plain data, any thread.

use std::borrow::Cow;

use continuo_accompaniment::choices::{Choice, Variation};
use continuo_accompaniment::midi_export::ExportPart;
use continuo_accompaniment::trigger::Trigger;

/// An action of the editor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// A momentary command of the instance.
    Trigger(Trigger),
    /// Chooses one of four answers to the same notes.
    Vary(Variation),
    /// Turns the repetition of the last bars on or off.
    Freeze,
    /// Saves the notes of the last `Some` bars, or all, as a MIDI file. One [`ActionState`] stands for any
    /// number of bars.
    ///
    /// [`ActionState`]: crate::editor::view::ActionState
    SaveMidi(ExportPart, Option<u32>),
    /// Saves all notes as notation, a MusicXML file.
    SaveMusicXml(ExportPart),
    /// Opens a dialog that chooses a model's folder.
    LoadModel,
    /// Loads the model that comes with the plugin.
    DefaultModel,
    /// Sets the parameters of the preset with this index.
    Preset(usize),
    /// Opens a dialog that chooses files to learn.
    LearnFiles,
    /// Opens a dialog that chooses a folder of files to learn.
    LearnFolder,
    /// Forgets the files learned.
    Unlearn,
}

/// A key that starts an action, with Control (Command on macOS).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shortcut {
    /// The letter on the key.
    pub letter: char,
    /// Whether Shift is held too.
    pub shift: bool,
}

/// The host parameter of an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ActionParam {
    /// Its id, as songs keep it.
    pub id: &'static str,
    /// Its name, as the host shows it.
    pub name: &'static str,
}

/// Texts, keys and parameter of an [`Action`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActionInfo {
    /// Text of its button or menu entry.
    pub label: Cow<'static, str>,
    /// Name for screen readers, where it differs from the label.
    pub accessible_name: Option<&'static str>,
    /// One sentence on its effect; empty where the label says all.
    pub help: &'static str,
    /// Its keys, the first of which is shown.
    pub shortcuts: &'static [Shortcut],
    /// Its parameter, where the host can automate it.
    pub parameter: Option<ActionParam>,
    /// Whether it stays in force until it is chosen again.
    pub is_toggle: bool,
}

const UNDO: &[Shortcut] = &[Shortcut {
    letter: 'Z',
    shift: false,
}];

const REDO: &[Shortcut] = &[
    Shortcut {
        letter: 'Z',
        shift: true,
    },
    Shortcut {
        letter: 'Y',
        shift: false,
    },
];

impl Action {
    /// One action for each host parameter that is drawn as an action.
    pub const WITH_PARAMETER: [Self; 5] = [
        Self::Trigger(Trigger::Panic),
        Self::Trigger(Trigger::Regenerate),
        Self::Trigger(Trigger::Clear),
        Self::Vary(Variation::A),
        Self::Freeze,
    ];

    /// Its texts, keys and parameter.
    pub fn info(self) -> ActionInfo {
        let param = |id, name| Some(ActionParam { id, name });
        match self {
            Self::Trigger(Trigger::Panic) => ActionInfo {
                parameter: param("panic", "Panic"),
                ..button("Panic", "Ends everything that sounds, now")
            },
            Self::Trigger(Trigger::Regenerate) => ActionInfo {
                parameter: param("regen", "Regenerate"),
                ..button("Regenerate bar", "Generates this bar again")
            },
            Self::Trigger(Trigger::Clear) => ActionInfo {
                parameter: param("clear", "Clear Memory"),
                ..button(
                    "Clear memory",
                    "Forgets everything heard, played and learned",
                )
            },
            Self::Trigger(Trigger::Undo) => ActionInfo {
                shortcuts: UNDO,
                ..button("Undo", "Nothing to take back")
            },
            Self::Trigger(Trigger::Redo) => ActionInfo {
                shortcuts: REDO,
                ..button("Redo", "Nothing to take back")
            },
            Self::Vary(variation) => ActionInfo {
                accessible_name: Some(match variation {
                    Variation::A => "Variation A",
                    Variation::B => "Variation B",
                    Variation::C => "Variation C",
                    Variation::D => "Variation D",
                }),
                parameter: param("variation", "Variation"),
                is_toggle: true,
                ..button(
                    Variation::NAMES[variation.index()],
                    "The same moment, answered differently; and back",
                )
            },
            Self::Freeze => ActionInfo {
                parameter: param("freeze", "Freeze"),
                is_toggle: true,
                ..button(
                    "Freeze",
                    "Repeats the last whole bars, as many as Trade Length says",
                )
            },
            Self::SaveMidi(_, None) => button("All of it…", ""),
            Self::SaveMidi(_, Some(bars)) => ActionInfo {
                label: format!("The last {bars} bars…").into(),
                ..button("", "")
            },
            Self::SaveMusicXml(_) => button(
                "Notation (MusicXML)…",
                "All of it as sheet music, for MuseScore and other notation programs",
            ),
            Self::LoadModel => button(
                "Load a model…",
                "A folder with a model in it; it may be dropped on the window, too",
            ),
            Self::DefaultModel => button(
                "The default model",
                "Back to the model that comes with Continuo",
            ),
            Self::Preset(index) => ActionInfo {
                label: format!("Preset {}", index + 1).into(),
                ..button("", "")
            },
            Self::LearnFiles => button("MIDI or audio files…", LEARN),
            Self::LearnFolder => button("A folder of them…", LEARN),
            Self::Unlearn => button("Forget what was learned", "What you played stays"),
        }
    }
}

const LEARN: &str =
    "Continuo recalls them as it recalls what you played. They may be dropped on the window, too";

/// An action without keys and parameter.
const fn button(label: &'static str, help: &'static str) -> ActionInfo {
    ActionInfo {
        label: Cow::Borrowed(label),
        accessible_name: None,
        help,
        shortcuts: &[],
        parameter: None,
        is_toggle: false,
    }
}

impl Shortcut {
    /// The key as a tooltip shows it.
    pub fn text(self) -> String {
        let shift = if self.shift { "Shift+" } else { "" };
        format!("Ctrl+{shift}{}", self.letter)
    }
}

impl From<Trigger> for Action {
    fn from(trigger: Trigger) -> Self {
        Self::Trigger(trigger)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_action_with_a_parameter_is_listed_once() {
        let ids = Action::WITH_PARAMETER.map(|action| action.info().parameter.unwrap().id);
        assert_eq!(ids, ["panic", "regen", "clear", "variation", "freeze"]);
    }

    #[test]
    fn shortcuts_are_shown_as_keyboards_name_them() {
        let keys = |trigger| Action::Trigger(trigger).info().shortcuts[0].text();
        assert_eq!(keys(Trigger::Undo), "Ctrl+Z");
        assert_eq!(keys(Trigger::Redo), "Ctrl+Shift+Z");
    }
}
