"""Note F-measure of the ear beside basic-pitch's own Python, on the same sound files.

MIDI files become sound: by `continuo render` (the electric piano of the preview sound), and by two
timbres of this script (a plucked string, and an organ with a slow attack). Each is made at 16 and
48 kHz, without and with white noise 20 dB below the music. Both programs read the same files. The
figure is mir_eval's note F-measure without ends: an onset within 50 ms and a pitch within a quarter
tone, each note once.

    pip install onnxruntime mir_eval pretty_midi librosa soundfile resampy scipy
    pip download basic-pitch==0.4.0 --no-deps && unzip basic_pitch-*.whl -d BASIC_PITCH
    python ear/compare/compare.py --bin target/release --library LIBRARY --model MODEL \\
        --basic-pitch BASIC_PITCH score/tests/pieces/*.tune FILE.mid ...
"""

import argparse
import collections
import contextlib
import io
import json
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import mir_eval
import numpy as np
import pretty_midi
import soundfile

SECONDS = 25.0
RATES = (16_000, 48_000)
TIMBRES = ("electric piano", "plucked", "organ")
NAMES = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}


def read_tune(path):
    """Reads a `.tune` file: voices of `PITCH[+PITCH]:BEATS`, where `-` is a rest and `~` ties on."""
    music, track, beat = None, None, 0.0
    for line in path.read_text().splitlines():
        words = line.split("#")[0].split() if line.startswith("#") else line.split()
        if not words:
            continue
        if words[0] == "tempo":
            music = pretty_midi.PrettyMIDI(initial_tempo=float(words[1]))
            second = 60.0 / float(words[1])
        elif words[0] == "voice":
            track, beat = pretty_midi.Instrument(0), 0.0
            music.instruments.append(track)
        elif track is not None:
            for word in words:
                found = re.fullmatch(r"([^:|]+):([\d.]+)(?:/([\d.]+))?\S*", word)
                if not found:
                    if word != "|":
                        raise ValueError(f"{path}: {word}")
                    continue
                beats = float(found[2]) / float(found[3] or 1)
                for name in found[1].split("+"):
                    pitch = re.fullmatch(r"([A-G])([#b]*)(-?\d)", name)
                    if not pitch:
                        continue
                    sharp = pitch[2].count("#") - pitch[2].count("b")
                    number = NAMES[pitch[1]] + sharp + 12 * (int(pitch[3]) + 1)
                    begin, end = beat * second, (beat + beats) * second
                    track.notes.append(pretty_midi.Note(80, number, begin, end))
                beat += beats
    return music


def excerpt(path):
    """Returns the first SECONDS of a file's notes as a new MIDI file, without drums and pedal."""
    music = read_tune(path) if path.suffix == ".tune" else pretty_midi.PrettyMIDI(str(path))
    notes = [n for i in music.instruments if not i.is_drum for n in i.notes]
    if not notes:
        raise ValueError(f"{path}: no notes")
    first = min(n.start for n in notes)
    kept = {}
    for n in sorted(notes, key=lambda n: (n.start, n.pitch, -n.end)):
        # Two parts on the same key at the same time are one sound.
        key = (round(n.start, 2), n.pitch)
        if first <= n.start < first + SECONDS - 1 and key not in kept:
            end = min(n.end, first + SECONDS)
            kept[key] = pretty_midi.Note(n.velocity, n.pitch, n.start - first, end - first)
    out = pretty_midi.PrettyMIDI(initial_tempo=120)
    out.instruments.append(pretty_midi.Instrument(0))
    out.instruments[0].notes = list(kept.values())
    return out


def synthesise(music, timbre, rate):
    """Renders notes additively: up to 12 partials below 0.45 of the sample rate."""
    seconds = music.get_end_time() + 1.0
    sound = np.zeros(int(seconds * rate))
    for n in music.instruments[0].notes:
        hz = 440.0 * 2 ** ((n.pitch - 69) / 12)
        t = np.arange(int((n.end - n.start + 0.1) * rate)) / rate
        release = np.clip(1 - (t - (n.end - n.start)) / 0.1, 0, 1)
        note = np.zeros(len(t))
        for k in range(1, 13):
            if k * hz > 0.45 * rate:
                break
            if timbre == "plucked":
                envelope = np.minimum(t / 0.003, 1) * np.exp(-t * (1.0 + 0.8 * k)) / k
            else:
                envelope = np.minimum(t / 0.06, 1) / k**1.5
            note += envelope * np.sin(2 * np.pi * k * hz * t + k)
        at = int(n.start * rate)
        room = sound[at : at + len(note)]
        room += (note * release * n.velocity / 127)[: len(room)]
    return sound / (np.abs(sound).max() + 1e-9) * 0.5


def render(music, timbre, rate, path, arguments):
    """Writes the sound file of the music."""
    if timbre == "electric piano":
        midi = path.with_suffix(".mid")
        music.write(str(midi))
        command = [arguments.bin / "continuo", "render", midi, "-o", path, "--rate", str(rate)]
        subprocess.run([*command, "--force"], check=True, capture_output=True)
    else:
        soundfile.write(path, synthesise(music, timbre, rate), rate)


