#!/usr/bin/env python3
"""Reads notation with music21, Verovio and MuseScore, and compares every note with the score.

    find MIDI_FOLDER -name '*.mid' | cargo run --release -p continuo-notation --example notate -- OUT > OUT.json
    python3 notation/compare/readers.py OUT.json

Needs `pip install music21 verovio mido` and MuseScore as `mscore3`; missing readers are left out. A file
is read without complaint if the reader reports no error and no warning. Notes are equal if onset, end and
pitch of every pitched note, and onset and key of every drum hit, are those of the score with ties merged.

- music21: the notes that it parsed, part by part. It keeps no instruments of drum hits: their onsets are
  compared.
- MuseScore: the MusicXML that it writes of the score that it read, part by part.
- Verovio: the MIDI file that it plays. There, notes of one pitch may overlap, so onsets are compared, and
  ends; parts and drums are not compared, as it plays no percussion.
"""

import argparse
import base64
import collections
import contextlib
import importlib.util
import io
import json
import os
import shutil
import subprocess
import tempfile
import warnings
import xml.etree.ElementTree as ElementTree
from fractions import Fraction

STEPS = 12
# Channel 10, counted from 0.
PERCUSSION = 9


def grid(quarters, tolerance=Fraction(1, 50)):
    """Quarter notes as steps: whole, if they are nearly."""
    steps = Fraction(quarters).limit_denominator(100_000) * STEPS
    near = round(steps)
    return near if abs(steps - near) < tolerance else float(steps)


def merged(pieces):
    """Joins tied pieces (part, voice, start, end, pitch, comes, goes) to sorted notes."""
    notes, tied = [], collections.defaultdict(list)
    for part, voice, start, end, pitch, comes, goes in pieces:
        key = (part, pitch, start)
        if comes:
            waiting = tied[key]
            if not waiting:
                raise ValueError(f"a tie of {pitch} in {part} at step {start} has no beginning")
            own = [note for note in waiting if note[0] == voice] or waiting
            note = own[0]
            waiting.remove(note)
            note[1][2] = end
        else:
            note = (voice, [part, start, end, pitch])
            notes.append(note[1])
        if goes:
            tied[part, pitch, end].append(note)
    if any(tied.values()):
        raise ValueError("a tie has no end")
    return sorted(map(tuple, notes))


class Music21:
    name = "music21"

    def read(self, path):
        from music21 import converter, chord
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            score = converter.parse(path, forceSource=True)
        pieces = []
        for part in score.parts:
            name = part.partName.lower()
            for element in sorted(part.recurse().notes, key=lambda e: e.getOffsetInHierarchy(part)):
                if isinstance(element, chord.ChordBase) and hasattr(element, "chordKind"):
                    continue
                start = element.getOffsetInHierarchy(part)
                end = start + element.duration.quarterLength
                voice = str(element.activeSite.id)
                for one in getattr(element, "notes", [element]):
                    tie = one.tie.type if one.tie else ""
                    if hasattr(one, "pitch"):
                        comes, goes = tie in ("stop", "continue"), tie in ("start", "continue")
                        pieces.append((name, voice, grid(start), grid(end), one.pitch.midi, comes, goes))
                    else:
                        pieces.append((name, voice, grid(start), grid(start), 0, False, False))
        return [str(w.message) for w in caught], merged(pieces)


def from_musicxml(path):
    """A plain reader of partwise MusicXML."""
    root = ElementTree.parse(path).getroot()
    pieces = []
    for listed in root.iter("score-part"):
        name = listed.findtext("part-name").lower()
        drums = {m.get("id"): int(m.findtext("midi-unpitched", "1")) - 1 for m in listed.iter("midi-instrument")}
        start, octaves, divisions = Fraction(0), 0, 1
        part = next(p for p in root.iter("part") if p.get("id") == listed.get("id"))
        for measure in part:
            now = onset = longest = Fraction(0)
            for node in measure:
                duration = Fraction(int(node.findtext("duration", "0")), divisions)
                if node.tag == "attributes":
                    divisions = int(node.findtext("divisions", str(divisions)))
                    octaves = int(node.findtext("transpose/octave-change", str(octaves)))
                elif node.tag == "backup":
                    now -= duration
                elif node.tag == "forward":
                    now += duration
                elif node.tag == "note":
                    if node.find("chord") is None:
                        onset = now
                        now += duration
                    begin, end = grid(start + onset), grid(start + onset + duration)
                    voice, ties = node.findtext("voice"), {t.get("type") for t in node.findall("tie")}
                    if node.find("pitch") is not None:
                        step, octave = node.findtext("pitch/step"), int(node.findtext("pitch/octave"))
                        alter = int(node.findtext("pitch/alter", "0"))
                        pitch = 12 * (octave + octaves + 1) + dict(zip("CDEFGAB", (0, 2, 4, 5, 7, 9, 11)))[step] + alter
                        pieces.append((name, voice, begin, end, pitch, "stop" in ties, "start" in ties))
                    elif node.find("unpitched") is not None:
                        key = drums[node.find("instrument").get("id")] if node.find("instrument") is not None else list(drums.values())[0]
                        pieces.append((name, voice, begin, begin, key, False, False))
                longest = max(longest, now)
            start += longest
    return merged(sorted(pieces, key=lambda p: (p[0], p[2])))


