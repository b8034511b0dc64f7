"""Eight openings, entered by hand (all but the last in the public domain), and how Continuo plays on.

    pip install mido
    cargo build --release && cargo xtask runtime
    python docs/played/openings.py

writes beside this file NAME.mid (the opening, and eight bars played on a track of their own; the seed is the
opening's number), NAME-band.mid (the same opening, played on by keys, bass and drums), and a picture of each.

A voice is notes with a length in quarter notes, which holds until another is given: `C4+E4/1 G4 r/2`.
"""

import pathlib
import re
import subprocess
import tempfile

import mido

HERE = pathlib.Path(__file__).parent
CONTINUO = HERE.parent.parent / "target" / "release" / "continuo"
TICKS = 480
# As the preset *Trio*, with keys for the lead.
BAND = ["--parts", "keys,bass,drums", "--part-limit", "bass=E1..G3:1"]
STEPS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}


def broken(*chords):
    """Each chord of five notes twice as in the first prelude of the Well-Tempered Clavier."""
    figure = lambda a, b, c, d, e: [a, b, c, d, e, c, d, e] * 2
    return " ".join(f"{note}/.25" for chord in chords for note in figure(*chord.split()))


PIECES = {
    "hymn": ("Old Hundredth (1551)", 92, (4, 4), [
        "r/3 G4/1 G4 F#4 E4 D4 G4 A4 B4 B4 B4 B4 A4 G4 C5 B4 A4 G4 A4 B4 A4 G4 E4 F#4 G4 D5 B4 G4 A4 C5 B4 A4 G4",
        "r/3 D4/1 D4 D4 C4 B3 D4 D4 D4 D4 D4 D4 D4 D4 E4 D4 D4 D4 D4 D4 D4 D4 C4 D4 D4 G4 D4 B3 D4 E4 D4 C4 B3",
        "r/3 B3/1 B3 A3 G3 G3 B3 F#3 G3 G3 G3 G3 F#3 B3 G3 G3 F#3 B3 F#3 G3 F#3 B3 G3 A3 B3 B3 G3 G3 F#3 G3 G3 F#3 G3",
        "r/3 G3/1 G3 D3 C3 G2 G2 D3 G2 G2 G2 G2 D3 G3 C3 G2 D3 G2 D3 G2 D3 G2 C3 D3 G2 G3 G2 E3 D3 C3 D3 D3 G2",
    ]),
    "jig": ("The Irish Washerwoman (traditional)", 160, (6, 8), [
        "B4/.5 G4 G4 D4 G4 G4 B4 G4 B4 D5 C5 B4 C5 A4 A4 E4 A4 A4 C5 A4 C5 E5 D5 C5 "
        "B4 G4 G4 D4 G4 G4 B4 G4 B4 D5 C5 B4 C5 B4 C5 A4 D5 C5 B4 G4 G4 G4/1.5",
    ]),
    "sonatina": ("W. A. Mozart, Sonata K. 545, simplified", 126, (4, 4), [
        "C5/2 E5/1 G5 B4/1.5 C5/.25 D5 C5/1 r A5/2 G5/1 C6 G5/1 F5 E5 r "
        "A4/.5 B4/.25 C5 D5 E5 F5 G5 A5 G5 F5 E5 D5 C5 B4 A4 G4/.5 A4/.25 B4 C5 D5 E5 F5 G5 F5 E5 D5 C5 B4 A4 G4 "
        "F4/.5 G4/.25 A4 B4 C5 D5 E5 F5 E5 D5 C5 B4 A4 G4 F4 E4/.5 F4/.25 G4 A4 B4 C5 D5 E5 D5 C5 B4 A4 G4 F4 E4",
        "C4/.5 G4 E4 G4 C4 G4 E4 G4 D4 G4 F4 G4 C4 G4 E4 G4 C4 A4 F4 A4 C4 G4 E4 G4 B3 G4 D4 G4 C4 G4 E4 G4 "
        "F3+A3+C4/1 r/3 E3+G3+C4/1 r/3 D3+F3+A3/1 r/3 C3+E3+G3/1 r/3",
    ]),
    "prelude": ("J. S. Bach, Prelude BWV 846", 72, (4, 4), [
        broken("C4 E4 G4 C5 E5", "C4 D4 A4 D5 F5", "B3 D4 G4 D5 F5", "C4 E4 G4 C5 E5",
               "C4 E4 A4 E5 A5", "C4 D4 F#4 A4 D5", "B3 D4 G4 D5 G5", "B3 C4 E4 G4 C5"),
    ]),
    "gymnopedie": ("E. Satie, Gymnopédie no. 1", 72, (3, 4), [
        "r/12 r/1 F#5 A5 G5 F#5 C#5 B4 C#5 D5 A4/3",
        "G2/1 B3+D4+F#4/2 D2/1 A3+C#4+F#4/2 G2/1 B3+D4+F#4/2 D2/1 A3+C#4+F#4/2 "
        "G2/1 B3+D4+F#4/2 D2/1 A3+C#4+F#4/2 G2/1 B3+D4+F#4/2 D2/1 A3+C#4+F#4/2",
    ]),
    "ragtime": ("S. Joplin, The Entertainer, simplified", 150, (4, 4), [
        "E4/.5 C5/1 E4/.5 C5/1 E4/.5 C5/2.5 C5/.5 D5 D#5 E5 C5 D5 E5/1 B4/.5 D5/1 C5/2.5 r/1 D4/.5 D#4 "
        "E4 C5/1 E4/.5 C5/1 E4/.5 C5/2.5 A4/.5 G4 F#4 A4 C5 E5/1 D5/.5 C5 A4 D5/1 D5/3 r/1",
        "C3/1 E3+G3+C4 G2 E3+G3+C4 C3 E3+G3+C4 F3 A3+C4 G2 F3+G3+B3 G2 F3+G3+B3 C3 E3+G3+C4 G2 E3+G3+C4 "
        "C3 E3+G3+C4 G2 E3+G3+C4 C3 E3+G3+C4 A2 E3+G3+A3 D3 F#3+A3+C4 D3 F#3+A3+C4 G2 F3+G3+B3 G2 F3+G3+B3",
    ]),
    "song": ("Greensleeves (traditional)", 110, (3, 4), [
        "r/2 A4/1 C5/2 D5/1 E5/1.5 F5/.5 E5/1 D5/2 B4/1 G4/1.5 A4/.5 B4/1 "
        "C5/2 A4/1 A4/1.5 G#4/.5 A4/1 B4/2 G#4/1 E4/3",
        "r/3 A2/1 E3 A3 C3 G3 C4 G2 D3 G3 G2 B2 D3 A2 E3 A3 F2 C3 F3 E2 B2 E3 E2 B2 E3",
    ]),
    "pop": ("four chords, ours", 104, (4, 4), [
        "E5/1.5 D5/.5 C5/1 G4 D5/1.5 C5/.5 B4/1 G4 C5/1.5 B4/.5 A4/1 E4 A4/1 C5 B4 A4 "
        "E5/1.5 D5/.5 C5/1 G4 D5/1.5 E5/.5 D5/1 B4 C5/1.5 D5/.5 E5/1 C5 A4/2 G4/2",
        " ".join(f"{chord}/.5 " * 8 for chord in ["C3+E3+G3", "B2+D3+G3", "C3+E3+A3", "C3+F3+A3"] * 2),
    ]),
}


