"""Ablations: small networks that differ in one thing each, on the same budget of tokens and the same seed.

    cargo build --release -p continuo-trainer
    python trainer/compare/ablate.py --data DATA/train --output ablations              # all rows
    python trainer/compare/ablate.py --data DATA/train --output ablations gate grid    # some
    python trainer/compare/ablate.py --output ablations --table                        # finished rows

Each row is a folder in --output; a finished row is kept, an interrupted one is
resumed. The base is 3 layers of 128, window 128, kNN memory in layer 1, 1,500 steps of 1,024 tokens.
The songs that `encode` holds out depend on the vocabulary, so 1 % of the files (those held out with the base's)
are set apart once for all rows (folders `train` and `held` in --output). Nats are per note, so that vocabularies compare;
"music" leaves the nats of velocity tokens out, so that a vocabulary without them compares, too.
"""

import argparse
import json
import pathlib
import shutil
import subprocess

BASE = "--preset small --layers 3 --width 128 --window 128 --segment 32 --batch 32 --micro-batch 32 --steps 1500 --seed 1"
# name: (vocabulary, training options, text in the table)
ROWS = {
    "base": ("continuo", "", "as `small` has it, smaller"),
    "seed": ("continuo", "--seed 2", "another seed (what chance does)"),
    "no-knn": ("continuo", "--without-knn", "without kNN memory"),
    "own": ("continuo", "--knn-recalls own", "recalls the nearest tokens, not what followed them"),
    "own-rate": ("continuo", "--knn-recalls own --knn-rate 10", "the same; scale and gate learn ten times as fast"),
    "own-seed": ("continuo", "--knn-recalls own --seed 2", "recalls the nearest tokens, another seed"),
    "no-knn-seed": ("continuo", "--without-knn --seed 2", "without kNN memory, another seed"),
    "gate": ("continuo", "--ablate gate", "without learned gate (half open)"),
    "knn-first": ("continuo", "--knn-layer 0", "kNN memory in the first layer"),
    "knn-last": ("continuo", "--knn-layer 2", "kNN memory in the last layer"),
    "k8": ("continuo", "--knn-k 8", "8 memories recalled instead of 32"),
    "grid": ("continuo", "--ablate grid", "without step in bar, bar, metre"),
    "pitch": ("continuo", "--ablate pitch", "without pitch classes and octaves"),
    "sounding": ("continuo", "--ablate sounding", "without the notes that sound"),
    "sounding-seed": ("continuo", "--ablate sounding --seed 2", "without the notes that sound, another seed"),
    "relative": ("continuo", "--ablate relative", "without distances in time and pitch"),
    "relative-seed": ("continuo", "--ablate relative --seed 2", "the same, another seed"),
    "no-transpose": ("continuo", "--transpose 0 --loudness 0", "without transposition"),
    "layer-norm": ("continuo", "--like-midigen norm", "LayerNorm instead of RMSNorm"),
    "gelu": ("continuo", "--like-midigen feed-forward", "GELU feed-forward, 4 times as wide, instead of SwiGLU"),
    "biases": ("continuo", "--like-midigen positions", "learned biases by distance instead of rotary positions"),
    "dropout": ("continuo", "--dropout 0.1", "with dropout 0.1"),
    "few-lanes": ("continuo", "--segment 128 --batch 8 --micro-batch 8", "8 batch rows of 128 tokens a step instead of 32 of 32"),
    "rate": ("continuo", "--lr 1e-3", "half the learning rate"),
    "random": ("continuo", "--batches random", "random excerpts, no memory in training"),
    "songs": ("continuo", "--batches songs", "one song per batch row, padded"),
    "window-64": ("continuo", "--window 64", "window 64"),
    "window-256": ("continuo", "--window 256", "window 256"),
    "wide": ("continuo", "--layers 2 --width 192", "2 layers of 192"),
    "deep": ("continuo", "--layers 8 --width 64", "8 layers of 64"),
    "steps-4": ("steps-4", "", "4 steps a beat"),
    "steps-24": ("steps-24", "", "24 steps a beat"),
    "no-velocity": ("no-velocity", "", "without velocity"),
    "low-to-high": ("low-to-high", "", "bass first"),
    "merged": ("merged", "", "512 ids, merged tokens among them"),
}
VOCABULARIES = {
    "steps-4": {"steps_per_beat": 4, "longest": 64},
    "steps-24": {"steps_per_beat": 24, "longest": 384},
    "no-velocity": {"velocity_bins": 0},
    "low-to-high": {"order": "low_to_high"},
}
CONTINUO = {
    "version": 1,
    "name": "continuo",
    "steps_per_beat": 12,
    "shortest": 1,
    "longest": 192,
    "velocity_bins": 16,
    "order": "high_to_low",
    "specials": ["pad", "sos", "eos", "sep"],
}


