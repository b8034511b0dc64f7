"""The calls to a lent GPU: a machine with an NVIDIA driver and PyTorch, without Rust or a network.

    python trainer/compare/gpu_call.py pack --corpus songs.corpus -o target/gpu-call
    python trainer/compare/gpu_call.py run target/gpu-call --out OUT --minutes 5        # over there
    python trainer/compare/gpu_call.py join OUT -o checkpoint                           # back here

`pack` builds the trainer for CUDA, and compresses it and the corpus into a folder of at most
`--limit` MiB. `pack --dry-run` then runs the whole of `run` and `join` on this machine's CPU, with the
preset `tiny`, so that the lent minutes are not spent on mistakes.

`run` does these in turn, and writes what it finds to OUT/report.txt:

1. a training of some steps on the GPU and the same on the CPU, both in f32: if the losses do not
   agree within 1 %, `run` ends after step 2;
2. speed.py, the trainer against eager PyTorch, where PyTorch is installed;
3. a training for `--minutes`. Its checkpoints stay in the folder of the pack, and a later `run` on the
   same machine goes on from them (`--resume`), without steps 1 and 2;
4. the newest checkpoint's parameters, as f16 in parts of 16 MiB: OUT/parameters.00 and so on. They
   are written after the training, so that `--minutes` must end well before the call does.

`join` makes a checkpoint of these parts, for `train --from`, `eval` and `export`. It has no
optimiser state: that of `base` would be three times as large as what may come back.
"""

import argparse
import array
import csv
import json
import lzma
import os
import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
PART = 16 << 20
MIB = 1 << 20
# Largest relative difference between losses on the GPU and on the CPU.
TOLERANCE = 0.01


def compress(source, target):
    with open(source, "rb") as plain, lzma.open(target, "wb", preset=6) as packed:
        shutil.copyfileobj(plain, packed, MIB)


def unpack(source, target):
    if target.exists() and target.stat().st_mtime >= source.stat().st_mtime:
        return
    part = target.with_suffix(".part")
    with lzma.open(source, "rb") as packed, open(part, "wb") as plain:
        shutil.copyfileobj(packed, plain, MIB)
    part.replace(target)


def pack(arguments):
    output = pathlib.Path(arguments.output)
    if not arguments.trainer:
        build = ["cargo", "build", "--release", "-p", "continuo-trainer", "--features", "cuda"]
        subprocess.run(build, check=True)
        arguments.trainer = "target/release/continuo-trainer"
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        stripped = pathlib.Path(folder, "trainer")
        subprocess.run(["strip", "-o", stripped, arguments.trainer], check=True)
        compress(stripped, output / "trainer.xz")
    compress(arguments.corpus, output / "songs.corpus.xz")
    for script in ("gpu_call.py", "speed.py"):
        shutil.copy(HERE / script, output / script)
    size = sum(file.stat().st_size for file in output.iterdir() if file.is_file())
    print(f"{output}: {size / MIB:.1f} MiB")
    if size > arguments.limit * MIB:
        sys.exit(f"more than {arguments.limit} MiB: encode a smaller corpus")
    if arguments.dry_run:
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            copy, out = folder / "pack", folder / "out"
            shutil.copytree(output, copy)
            command = [sys.executable, copy / "gpu_call.py", "run", copy, "--out", out]
            command += ["--device", "cpu", "--preset", "tiny", "--speed-preset", "tiny"]
            subprocess.run(command + ["--minutes", "0.2"], check=True)
            subprocess.run(command + ["--minutes", "0.4", "--resume"], check=True)
            joined = folder / "joined"
            subprocess.run([sys.executable, __file__, "join", out, "-o", joined], check=True)
            # The trainer reads the result.
            command = [arguments.trainer, "eval", "--quick", "--corpus", arguments.corpus]
            subprocess.run(command + ["--checkpoint", joined], check=True, stdout=subprocess.DEVNULL)
        print("dry run: all of it ran")


def newest_checkpoint(training):
    checkpoints = sorted(training.glob("step-*"))
    if not checkpoints:
        sys.exit(f"{training}: no checkpoint")
    return checkpoints[-1]


def losses(training):
    with open(training / "losses.csv") as file:
        rows = list(csv.reader(file))
    at = next(i for i, name in enumerate(rows[0]) if "loss" in name or "nats" in name)
    return [float(row[at]) for row in rows[1:]]


