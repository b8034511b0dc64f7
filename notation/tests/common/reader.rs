//! A reader of MusicXML that takes nothing on trust: notes with their ties merged, and checks that
//! values, accidentals, tuplets and bars say the same as the durations.

use std::collections::{BTreeMap, HashMap};

use roxmltree::{Document, Node, ParsingOptions};

use super::checks::{self, Line, Spans};

/// A note as it sounds. Times are in divisions from the beginning of the document.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ReadNote {
    pub(crate) part: String,
    pub(crate) start: u32,
    /// Sounding MIDI key, or the key of a drum.
    pub(crate) pitch: u8,
    pub(crate) end: u32,
    pub(crate) velocity: u8,
}

/// A document that was read.
#[derive(Debug, Default)]
pub(crate) struct Read {
    /// Sorted.
    pub(crate) notes: Vec<ReadNote>,
    pub(crate) divisions: u32,
    /// Length and number of each bar of the first part.
    pub(crate) bars: Vec<(u32, String)>,
    /// Start and text of the elements of a kind: tempo, chord, dynamics, time.
    pub(crate) marks: Vec<(u32, &'static str, String)>,
    /// The first key signature.
    pub(crate) fifths: i32,
    /// The most voices of a staff in one bar.
    pub(crate) most_voices: usize,
}

pub(crate) fn child<'a, 'i>(node: Node<'a, 'i>, name: &str) -> Option<Node<'a, 'i>> {
    node.children().find(|child| child.has_tag_name(name))
}

pub(crate) fn text<'a>(node: Node<'a, '_>, name: &str) -> Option<&'a str> {
    child(node, name).and_then(|child| child.text())
}

pub(crate) fn number<T: std::str::FromStr>(node: Node<'_, '_>, name: &str) -> Option<T> {
    let text = text(node, name)?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}: {text:?}")))
}

/// Reads a document.
pub(crate) fn read(xml: &str) -> Read {
    let options = ParsingOptions {
        allow_dtd: true,
        ..ParsingOptions::default()
    };
    let document = Document::parse_with_options(xml, options).unwrap();
    let root = document.root_element();
    assert!(root.has_tag_name("score-partwise"));
    let list = child(root, "part-list").unwrap();
    let mut read = Read::default();
    for part in root.children().filter(|node| node.has_tag_name("part")) {
        let id = part.attribute("id");
        let listed = list.children().find(|node| node.attribute("id") == id);
        let listed = listed.expect("the part is listed");
        Reader::new(text(listed, "part-name").unwrap(), listed, &mut read).part(part);
    }
    read.notes.sort();
    read
}

struct Reader<'r> {
    part: String,
    /// MIDI keys of drums by their instruments.
    drums: HashMap<String, u8>,
    read: &'r mut Read,
    is_first: bool,
    fifths: i32,
    octaves: i32,
    /// Notes that are tied to a next one: voice, pitch and index.
    open: Vec<(String, u8, usize)>,
}

impl<'r> Reader<'r> {
    fn new(name: &str, listed: Node<'_, '_>, read: &'r mut Read) -> Self {
        let instruments = listed
            .children()
            .filter(|node| node.has_tag_name("midi-instrument"));
        let key = |node: Node<'_, '_>| {
            let key = number::<u8>(node, "midi-unpitched")? - 1;
            Some((node.attribute("id")?.to_string(), key))
        };
        Self {
            part: name.into(),
            drums: instruments.filter_map(key).collect(),
            is_first: read.bars.is_empty(),
            read,
            fifths: 0,
            octaves: 0,
            open: Vec::new(),
        }
    }

    fn part(mut self, part: Node<'_, '_>) {
        let mut start = 0;
        for (index, measure) in part.children().filter(|node| node.is_element()).enumerate() {
            assert!(measure.has_tag_name("measure"));
            let length = self.measure(measure, start);
            if self.is_first {
                let number = measure.attribute("number").unwrap().to_string();
                self.read.bars.push((length, number));
            }
            assert_eq!(
                self.read.bars[index].0, length,
                "bars of all parts are alike"
            );
            start += length;
        }
        assert!(self.open.is_empty(), "ties without an end: {:?}", self.open);
    }

