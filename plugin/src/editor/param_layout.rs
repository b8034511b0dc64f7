//! Group and help text of each parameter. Plain data, any thread.

use super::view::{BandCell, BandColumn, Group};
use crate::action::Action;
use continuo_score::Part;

/// Group and help text of a parameter.
#[derive(Clone, Copy, Debug)]
pub struct ParamLayout {
    id: &'static str,
    /// The group in which it is drawn.
    pub group: Group,
    /// Its place in the table of the band.
    pub cell: Option<BandCell>,
    /// One sentence on its effect, for musicians, with its unit.
    pub help: &'static str,
}

/// Layout of a parameter that is not in the table: it is drawn all the same.
const UNKNOWN: ParamLayout = place("", Group::Output, "");

/// The layout of the parameter with this id.
pub fn find(id: &str) -> ParamLayout {
    let mut table = PARAMS.iter();
    let known = table.find(|layout| layout.id == id).copied();
    known.or_else(|| action(id)).unwrap_or(UNKNOWN)
}

/// The layout of a parameter that is drawn as an action.
fn action(id: &str) -> Option<ParamLayout> {
    Action::WITH_PARAMETER.into_iter().find_map(|action| {
        let info = action.info();
        let parameter = info.parameter.filter(|parameter| parameter.id == id)?;
        Some(place(parameter.id, Group::Action, info.help))
    })
}

const fn place(id: &'static str, group: Group, help: &'static str) -> ParamLayout {
    ParamLayout {
        id,
        group,
        cell: None,
        help,
    }
}

const fn cell(id: &'static str, part: Part, column: BandColumn, help: &'static str) -> ParamLayout {
    ParamLayout {
        cell: Some(BandCell { part, column }),
        ..place(id, Group::Band, help)
    }
}