def compare_losses(train, device, steps, report):
    found = {}
    for place in ("cpu", device):
        with tempfile.TemporaryDirectory() as folder:
            out = pathlib.Path(folder, "out")
            train(out, ["--device", place, "--precision", "f32", "--steps", str(steps)])
            found[place] = losses(out)
    pairs = list(zip(found["cpu"], found[device]))
    worst = max(abs(here - there) / here for here, there in pairs)
    report(f"losses of {len(pairs)} steps, CPU against {device}: at most {worst:.2e} apart")
    for here, there in pairs[:: max(1, len(pairs) // 5)]:
        report(f"    {here:.5f}  {there:.5f}")
    return worst <= TOLERANCE


def write_parts(checkpoint, out):
    """The parameters as f16, and the small files of a checkpoint."""
    names = ("config.json", "vocabulary.json")
    small = {name: (checkpoint / name).read_text() for name in names}
    with open(checkpoint / "weights.safetensors", "rb") as file:
        length = struct.unpack("<Q", file.read(8))[0]
        header, values = json.loads(file.read(length)), array.array("f")
        values.frombytes(file.read())
    halves = struct.pack(f"<{len(values)}e", *values)
    head = json.dumps({"files": small, "header": header}).encode()
    packed = struct.pack("<Q", len(head)) + head + halves
    for old in out.glob("parameters.*"):
        old.unlink()
    for i, at in enumerate(range(0, len(packed), PART)):
        (out / f"parameters.{i:02}").write_bytes(packed[at : at + PART])


def run(arguments):
    if arguments.resume and arguments.train_option:
        sys.exit("--train-option: a training that is resumed keeps its settings")
    folder, out = pathlib.Path(arguments.pack), pathlib.Path(arguments.out)
    out.mkdir(parents=True, exist_ok=True)
    trainer, corpus, training = folder / "trainer", folder / "songs.corpus", folder / "training"
    unpack(folder / "trainer.xz", trainer)
    unpack(folder / "songs.corpus.xz", corpus)
    trainer.chmod(0o755)
    lines = open(out / "report.txt", "a")

    def report(line):
        print(line, flush=True)
        print(line, file=lines, flush=True)

    def train(output, options):
        command = [trainer, "train", "--corpus", corpus, "-o", output]
        if "--resume" not in options:
            command += ["--preset", arguments.preset]
        subprocess.run(command + options, check=True, stderr=lines)

    agreed = True
    if not arguments.resume:
        agreed = compare_losses(train, arguments.device, arguments.compare_steps, report)
        speed = [sys.executable, folder / "speed.py", "--corpus", corpus, "--trainer", trainer]
        speed += ["--device", arguments.device, "--preset", arguments.speed_preset, "--rounds", "3"]
        measured = subprocess.run(speed, capture_output=True, text=True)
        report(measured.stdout)
        if measured.returncode:
            report(f"speed.py failed: {measured.stderr}")
    if not agreed:
        sys.exit(f"the losses differ by more than {TOLERANCE:.0%}: {out}/report.txt")
    options = ["--minutes", str(arguments.minutes), "--checkpoint-every", "2m"]
    if arguments.resume:
        options += ["--resume", "--device", arguments.device]
    else:
        options += ["--device", arguments.device] + arguments.train_option
    train(training, options)
    checkpoint = newest_checkpoint(training)
    write_parts(checkpoint, out)
    report(f"{checkpoint.name}: loss {losses(training)[-1]:.4f}")


def join(arguments):
    parts, output = sorted(pathlib.Path(arguments.parts).glob("parameters.*")), pathlib.Path(arguments.output)
    packed = b"".join(part.read_bytes() for part in parts)
    if not packed:
        sys.exit(f"{arguments.parts}: no parameters.00")
    length = struct.unpack("<Q", packed[:8])[0]
    head = json.loads(packed[8 : 8 + length])
    halves = packed[8 + length :]
    values = array.array("f", struct.unpack(f"<{len(halves) // 2}e", halves))
    header = json.dumps(head["header"]).encode()
    header += b" " * (-len(header) % 8)
    output.mkdir(parents=True, exist_ok=True)
    for name, text in head["files"].items():
        (output / name).write_text(text)
    with open(output / "weights.safetensors", "wb") as file:
        file.write(struct.pack("<Q", len(header)) + header + values.tobytes())
    print(f"{output}: {len(values)} parameters")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    commands = parser.add_subparsers(required=True)
    one = commands.add_parser("pack", help="build, compress, and perhaps try on the CPU")
    one.add_argument("--corpus", required=True, help="made by `continuo-trainer encode`")
    one.add_argument("-o", "--output", default="target/gpu-call")
    one.add_argument("--trainer", help="a trainer that is built already")
    one.add_argument("--limit", type=float, default=40, help="MiB of the folder at most")
    one.add_argument("--dry-run", action="store_true", help="run all of it on this machine's CPU")
    one.set_defaults(command=pack)
    one = commands.add_parser("run", help="compare, measure and train")
    one.add_argument("pack", help="folder made by `pack`")
    one.add_argument("--out", default=os.environ.get("OUT", "out"), help="folder of what comes back")
    one.add_argument("--device", default="cuda")
    one.add_argument("--preset", default="base")
    one.add_argument("--speed-preset", default="base")
    one.add_argument("--compare-steps", type=int, default=10)
    one.add_argument("--minutes", type=float, required=True, help="of the whole training so far")
    one.add_argument("--train-option", action="append", default=[], help="such as --optimizer=muon")
    one.add_argument("--resume", action="store_true", help="go on with the training of a run before")
    one.set_defaults(command=run)
    one = commands.add_parser("join", help="a checkpoint of the parts that came back")
    one.add_argument("parts", help="folder with parameters.00 and so on")
    one.add_argument("-o", "--output", required=True)
    one.set_defaults(command=join)
    arguments = parser.parse_args()
    arguments.command(arguments)


if __name__ == "__main__":
    main()