def notes(voice):
    """Keys, beginning and length in ticks."""
    now, length = 0, None
    for word in voice.split():
        keys, _, given = word.partition("/")
        length = round(float(given) * TICKS) if given else length
        for name in keys.split("+"):
            if name != "r":
                letter, sharp, octave = re.fullmatch(r"([A-G])(#?)(\d)", name).groups()
                yield STEPS[letter] + len(sharp) + 12 * (int(octave) + 1), now, length
        now += length


def write(path, tempo, metre, voices):
    file = mido.MidiFile(ticks_per_beat=TICKS)
    head = mido.MidiTrack([
        mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(tempo)),
        mido.MetaMessage("time_signature", numerator=metre[0], denominator=metre[1]),
    ])
    file.tracks.append(head)
    for number, voice in enumerate(voices):
        velocity = 84 if number == 0 else 66
        events = []
        for key, begin, length in notes(voice):
            events.append((begin, 1, mido.Message("note_on", note=key, velocity=velocity)))
            events.append((begin + length, 0, mido.Message("note_off", note=key)))
        track, now = mido.MidiTrack(), 0
        for at, _, message in sorted(events, key=lambda event: event[:2]):
            track.append(message.copy(time=at - now))
            now = at
        file.tracks.append(track)
    file.save(path)


def main():
    for seed, (name, (title, tempo, metre, voices)) in enumerate(PIECES.items(), 1):
        with tempfile.TemporaryDirectory() as folder:
            opening = pathlib.Path(folder) / f"{name}.mid"
            write(opening, tempo, metre, voices)
            for suffix, options in [("", []), ("-band", BAND)]:
                out = HERE / f"{name}{suffix}.mid"
                subprocess.run(
                    [CONTINUO, "continue", opening, "-o", out, "--bars", "8", "--seed", str(seed), *options], check=True
                )
                subprocess.run([CONTINUO, "view", out, "-o", out.with_suffix(".png")], check=True)
        print(f"{seed}  {name}: {title}")


if __name__ == "__main__":
    main()
