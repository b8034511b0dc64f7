//! Parts by the names of tracks, in the languages that files are made in.

use crate::part::Part;

/// Words and their parts. Of the words in a name, the first one in this table decides.
const WORDS: &[(Part, &[&str])] = &[
    // The hands and staves of a piano; the bass clef is no bass.
    (
        Part::Keys,
        &[
            "hand", "lh", "rh", "clef", "staff", "treble", "main", "mano", "mão", "links",
            "rechts", "droite", "gauche", "destra", "sinistra", "右手", "左手",
        ],
    ),
    (
        Part::Drums,
        &[
            "drum",
            "drums",
            "drumkit",
            "drumset",
            "kit",
            "percussion",
            "perc",
            "percussions",
            "kick",
            "snare",
            "hihat",
            "hat",
            "hats",
            "cymbal",
            "cymbals",
            "tom",
            "toms",
            "conga",
            "congas",
            "bongo",
            "bongos",
            "shaker",
            "tambourine",
            "clap",
            "claps",
            "schlagzeug",
            "trommel",
            "trommeln",
            "drumcomputer",
            "batterie",
            "percussioni",
            "batteria",
            "bateria",
            "batería",
            "percusión",
            "percusion",
            "percussão",
            "slagwerk",
            "trummor",
            "slagverk",
            "perkusja",
            "ударные",
            "барабаны",
            "ドラム",
            "パーカッション",
            "打楽器",
            "鼓",
            "드럼",
        ],
    ),
    (
        Part::Bass,
        &[
            "bass",
            "bassline",
            "bassguitar",
            "contrabass",
            "doublebass",
            "subbass",
            "kontrabass",
            "bassgitarre",
            "ebass",
            "bassstimme",
            "basse",
            "contrebasse",
            "bajo",
            "contrabajo",
            "baixo",
            "contrabaixo",
            "basso",
            "contrabbasso",
            "bas",
            "basgitaar",
            "бас",
            "контрабас",
            "ベース",
            "低音",
            "贝斯",
            "贝司",
            "베이스",
            "tuba",
        ],
    ),
    (
        Part::Chords,
        &[
            "chord",
            "chords",
            "pad",
            "pads",
            "comp",
            "comping",
            "accomp",
            "accompaniment",
            "accompagnement",
            "backing",
            "rhythm",
            "arp",
            "arpeggio",
            "harmony",
            "choir",
            "chorus",
            "begleitung",
            "akkord",
            "akkorde",
            "chor",
            "accord",
            "accords",
            "harmonie",
            "acorde",
            "acordes",
            "acompañamiento",
            "acompanhamento",
            "coro",
            "accordi",
            "accompagnamento",
            "armonia",
            "akkoorden",
            "begeleiding",
            "аккорды",
            "аккомпанемент",
            "コード",
            "パッド",
            "伴奏",
            "和弦",
            "코드",
            "반주",
        ],
    ),
    (
        Part::Lead,
        &[
            "lead",
            "melody",
            "vocal",
            "vocals",
            "voice",
            "vox",
            "singer",
            "sing",
            "topline",
            "theme",
            "tune",
            "melodie",
            "gesang",
            "singstimme",
            "mélodie",
            "chant",
            "voix",
            "melodia",
            "melodía",
            "voz",
            "canto",
            "voce",
            "melodi",
            "zang",
            "мелодия",
            "вокал",
            "голос",
            "メロディ",
            "主旋律",
            "旋律",
            "歌",
            "主唱",
            "멜로디",
            "보컬",
        ],
    ),
    (
        Part::Chords,
        &[
            "strings",
            "streicher",
            "cordes",
            "cuerdas",
            "cordas",
            "archi",
            "strijkers",
            "струнные",
            "ストリングス",
            "弦",
        ],
    ),
    (
        Part::Keys,
        &[
            "piano",
            "pianos",
            "keys",
            "keyboard",
            "pianoforte",
            "pno",
            "epiano",
            "rhodes",
            "organ",
            "harpsichord",
            "klavier",
            "flügel",
            "orgel",
            "cembalo",
            "clavier",
            "clavecin",
            "orgue",
            "teclado",
            "órgano",
            "tastiera",
            "organo",
            "фортепиано",
            "пианино",
            "рояль",
            "клавишные",
            "орган",
            "ピアノ",
            "オルガン",
            "キーボード",
            "钢琴",
            "鋼琴",
            "피아노",
        ],
    ),
];

/// Words that a track of drums may have in its name beside those for drums.
const NEUTRAL: [&str; 3] = ["track", "midi", "channel"];

/// The words of a name in lower case.
fn words(name: &str) -> Vec<&str> {
    let words = name.split(|c: char| !c.is_alphabetic());
    words.filter(|word| !word.is_empty()).collect()
}