    /// Reads a bar that begins at `start`; returns its length.
    fn measure(&mut self, measure: Node<'_, '_>, start: u32) -> u32 {
        let (mut now, mut onset, mut length) = (0u32, 0u32, 0u32);
        let mut lines: Vec<Line> = Vec::new();
        let mut spans = Spans::default();
        let mut filled: BTreeMap<(String, String), u32> = BTreeMap::new();
        let mut tuplets: HashMap<String, (u32, u32)> = HashMap::new();
        for node in measure.children().filter(|node| node.is_element()) {
            let duration = number::<u32>(node, "duration").unwrap_or(0);
            let at = start + now + number::<u32>(node, "offset").unwrap_or(0);
            match node.tag_name().name() {
                "attributes" => self.attributes(node, start),
                "backup" => now = now.checked_sub(duration).expect("a backup within the bar"),
                "forward" => now += duration,
                "sound" => self.mark(at, "sound", node.attribute("tempo").unwrap()),
                "harmony" => self.harmony(node, at),
                "direction" => self.direction(node, at),
                "note" => {
                    let voice = text(node, "voice").unwrap().to_string();
                    let staff = text(node, "staff").unwrap_or("1").to_string();
                    if child(node, "chord").is_none() {
                        onset = now;
                        now += duration;
                        *filled.entry((staff.clone(), voice.clone())).or_default() += duration;
                        self.value(node, duration, &voice, &mut tuplets);
                        spans.note(node, &voice);
                    } else {
                        assert_eq!(onset + duration, now, "notes of a chord last equally long");
                    }
                    self.note(node, start + onset, duration, &voice);
                    lines.extend(Line::of(node, onset, staff));
                }
                "barline" => {}
                other => panic!("an unexpected element {other}"),
            }
            length = length.max(now);
        }
        assert!(tuplets.is_empty(), "tuplets without an end: {tuplets:?}");
        assert!(spans.are_nested(), "beams and tuplets are nested");
        assert_eq!(now, length, "the last voice fills the bar");
        for staff in ["1", "2"] {
            let voices = filled.iter().filter(|((own, _), _)| own == staff);
            self.read.most_voices = self.read.most_voices.max(voices.count());
        }
        for ((staff, voice), sum) in &filled {
            let is_main = (voice.parse::<usize>().unwrap() - 1) % 4 == 0;
            let main = voice == "1" || (voice == "5" && staff == "2");
            assert!(
                !(is_main && main) || *sum == length,
                "the first voice fills the bar"
            );
        }
        checks::accidentals(self.fifths, lines);
        length
    }

    fn mark(&mut self, at: u32, kind: &'static str, text: &str) {
        self.read.marks.push((at, kind, text.into()));
    }

    fn attributes(&mut self, node: Node<'_, '_>, at: u32) {
        if let Some(divisions) = number(node, "divisions") {
            self.read.divisions = divisions;
        }
        if let Some(key) = child(node, "key") {
            self.fifths = number(key, "fifths").unwrap();
            if self.is_first {
                self.read.fifths = self.fifths;
            }
        }
        if let Some(transpose) = child(node, "transpose") {
            self.octaves = number(transpose, "octave-change").unwrap();
        }
        let time = child(node, "time").unwrap();
        let signature = [
            text(time, "beats").unwrap(),
            text(time, "beat-type").unwrap(),
        ];
        if self.is_first {
            self.mark(at, "time", &signature.join("/"));
        }
    }

    fn harmony(&mut self, node: Node<'_, '_>, at: u32) {
        let kind = child(node, "kind").unwrap();
        let part = |element: &str| {
            let note = child(node, element)?;
            let alter = number::<i32>(note, &format!("{element}-alter")).unwrap_or(0);
            let sign = if alter < 0 { "b" } else { "#" };
            let step = text(note, &format!("{element}-step"))?;
            Some(step.to_string() + &sign.repeat(alter.unsigned_abs() as usize))
        };
        let mut name = part("root").unwrap();
        name += kind.attribute("text").unwrap_or_default();
        if let Some(bass) = part("bass") {
            name = name + "/" + &bass;
        }
        self.mark(at, "chord", &name);
    }

    fn direction(&mut self, node: Node<'_, '_>, at: u32) {
        let kind = child(node, "direction-type").unwrap();
        if let Some(words) = text(kind, "words") {
            self.mark(at, "chord", words);
        } else if let Some(dynamics) = child(kind, "dynamics") {
            let level = dynamics.first_element_child().unwrap();
            self.mark(at, "dynamics", level.tag_name().name());
        } else {
            let metronome = child(kind, "metronome").expect("a tempo");
            let dot = child(metronome, "beat-unit-dot").map_or("", |_| ".");
            let unit = text(metronome, "beat-unit").unwrap().to_string() + dot;
            let per_minute = text(metronome, "per-minute").unwrap();
            self.mark(at, "tempo", &format!("{unit} = {per_minute}"));
            let tempo = child(node, "sound").unwrap().attribute("tempo").unwrap();
            self.mark(at, "sound", tempo);
        }
    }