def split(a):
    """Copies the files into two folders: to train on, and held out."""
    if (a.output / "held").is_dir():
        return
    whole = a.output / "whole.corpus"
    subprocess.run([a.trainer, "encode", a.data, "-o", whole, "--held-out", "0.01"], check=True)
    listed = subprocess.run([a.trainer, "songs", whole, "--held-out"], check=True, stdout=subprocess.PIPE, text=True)
    held = set(listed.stdout.splitlines())
    for file in sorted(a.data.rglob("*.mid")):
        to = a.output / ("held" if file.relative_to(a.data).as_posix() in held else "train") / file.relative_to(a.data)
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, to)
    whole.unlink()


def corpus(a, name, part="train"):
    path = a.output / f"{name}.{part}.corpus"
    if path.exists():
        return path
    split(a)
    command = [a.trainer, "encode", a.output / part, "-o", path, "--held-out", "0" if part == "train" else "0.999999"]
    vocabulary = a.output / f"{name}.json"
    if name == "merged" and not vocabulary.exists():
        subprocess.run([a.trainer, "vocab", "--ids", "512", "-o", vocabulary, corpus(a, "continuo")], check=True)
    elif name in VOCABULARIES:
        vocabulary.write_text(json.dumps(CONTINUO | VOCABULARIES[name]))
    if vocabulary.exists():
        command += ["--vocabulary", vocabulary]
    subprocess.run(command, check=True)
    return path


def run(a, name):
    vocabulary, options, _ = ROWS[name]
    folder, result = a.output / name, a.output / f"{name}.eval.json"
    if result.exists():
        return
    songs = corpus(a, vocabulary)
    train = [a.trainer, "train", "--corpus", songs, "-o", folder, "--measure-every", "0", "--sample-every", "0"]
    if list(folder.glob("step-*")):
        train += ["--resume"]
    else:
        # A row's own options come in place of the base's.
        given = dict(zip(BASE.split()[::2], BASE.split()[1::2]))
        own = options.split()
        for option in own:
            given.pop(option, None)
        train += [word for pair in given.items() for word in pair] + own + ["--threads", str(a.threads)]
    subprocess.run(train, check=True)
    held = corpus(a, vocabulary, "held")
    command = [a.trainer, "eval", "--checkpoint", folder, "--corpus", held, "--json"]
    if name not in a.cells:
        command += ["--quick"]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
    json.loads(done)
    result.write_bytes(done)


def table(a):
    print("| | parameters | nats/note | music | against base | kNN, both memories worth | options |")
    print("|---|---|---|---|---|---|---|")
    base = None
    for name, (vocabulary, options, says) in ROWS.items():
        path = a.output / f"{name}.eval.json"
        if not path.exists():
            continue
        e = json.loads(path.read_text())
        notes = e["all"]["notes"]
        nats = e["all"]["nats"] / notes
        music = nats - e["kinds"].get("velocity", {"nats": 0})["nats"] / notes
        base = base or music
        cells = {(c["xl"], c["knn"]): c["all"]["nats_per_note"] for c in e["cells"]}
        gain = ""
        if (True, True) in cells:
            better = lambda xl, knn: f"{100 * (1 - cells[True, True] / cells[xl, knn]):.2f} %"
            gain = f"{better(True, False)}, {better(False, False)}"
        print(f"| {says} | {size(a.output / name)} | {nats:.3f} | {music:.3f} | {100 * (music / base - 1):+.1f} % | {gain} | `{options}` {vocabulary if vocabulary != 'continuo' else ''} |")


def size(folder):
    newest = sorted(folder.glob("step-*"))[-1] / "weights.safetensors"
    with newest.open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    count = lambda shape: shape[0] * shape[1]
    return f"{sum(count(t['shape']) for k, t in header.items() if k != '__metadata__'):,}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("rows", nargs="*", default=[], metavar="ROW", help=", ".join(ROWS))
    parser.add_argument("--data", type=pathlib.Path, help="folder of MIDI files")
    parser.add_argument("--output", type=pathlib.Path, required=True)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--cells", nargs="*", default=["base", "own", "own-rate", "knn-last", "knn-first", "gate"], help="rows to measure with and without each memory")
    parser.add_argument("--table", action="store_true", help="print the table of the rows that are there")
    parser.add_argument("--trainer", default="target/release/continuo-trainer")
    a = parser.parse_args()
    a.output.mkdir(parents=True, exist_ok=True)
    if not a.table:
        for name in a.rows or ROWS:
            run(a, name)
    table(a)


if __name__ == "__main__":
    main()
