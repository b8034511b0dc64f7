"""Times us, and symusic with MidiTok's REMI, from file to ids on the same files, one thread.

    pip install symusic miditok
    cargo build --release -p continuo-score --example speed
    python score/compare/speed.py SHARED/data

Best of several rounds each, turn by turn, on the first files of each folder; the files are in
the page cache. REMI as MidiTok sets it by default (velocities, no chords, no programs). Both
make ids of all notes but the drums'; ours on 12 steps a beat, REMI on 8 and 4.
"""

import importlib.metadata
import pathlib
import subprocess
import sys
import time

import miditok
import symusic

WORKSPACE = pathlib.Path(__file__).resolve().parents[2]
FOLDERS = ["train/pop909", "train/openscore_lieder", "train/cre_irish", "jsb/test"]
FILES, ROUNDS = 60, 5


def ours(files):
    """(read, read and encode) in ms a file."""
    binary = WORKSPACE / "target" / "release" / "examples" / "speed"
    names = "".join(f"{file}\n" for file in files)
    done = subprocess.run([binary, "1"], input=names, capture_output=True, text=True, check=True)
    return tuple(map(float, done.stdout.split()))


def theirs(files, tokenizer):
    """(read, read and encode) in ms a file."""
    started = time.perf_counter()
    for file in files:
        symusic.Score(file)
    read = time.perf_counter() - started
    started = time.perf_counter()
    for file in files:
        tokenizer.encode(symusic.Score(file))
    encode = time.perf_counter() - started
    return read * 1e3 / len(files), encode * 1e3 / len(files)


def main():
    """Prints the table."""
    data = pathlib.Path(sys.argv[1])
    tokenizer = miditok.REMI(miditok.TokenizerConfig())
    version = importlib.metadata.version
    print(f"symusic {version('symusic')}, miditok {version('miditok')}, {ROUNDS} rounds\n")
    print("| folder | files | read: ours | symusic | ratio | file to ids: ours | symusic + REMI | ratio |")
    print("|---|---|---|---|---|---|---|---|")
    for folder in FOLDERS:
        files = [str(f) for f in sorted((data / folder).glob("*.mid"))[:FILES]]
        rounds = [ours(files) + theirs(files, tokenizer) for _ in range(ROUNDS)]
        a, b, c, d = map(min, zip(*rounds))
        print(
            f"| {folder} | {len(files)} | {a:.3f} ms | {c:.3f} ms | {c / a:.1f} x "
            f"| {b:.3f} ms | {d:.2f} ms | {d / b:.0f} x |"
        )


if __name__ == "__main__":
    main()