class MuseScore:
    name = "MuseScore"

    def read(self, path):
        with tempfile.TemporaryDirectory() as folder:
            output = os.path.join(folder, "out.musicxml")
            environment = dict(os.environ, QT_QPA_PLATFORM="offscreen", XDG_RUNTIME_DIR=folder)
            done = subprocess.run(["mscore3", "-o", output, path], env=environment, capture_output=True, text=True, timeout=600)
            said = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
            # Its own writer of MusicXML traces "chord 0x". Where two drums are struck at once it says
            # "element already exists", of its own files too.
            expected = ("convert <", "to <", "... success!", "chord 0x")
            said = [line for line in said if not line.strip().startswith(expected)]
            said = [line for line in said if not line.endswith("element already exists")]
            if done.returncode:
                said.append(f"exit status {done.returncode}")
            return said, from_musicxml(output)


class Verovio:
    name = "Verovio"

    def __init__(self):
        import verovio
        verovio.enableLog(verovio.LOG_WARNING)
        self.toolkit = verovio.toolkit()

    def read(self, path):
        import mido
        loaded = self.toolkit.loadFile(path)
        said = [line for line in self.toolkit.getLog().splitlines() if line.strip()]
        if not loaded:
            return said or ["not loaded"], []
        for page in range(1, self.toolkit.getPageCount() + 1):
            self.toolkit.renderToSVG(page)
        said += [line for line in self.toolkit.getLog().splitlines() if line.strip() and line not in said]
        file = mido.MidiFile(file=io.BytesIO(base64.b64decode(self.toolkit.renderToMIDI())))
        onsets, ends = [], []
        for track in file.tracks:
            now = 0
            for message in track:
                now += message.time
                at = Fraction(now, file.ticks_per_beat)
                if getattr(message, "channel", None) == PERCUSSION:
                    continue
                if message.type == "note_on" and message.velocity > 0:
                    onsets.append((grid(at, Fraction(1, 4)), message.note))
                elif message.type in ("note_on", "note_off"):
                    # Verovio ends each note a tick early, and rounds all times down.
                    ends.append((grid(at + Fraction(1, file.ticks_per_beat), Fraction(1, 4)), message.note))
        return said, (sorted(onsets), sorted(ends))


def differences(reader, found, expected):
    if isinstance(reader, Verovio):
        pitched = [note for note in expected if note[0] != "drums"]
        wanted = (sorted((a, p) for _, a, _, p in pitched), sorted((b, p) for _, _, b, p in pitched))
        return sum(
            sum(((collections.Counter(a) - collections.Counter(b)) + (collections.Counter(b) - collections.Counter(a))).values())
            for a, b in zip(found, wanted)
        )
    if isinstance(reader, Music21):
        expected = [(part, a, b, 0 if part == "drums" else pitch) for part, a, b, pitch in expected]
    a, b = collections.Counter(found), collections.Counter(expected)
    return sum(((a - b) + (b - a)).values())


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("json", help="what the example notate printed")
    arguments.add_argument("--readers", default="music21,Verovio,MuseScore")
    arguments.add_argument("--most-notes", type=int, default=10**9, help="leave out files with more notes")
    options = arguments.parse_args()
    there = {
        "music21": importlib.util.find_spec("music21"),
        "Verovio": importlib.util.find_spec("verovio") and importlib.util.find_spec("mido"),
        "MuseScore": shutil.which("mscore3"),
    }
    kinds = [kind for kind in (Music21, Verovio, MuseScore) if kind.name in options.readers.split(",") and there[kind.name]]
    lines = [json.loads(line) for line in open(options.json)]
    lines = [line for line in lines if len(line["notes"]) <= options.most_notes]
    print(f"{len(lines)} files, {sum(len(line['notes']) for line in lines)} notes")
    print("| reader | files | read without complaint | notes equal |\n|---|---|---|---|")
    for reader in (kind() for kind in kinds):
        clean = equal = 0
        for line in lines:
            shift = line["silence"]
            expected = sorted((part, a - shift, b - shift, pitch) for part, a, b, pitch in line["notes"])
            try:
                with contextlib.redirect_stderr(io.StringIO()):
                    said, found = reader.read(line["output"])
                wrong = differences(reader, found, expected)
            except Exception as error:  # A reader that fails is a complaint.
                said, wrong = [f"{type(error).__name__}: {error}"], len(expected)
            clean += not said
            equal += wrong == 0
            if said or wrong:
                print(f"<!-- {reader.name}: {line['output']} ({line['file']}): {wrong} differences; {said[:3]} -->", flush=True)
        print(f"| {reader.name} | {len(lines)} | {clean} | {equal} |", flush=True)


if __name__ == "__main__":
    main()
