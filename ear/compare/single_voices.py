"""Single voices: note F-measure of SwiftF0, which hears one pitch at a time, beside the ear.

The lead line of each file (the highest note at each onset, up to the next one) becomes sound in the
timbres of compare.py and in one more: a voice with vibrato that glides from note to note. Each is
made at 16 kHz, without and with white noise 20 dB below the music. The figure is that of
compare.py, for onsets within 50 ms; the last columns have those within 100 ms, which tell late onsets
from missed notes. SwiftF0's frames become notes by its own `segment_notes`; in another column these
notes are also divided at librosa's onsets, because a pitch alone does not tell a repeated note. The
column "better" has the number of lines of which SwiftF0's figure within 50 ms is the greater one.

    pip install onnxruntime mir_eval pretty_midi librosa soundfile scipy swift-f0==0.3.0
    python ear/compare/single_voices.py --bin target/release --library LIBRARY --model MODEL \\
        score/tests/pieces/*.tune FILE.mid ...
"""

import argparse
import collections
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import librosa
import numpy as np
import pretty_midi
import soundfile
import swift_f0

from compare import TIMBRES, cpu, excerpt, f_measure, render

VOICE = "voice"
RATE = 16_000
COLUMNS = ("ear", "SwiftF0", "SwiftF0, onsets", "ear, 100 ms", "SwiftF0, 100 ms")


def lead_line(music):
    """Returns the highest note at each onset, each up to the next onset, as new music."""
    notes, line = music.instruments[0].notes, []
    for note in sorted(notes, key=lambda n: (n.start, -n.pitch)):
        if line and note.start < line[-1].start + 0.05:
            continue
        held = line and line[-1].end > note.start + 0.05 and line[-1].pitch > note.pitch
        # A lower note under a held one belongs to another voice.
        if held:
            continue
        if line:
            line[-1].end = min(line[-1].end, note.start)
        line.append(pretty_midi.Note(note.velocity, note.pitch, note.start, note.end))
    out = pretty_midi.PrettyMIDI(initial_tempo=120)
    out.instruments.append(pretty_midi.Instrument(0))
    out.instruments[0].notes = line
    return out


def sing(music, rate):
    """Renders a line as a voice: ten partials, vibrato of half a semitone, glides of 60 ms."""
    notes = music.instruments[0].notes
    sound = np.zeros(int((music.get_end_time() + 1.0) * rate))
    before = notes[0]
    for note in notes:
        t = np.arange(int((note.end - note.start + 0.05) * rate)) / rate
        length = note.end - note.start
        is_legato = note.start - before.end < 0.05
        glide = (before.pitch - note.pitch if is_legato else -1.0) * np.exp(-t / 0.02)
        vibrato = 0.25 * np.clip((t - 0.15) / 0.2, 0, 1) * np.sin(2 * np.pi * 5.5 * t)
        hz = 440.0 * 2 ** ((note.pitch + glide + vibrato - 69) / 12)
        phase = 2 * np.pi * np.cumsum(hz) / rate
        envelope = np.minimum(t / 0.04, 1) * np.clip((length + 0.04 - t) / 0.06, 0, 1)
        tone = np.zeros(len(t))
        for k in range(1, 11):
            if k * hz.max() < 0.45 * rate:
                # A broad formant around 700 Hz.
                tone += np.sin(k * phase) / k * (1 + 2 * np.exp(-(((k * hz - 700) / 400) ** 2)))
        at = int(note.start * rate)
        room = sound[at : at + len(t)]
        room += (tone * envelope * note.velocity / 127)[: len(room)]
        before = note
    return sound / (np.abs(sound).max() + 1e-9) * 0.5


def divided(notes, onsets):
    """Divides notes (onset, end, pitch) at onsets that are at least 60 ms from their ends."""
    out = []
    for begin, end, pitch in notes:
        inner = [o for o in onsets if begin + 0.06 < o < end - 0.06]
        for a, b in zip([begin, *inner], [*inner, end]):
            out.append((a, b, pitch))
    return out


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", type=Path, default=Path("target/release"))
    parser.add_argument("--library", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("files", nargs="+", type=Path)
    arguments = parser.parse_args()
    ear = arguments.bin / "examples" / "transcribe"
    detector = swift_f0.SwiftF0(threads=1, spin=False)
    scores, spent, sounded = collections.defaultdict(list), collections.Counter(), 0.0
    folder = Path(tempfile.mkdtemp())
    for number, file in enumerate(arguments.files):
        music = lead_line(excerpt(file))
        for timbre in (*TIMBRES, VOICE):
            clean = folder / f"{number}-{timbre.split()[0]}.wav"
            if timbre == VOICE:
                soundfile.write(clean, sing(music, RATE), RATE)
            else:
                render(music, timbre, RATE, clean, arguments)
            sound, _ = soundfile.read(clean, always_2d=True)
            power = np.sqrt(np.mean(sound**2))
            noise = np.random.default_rng(number).normal(0, power * 0.1, sound.shape)
            noisy = clean.with_name(clean.stem + "-noise.wav")
            soundfile.write(noisy, sound + noise, RATE)
            for kind, path in (("clean", clean), ("noise", noisy)):
                sounded += len(sound) / RATE
                before = cpu(resource.RUSAGE_CHILDREN)
                command = [ear, arguments.library, arguments.model, path]
                ran = subprocess.run(command, check=True, capture_output=True, text=True)
                spent["ear"] += cpu(resource.RUSAGE_CHILDREN) - before
                rows = [line.split("\t") for line in ran.stdout.splitlines()]
                ours = [(float(r[1]), float(r[2]), int(r[3])) for r in rows]
                before = cpu(resource.RUSAGE_SELF)
                found = swift_f0.segment_notes(detector.detect_file(path))
                spent["SwiftF0"] += cpu(resource.RUSAGE_SELF) - before
                hz = [float(note.pitch_hz) for note in found]
                pitches = [round(float(p)) for p in librosa.hz_to_midi(hz)] if hz else []
                one = [(n.start, n.end, p) for n, p in zip(found, pitches)]
                mono, own = librosa.load(path, sr=22_050)
                onsets = librosa.onset.onset_detect(y=mono, sr=own, units="time")
                row = [f_measure(music, notes) for notes in (ours, one, divided(one, onsets))]
                row += [f_measure(music, notes, within=0.1) for notes in (ours, one)]
                scores[timbre, kind].append(row)
                wanted = len(music.instruments[0].notes)
                print(f"{file.name[:30]} {timbre} {kind}: {wanted} notes, {len(ours)} and {len(one)} "
                      f"found: " + " ".join(f"{f:.3f}" for f in row), file=sys.stderr, flush=True)
    print(f"| timbre | sound | {' | '.join(COLUMNS)} | better |\n|{'---|' * (len(COLUMNS) + 3)}")
    every = np.array(list(scores.values()))
    for (timbre, kind), rows in scores.items():
        rows = np.array(rows)
        better = f"{np.sum(rows[:, 1] > rows[:, 0])} of {len(rows)}"
        figures = " | ".join(f"{f:.3f}" for f in rows.mean(axis=0))
        print(f"| {timbre} | {kind} | {figures} | {better} |")
    print("| all | | " + " | ".join(f"{f:.3f}" for f in every.mean(axis=(0, 1))) + " | |")
    for name, seconds in spent.items():
        print(f"{name}: {sounded / seconds:.1f} s of sound in a CPU second")


if __name__ == "__main__":
    main()
