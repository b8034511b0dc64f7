"""Holds our reading of MIDI files against three other readers', note by note.

    pip install mido pretty_midi symusic
    cargo build --release -p continuo-score --example notes
    python score/compare/agreement.py SHARED/data 20

A note is (start, end, pitch, velocity, channel), times in ticks; a file agrees when the
notes are the same with their number. mido gives events: its notes are paired here, first in,
first out, and what is left sounding ends with its track. symusic and pretty_midi give notes
without channels, only whether they are drums; pretty_midi's are in seconds and are put back
into ticks by its own clock. They are compared with that in place of the channel.
"""

import collections
import json
import pathlib
import subprocess
import sys
import warnings

import mido
import pretty_midi
import symusic

WORKSPACE = pathlib.Path(__file__).resolve().parents[2]
KINDS = {".mid", ".midi", ".kar", ".rmi"}


def ours(files):
    """Our notes, by file, from the example `notes`."""
    binary = WORKSPACE / "target" / "release" / "examples" / "notes"
    names = "".join(f"{file}\n" for file in files)
    done = subprocess.run([binary], input=names, capture_output=True, text=True, check=True)
    for line in done.stdout.splitlines():
        yield json.loads(line)


def by_mido(file):
    """(start, end, pitch, velocity, channel), as ours."""
    midi = mido.MidiFile(file)
    notes, start = [], 0
    for track in midi.tracks:
        now, sounding = (start if midi.type == 2 else 0), collections.defaultdict(collections.deque)
        for message in track:
            now += message.time
            if message.type not in ("note_on", "note_off"):
                continue
            key = message.channel, message.note
            if message.type == "note_on" and message.velocity:
                sounding[key].append((now, message.velocity))
            elif sounding[key]:
                begun, velocity = sounding[key].popleft()
                notes.append((begun, now, message.note, velocity, message.channel))
        for (channel, pitch), waiting in sounding.items():
            notes += [(begun, now, pitch, velocity, channel) for begun, velocity in waiting]
        start = max(start, now)
    return notes


def by_symusic(file):
    """(start, end, pitch, velocity, drums)."""
    score = symusic.Score(file)
    return [
        (n.time, n.time + n.duration, n.pitch, n.velocity, track.is_drum)
        for track in score.tracks
        for n in track.notes
    ]


def by_pretty_midi(file):
    """(start, end, pitch, velocity, drums)."""
    midi = pretty_midi.PrettyMIDI(str(file))
    return [
        (midi.time_to_tick(n.start), midi.time_to_tick(n.end), n.pitch, n.velocity, track.is_drum)
        for track in midi.instruments
        for n in track.notes
    ]


READERS = {"mido": by_mido, "symusic": by_symusic, "pretty_midi": by_pretty_midi}


def overlap(mine):
    """Whether a key is struck again before it is let go."""
    notes = sorted((t, c, p, s, e) for s, e, p, _, c, t in mine["notes"])
    return any(a[:3] == b[:3] and b[3] < a[4] for a, b in zip(notes, notes[1:]))


def compare(name, read, file, mine):
    """What came of one reader and one file, in words that can be counted."""
    try:
        theirs = read(file)
    except Exception as error:  # each reader has errors of its own
        theirs, why = None, f"{type(error).__name__}: {error}".split("\n")[0][:60]
    if "error" in mine:
        return ("both refuse" if theirs is None else f"only we refuse ({len(theirs)} notes)"), None
    if theirs is None:
        return f"only {name} refuses", f"{len(mine['notes'])} notes; {why}"
    notes = [tuple(n[:5]) for n in mine["notes"]]
    if name != "mido":
        notes = [(s, e, p, v, c == 9) for s, e, p, v, c in notes]
    a, b = collections.Counter(notes), collections.Counter(theirs)
    if a == b:
        return "same notes", None
    onsets = lambda counter: collections.Counter((s, p, v, c) for (s, _, p, v, c) in counter.elements())
    lost, extra = sum((a - b).values()), sum((b - a).values())
    kind = "other notes"
    if onsets(a) == onsets(b):
        kind = "same onsets, other ends, " + ("notes of one key overlap" if overlap(mine) else "unexplained")
    return kind, f"{lost} only ours, {extra} only {name}'s of {len(notes)}"


def main():
    """Prints the table, then files that differ: all of ugly, three of each kind elsewhere."""
    warnings.simplefilter("ignore")
    data = pathlib.Path(sys.argv[1])
    # pretty_midi takes long: it is given every Nth of the files that are in order.
    every = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    files = sorted(f for f in data.rglob("*") if f.suffix.lower() in KINDS)
    counts, details, notes = collections.defaultdict(collections.Counter), [], collections.Counter()
    for index, (file, mine) in enumerate(zip(files, ours(files), strict=True)):
        folder = file.relative_to(data).parts[0]
        notes[folder] += len(mine.get("notes", []))
        for name, read in READERS.items():
            if name == "pretty_midi" and folder != "ugly" and index % every:
                continue
            result, detail = compare(name, read, file, mine)
            counts[folder, name][result] += 1
            if result not in ("same notes", "both refuse") and (folder == "ugly" or counts[folder, name][result] <= 3):
                details.append((str(file.relative_to(data)), name, result, detail or mine.get("error", "").split(": ", 2)[-1]))
    print("| folder | files | our notes | reader | result | files |\n|---|---|---|---|---|---|")
    for (folder, name), results in counts.items():
        for result, count in results.most_common():
            print(f"| {folder} | {sum(results.values())} | {notes[folder]:,} | {name} | {result} | {count} |")
    print("\n| file | result | how |\n|---|---|---|")
    rows = collections.defaultdict(list)
    for file, name, result, how in details:
        how = how.split("; ")[0] if result.startswith("only") else how
        rows[file, result.replace(f"only {name}", "only they"), how.replace(f"{name}'s", "theirs")].append(name)
    for (file, result, how), names in rows.items():
        print(f"| {file} | {', '.join(names)}: {result} | {how} |")


if __name__ == "__main__":
    main()