def f_measure(music, found, within=0.05):
    """Returns mir_eval's F-measure of notes (onset, end, MIDI pitch), with onsets within seconds."""
    wanted = [(n.start, n.end, n.pitch) for n in music.instruments[0].notes]
    if not found:
        return 0.0
    times = [np.array([(a, max(b, a + 0.01)) for a, b, _ in x]) for x in (wanted, found)]
    pitches = [mir_eval.util.midi_to_hz(np.array([p for _, _, p in x])) for x in (wanted, found)]
    _, _, f, _ = mir_eval.transcription.precision_recall_f1_overlap(
        times[0], pitches[0], times[1], pitches[1], onset_tolerance=within, pitch_tolerance=50.0,
        offset_ratio=None)
    return f


def read_theirs(path, inference, model):
    """Returns basic-pitch's notes and its CPU seconds. They are kept beside the sound file."""
    kept = path.with_suffix(".json")
    if not kept.exists():
        before = cpu(resource.RUSAGE_SELF)
        with contextlib.redirect_stdout(io.StringIO()):
            _, _, events = inference.predict(path, model)
        seconds = cpu(resource.RUSAGE_SELF) - before
        notes = [[float(a), float(b), int(p)] for a, b, p, *_ in events]
        kept.write_text(json.dumps([notes, seconds]))
    return json.loads(kept.read_text())


def cpu(of):
    used = resource.getrusage(of)
    return used.ru_utime + used.ru_stime


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", type=Path, default=Path("target/release"))
    parser.add_argument("--ear", type=Path, help="example transcribe")
    parser.add_argument("--library", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--basic-pitch", type=Path, required=True)
    parser.add_argument("--each", action="store_true", help="print the figure of each sound")
    parser.add_argument("--keep", type=Path, help="folder for the sound files and basic-pitch's notes; what it has is used")
    parser.add_argument("files", nargs="+", type=Path)
    arguments = parser.parse_args()
    ear = arguments.ear or arguments.bin / "examples" / "transcribe"

    sys.path.insert(0, str(arguments.basic_pitch))
    import onnxruntime

    with contextlib.redirect_stdout(io.StringIO()):
        from basic_pitch import inference
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    theirs = inference.Model(arguments.model)
    theirs.model = onnxruntime.InferenceSession(
        arguments.model, options, providers=["CPUExecutionProvider"])

    scores = collections.defaultdict(list)
    spent, sounded = collections.Counter(), 0.0
    folder = arguments.keep or Path(tempfile.mkdtemp())
    folder.mkdir(parents=True, exist_ok=True)
    for number, file in enumerate(arguments.files):
        music = excerpt(file)
        for timbre in TIMBRES:
            for rate in RATES:
                clean = folder / f"{number}-{timbre.split()[0]}-{rate}.wav"
                if not clean.exists():
                    render(music, timbre, rate, clean, arguments)
                sound, _ = soundfile.read(clean, always_2d=True)
                power = np.sqrt(np.mean(sound**2))
                noise = np.random.default_rng(number).normal(0, power * 0.1, sound.shape)
                noisy = clean.with_name(clean.stem + "-noise.wav")
                soundfile.write(noisy, sound + noise, rate)
                for kind, path in (("clean", clean), ("noise", noisy)):
                    sounded += len(sound) / rate
                    before = cpu(resource.RUSAGE_CHILDREN)
                    command = [ear, arguments.library, arguments.model, path]
                    ran = subprocess.run(command, check=True, capture_output=True, text=True)
                    spent["ours"] += cpu(resource.RUSAGE_CHILDREN) - before
                    rows = [line.split("\t") for line in ran.stdout.splitlines()]
                    ours = [(float(r[1]), float(r[2]), int(r[3])) for r in rows]
                    other, seconds = read_theirs(path, inference, theirs)
                    spent["theirs"] += seconds
                    both = f_measure(music, ours), f_measure(music, other)
                    scores[timbre, rate, kind].append(both)
                    if arguments.each:
                        print(f"{file.name} {timbre} {rate} {kind}: {both[0]:.3f} {both[1]:.3f}",
                              flush=True)
    print("| timbre | rate | sound | ear | basic-pitch |\n|---|---|---|---|---|")
    for (timbre, rate, kind), pairs in scores.items():
        ours, other = np.mean(pairs, axis=0)
        print(f"| {timbre} | {rate // 1000} kHz | {kind} | {ours:.3f} | {other:.3f} |")
    ours, other = np.mean([np.mean(p, axis=0) for p in scores.values()], axis=0)
    print(f"| all | | | {ours:.3f} | {other:.3f} |")
    for name, seconds in spent.items():
        print(f"{name}: {sounded / seconds:.1f} s of sound in a CPU second")


if __name__ == "__main__":
    began = time.time()
    main()
    print(f"{time.time() - began:.0f} s in all", file=sys.stderr)
