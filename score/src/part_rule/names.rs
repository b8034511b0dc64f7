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

/// The word of a track's name that says its part, and the part. Case, digits and punctuation do not
/// count.
pub(crate) fn part(name: &str) -> Option<(Part, &'static str)> {
    let name = name.to_lowercase();
    let words: Vec<&str> = name
        .split(|c: char| !c.is_alphabetic())
        .filter(|word| !word.is_empty())
        .collect();
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