/// All other parameters, by the id that songs keep.
static PARAMS: &[ParamLayout] = &[
    place(
        "mode",
        Group::Mode,
        "Off listens only. Continue plays on when you pause. Trade takes turns of some bars. \
         Along plays with you. Free plays on by itself.",
    ),
    place(
        "enter",
        Group::When,
        "Where an answer may begin: on any step, on a beat, or on a bar line",
    ),
    place("gap", Group::When, "Beats of silence before it plays on"),
    place(
        "lead",
        Group::When,
        "How many beats before it comes in the answer is decided; what you play later is answered later",
    ),
    place("bars", Group::When, "Length of a turn in Trade, in bars"),
    place(
        "lookahead",
        Group::When,
        "Beats planned ahead of the playhead: more is safer, less answers sooner",
    ),
    place(
        "hold",
        Group::When,
        "While on, it plays, whatever the mode: map it to a pedal or a pad",
    ),
    place(
        "free_run",
        Group::When,
        "Goes by its own tempo, even where the host has one",
    ),
    place(
        "tempo",
        Group::When,
        "Its own tempo in quarter notes a minute, for hosts without a transport",
    ),
    place(
        "temp",
        Group::What,
        "How daring: low stays with what is likely, high surprises",
    ),
    place(
        "temp_rhythm",
        Group::What,
        "How daring in rhythm: low stays with what is likely, high surprises",
    ),
    place(
        "top_p",
        Group::What,
        "Only the likeliest choices that together have this probability are considered",
    ),
    place("key", Group::What, "The tonic of the scale"),
    place(
        "scale",
        Group::What,
        "Notes outside the scale are not played",
    ),
    place(
        "harmony",
        Group::What,
        "Free leaves the chords to the model. Loop goes round the chords of the last bars. Held takes those \
         that you hold on the chord keys, which it does not continue",
    ),
    place(
        "chord_pull",
        Group::What,
        "How strongly it is pulled to those chords: from their notes on strong beats to no others at all",
    ),
    place(
        "chord_ch",
        Group::What,
        "MIDI channel on which you hold chords, 1 to 16, or the keys below Chord Split",
    ),
    place(
        "split",
        Group::What,
        "With Harmony on Held, keys below this one hold chords",
    ),
    place("low", Group::What, "No note below this one"),
    place("high", Group::What, "No note above this one"),
    place("voices", Group::What, "Most notes at once"),
    place("density", Group::What, "More notes, or fewer"),
    place("register", Group::What, "The note it is pulled to"),
    place("reg_pull", Group::What, "How strongly it is pulled there"),
    place("longest", Group::What, "Longest note it plays"),
    place(
        "length",
        Group::Groove,
        "Length of its notes: 100 % is as the model writes them",
    ),
    place(
        "vel_from",
        Group::Groove,
        "Loudness as the model writes it, following yours, or fixed",
    ),
    place(
        "velocity",
        Group::Groove,
        "Loudness of its notes where Velocity From is Fixed, 1 to 127",
    ),
    place(
        "feel",
        Group::Groove,
        "How much of your timing against the grid it takes over",
    ),
    place(
        "memory",
        Group::Memory,
        "Song: memory follows song positions; after a jump back, later notes wait until the playhead passes them. Session: every pass of a loop is added",
    ),
    place(
        "recall",
        Group::Memory,
        "How much what was there before counts: 0 % plays from the last bars alone",
    ),
    place(
        "memory_bars",
        Group::Memory,
        "How many bars back the long memory reaches; the last hundred notes or so always count",
    ),
    place(
        "seed",
        Group::Memory,
        "The same seed, notes and settings give the same answer; another seed, another",
    ),
    place("thru", Group::Output, "Passes what you play to the output"),
    place(
        "in_ch",
        Group::Output,
        "MIDI channel it listens to, 1 to 16, or all",
    ),
    place(
        "listen",
        Group::Ears,
        "Listens to MIDI, to sound at its audio input (the side chain), or to both. Sound is known about a second late",
    ),
    place(
        "ear_gate",
        Group::Ears,
        "Sound below this level, in dB of full scale, has no notes",
    ),
    place(
        "ear_sens",
        Group::Ears,
        "More finds more notes in sound, and more wrong ones",
    ),
    place(
        "in_part",
        Group::Output,
        "Your part: Auto tells channels apart by register, chords and rhythm; channel 10 is the drums",
    ),
    place(
        "out_ch",
        Group::Output,
        "MIDI channel of its notes, 1 to 16",
    ),
    place(
        "offset",
        Group::Output,
        "Moves its notes by this many milliseconds, later or (negative) earlier: for sounds with a slow attack",
    ),
    place(
        "sound",
        Group::Output,
        "The built-in piano, bass and drums, for a first minute without another instrument",
    ),
    cell(
        "play_keys",
        Part::Keys,
        BandColumn::Play,
        "It plays the keys: a whole keyboard texture. Where no part is on, it plays the parts that it hears",
    ),
    cell(
        "out_keys",
        Part::Keys,
        BandColumn::Channel,
        "MIDI channel of the keys, 1 to 16, or the output channel",
    ),
    cell(
        "low_keys",
        Part::Keys,
        BandColumn::Lowest,
        "No note of the keys below this one; What has the limit of all parts",
    ),
    cell(
        "high_keys",
        Part::Keys,
        BandColumn::Highest,
        "No note of the keys above this one; What has the limit of all parts",
    ),
    cell(
        "voices_keys",
        Part::Keys,
        BandColumn::Most,
        "Most notes of the keys at once; What has the limit of all parts",
    ),
    cell(
        "play_lead",
        Part::Lead,
        BandColumn::Play,
        "It plays the melody",
    ),
    cell(
        "out_lead",
        Part::Lead,
        BandColumn::Channel,
        "MIDI channel of the lead, 1 to 16, or the output channel",
    ),
    cell(
        "low_lead",
        Part::Lead,
        BandColumn::Lowest,
        "No note of the lead below this one; What has the limit of all parts",
    ),
    cell(
        "high_lead",
        Part::Lead,
        BandColumn::Highest,
        "No note of the lead above this one; What has the limit of all parts",
    ),
    cell(
        "voices_lead",
        Part::Lead,
        BandColumn::Most,
        "Most notes of the lead at once; What has the limit of all parts",
    ),
    cell(
        "play_chords",
        Part::Chords,
        BandColumn::Play,
        "It plays the harmony",
    ),
    cell(
        "out_chords",
        Part::Chords,
        BandColumn::Channel,
        "MIDI channel of the chords, 1 to 16, or the output channel",
    ),
    cell(
        "low_chords",
        Part::Chords,
        BandColumn::Lowest,
        "No note of the chords below this one; What has the limit of all parts",
    ),
    cell(
        "high_chords",
        Part::Chords,
        BandColumn::Highest,
        "No note of the chords above this one; What has the limit of all parts",
    ),
    cell(
        "voices_chords",
        Part::Chords,
        BandColumn::Most,
        "Most notes of the chords at once; What has the limit of all parts",
    ),
    cell(
        "play_bass",
        Part::Bass,
        BandColumn::Play,
        "It plays the bass line",
    ),
    cell(
        "out_bass",
        Part::Bass,
        BandColumn::Channel,
        "MIDI channel of the bass, 1 to 16, or the output channel",
    ),
    cell(
        "low_bass",
        Part::Bass,
        BandColumn::Lowest,
        "No note of the bass below this one; What has the limit of all parts",
    ),
    cell(
        "high_bass",
        Part::Bass,
        BandColumn::Highest,
        "No note of the bass above this one; What has the limit of all parts",
    ),
    cell(
        "voices_bass",
        Part::Bass,
        BandColumn::Most,
        "Most notes of the bass at once; What has the limit of all parts",
    ),
    cell(
        "play_drums",
        Part::Drums,
        BandColumn::Play,
        "It plays the drums",
    ),
    cell(
        "out_drums",
        Part::Drums,
        BandColumn::Channel,
        "MIDI channel of the drums, 1 to 16, or the output channel",
    ),
    cell(
        "voices_drums",
        Part::Drums,
        BandColumn::Most,
        "Most drums struck at once, on one step",
    ),
    place(
        "bypass",
        Group::Output,
        "Nothing is played; everything passes through",
    ),
];