/// Whether a word is one of those for a part.
fn is_word_of(part: Part, word: &str) -> bool {
    let of_part = WORDS.iter().filter(|entry| entry.0 == part);
    let mut known = of_part.flat_map(|entry| entry.1);
    known.any(
        |known| match known.chars().next().is_some_and(divides_words) {
            true => word == *known,
            false => word.contains(known),
        },
    )
}

/// Whether a name says that its track plays drums, and nothing else. The name of a track that is
/// `alone` in its file may be the piece's ("Tom Dooley"), so that every word must be one for drums.
/// Beside other tracks, no word may be one for another part. A bass drum is drums.
pub(crate) fn says_drums(name: &str, alone: bool) -> bool {
    if part(name).is_none_or(|(part, _)| part != Part::Drums) {
        return false;
    }
    let name = name.to_lowercase();
    let words = words(&name);
    let is_drum = |index: usize| words.get(index).is_some_and(|w| is_word_of(Part::Drums, w));
    (0..words.len()).all(|index| {
        let word = words[index];
        let others = [Part::Keys, Part::Lead, Part::Chords, Part::Bass];
        is_drum(index)
            || is_word_of(Part::Bass, word) && is_drum(index + 1)
            || match alone {
                true => NEUTRAL.contains(&word),
                false => !others.iter().any(|&part| is_word_of(part, word)),
            }
    })
}

/// The word of a track's name that says its part, and the part. Case, digits and punctuation do not
/// count.
pub(crate) fn part(name: &str) -> Option<(Part, &'static str)> {
    let name = name.to_lowercase();
    let words = words(&name);
    // Steel drums have pitches.
    let says = |word: &str| match word.chars().next().is_some_and(divides_words) {
        true => words.contains(&word) && !(word == "drums" && words.contains(&"steel")),
        false => name.contains(word),
    };
    WORDS.iter().find_map(|&(part, known)| {
        let word = known.iter().find(|word| says(word))?;
        Some((part, *word))
    })
}

/// Whether a track with this program can be drums by its name: the first program is what many
/// programs write for any track, and the drums among the sounds of General MIDI are 116 to 120,
/// counted from 1.
pub(crate) fn may_be_drums(program: Option<u8>) -> bool {
    program.is_none_or(|program| program == 0 || (115..=119).contains(&program))
}

/// Whether a character is of a script that puts spaces between words.
fn divides_words(c: char) -> bool {
    c < '\u{2e80}'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_parts_in_many_languages() {
        for (name, expected) in [
            ("Electric Bass (finger)", Part::Bass),
            ("BASS2", Part::Bass),
            ("Kontrabass", Part::Bass),
            ("contrebasse", Part::Bass),
            ("ベース", Part::Bass),
            ("Bass Drum", Part::Drums),
            ("Schlagzeug", Part::Drums),
            ("BATERÍA 1", Part::Drums),
            ("ドラムス", Part::Drums),
            ("MELODY", Part::Lead),
            ("Lead Vocals", Part::Lead),
            ("主旋律", Part::Lead),
            ("Gesang", Part::Lead),
            ("Backing Vocals", Part::Chords),
            ("Warm Pad", Part::Chords),
            ("String Ensemble / Strings", Part::Chords),
            ("Rhythm Guitar", Part::Chords),
            ("PIANO", Part::Keys),
            ("Klavier", Part::Keys),
            ("Piano, bass clef", Part::Keys),
            ("Piano left hand", Part::Keys),
            ("main droite", Part::Keys),
        ] {
            assert_eq!(part(name).map(|p| p.0), Some(expected), "{name}");
        }
    }

    #[test]
    fn names_of_pieces_and_of_pitched_tracks_are_no_drums() {
        for name in ["Drums", "DRUM KIT 2", "Bass Drum", "Drum Track", "ドラムス"] {
            assert!(says_drums(name, true) && says_drums(name, false), "{name}");
        }
        for name in ["Acoustic Drums", "Rock Kit", "Hat closed"] {
            assert!(says_drums(name, false) && !says_drums(name, true), "{name}");
        }
        for name in ["The Little Drum", "Tom Dooley", "Clap Your Heart"] {
            assert!(!says_drums(name, true), "{name}");
        }
        for name in [
            "Drums and Bass",
            "Clap Your Hands - Piano",
            "Steel Drums",
            "Piano",
        ] {
            assert!(
                !says_drums(name, true) && !says_drums(name, false),
                "{name}"
            );
        }
    }

    #[test]
    fn other_names_say_nothing() {
        for name in [
            "",
            "Track 1",
            "Bassoon",
            "Steel Drums",
            "Prelude in C",
            "Gitarre",
            "Hattie",
        ] {
            assert_eq!(part(name), None, "{name}");
        }
    }

    #[test]
    fn no_word_stands_twice() {
        let mut words: Vec<&str> = WORDS.iter().flat_map(|w| w.1).copied().collect();
        let count = words.len();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), count);
    }
}