    /// Checks that the value of a note is its duration, and that tuplets are whole.
    fn value(
        &self,
        node: Node<'_, '_>,
        duration: u32,
        voice: &str,
        tuplets: &mut HashMap<String, (u32, u32)>,
    ) {
        let rest = child(node, "rest");
        if rest.is_some_and(|rest| rest.attribute("measure") == Some("yes")) {
            return;
        }
        let names = [
            "breve", "whole", "half", "quarter", "eighth", "16th", "32nd", "64th", "128th",
            "256th", "512th", "1024th",
        ];
        let name = text(node, "type").unwrap();
        let halvings = names.iter().position(|n| *n == name).unwrap() as i32 - 3;
        let dots = node
            .children()
            .filter(|child| child.has_tag_name("dot"))
            .count();
        let mut length = f64::from(self.read.divisions) * 0.5f64.powi(halvings);
        length *= 2.0 - 0.5f64.powi(dots as i32);
        let ratio = child(node, "time-modification");
        if let Some(ratio) = ratio {
            let actual: f64 = number(ratio, "actual-notes").unwrap();
            length *= number::<f64>(ratio, "normal-notes").unwrap() / actual;
        }
        assert!(
            (length - f64::from(duration)).abs() < 1e-9,
            "{name} {dots}: {duration}"
        );
        let bracket = |kind| {
            let is = |node: &Node<'_, '_>| {
                node.has_tag_name("tuplet") && node.attribute("type") == Some(kind)
            };
            node.descendants().any(|node| is(&node))
        };
        if bracket("start") {
            assert!(ratio.is_some() && !tuplets.contains_key(voice));
            tuplets.insert(voice.into(), (0, 0));
        }
        if let Some((sum, count)) = tuplets.get_mut(voice) {
            assert!(ratio.is_some(), "a plain note in a tuplet");
            *sum += duration;
            *count += 1;
        }
        if bracket("stop") {
            let (sum, count) = tuplets.remove(voice).expect("a tuplet has begun");
            assert!(count > 1, "a tuplet has several notes");
            // A tuplet is as long as a plain value.
            let odd = self.read.divisions >> self.read.divisions.trailing_zeros();
            assert!(
                sum.is_multiple_of(odd) && (sum / odd).is_power_of_two(),
                "{sum}"
            );
        }
    }

    fn note(&mut self, node: Node<'_, '_>, start: u32, duration: u32, voice: &str) {
        let pitch = if let Some(pitch) = child(node, "pitch") {
            let step = text(pitch, "step").unwrap();
            let class = [9, 11, 0, 2, 4, 5, 7]["ABCDEFG".find(step).unwrap()];
            let octave: i32 = number(pitch, "octave").unwrap();
            let key = 12 * (octave + 1 + self.octaves) + class;
            (key + number::<i32>(pitch, "alter").unwrap_or(0)) as u8
        } else if child(node, "unpitched").is_some() {
            self.drums[child(node, "instrument").unwrap().attribute("id").unwrap()]
        } else {
            return;
        };
        let has = |name: &str, kind| {
            let is = |node: &Node<'_, '_>| {
                node.has_tag_name(name) && node.attribute("type") == Some(kind)
            };
            node.descendants().any(|node| is(&node))
        };
        for kind in ["start", "stop"] {
            assert_eq!(
                has("tie", kind),
                has("tied", kind),
                "what sounds is what is seen"
            );
        }
        let end = start + duration;
        let index = if has("tie", "stop") {
            let tied = self
                .open
                .iter()
                .position(|(own, key, _)| own == voice && *key == pitch);
            let (_, _, index) = self.open.swap_remove(tied.expect("a tie has begun"));
            assert_eq!(
                self.read.notes[index].end, start,
                "tied notes follow one another"
            );
            self.read.notes[index].end = end;
            index
        } else {
            let percent: f64 = node.attribute("dynamics").unwrap().parse().unwrap();
            self.read.notes.push(ReadNote {
                part: self.part.clone(),
                start,
                pitch,
                end,
                velocity: (percent * 0.9).round() as u8,
            });
            self.read.notes.len() - 1
        };
        if has("tie", "start") {
            self.open.push((voice.into(), pitch, index));
        }
    }
}
