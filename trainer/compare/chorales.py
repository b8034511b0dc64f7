"""Music to train on before the JSB chorales, without what could give the chorales away.

Copies pieces of several voices from the shared data into one folder, a subfolder a style. It leaves
out everything by Bach, and each piece in which one line has as many successive intervals in common
with a line of the test or validation chorales as `--intervals` says, in any key and rhythm;
repetitions of a note are left out before. A line is the highest or the lowest note at each onset,
of a track or of the whole piece.

    pip install symusic
    python trainer/compare/chorales.py --data SHARED/data --output first
    continuo-trainer encode first -o first.corpus --held-out 0 --vocabulary jsb.json
"""

import argparse
import collections
import csv
import pathlib
import shutil

import symusic

FOLDERS = (
    "jsb/train",
    "more/openscore_quartets",
    "train/mutopia_ccby",
    "train/mutopia_ccbysa",
    "train/mutopia_pd",
    "train/open_hymnal",
    "train/openscore_lieder",
    "train/polish_satb",
)


def lines(path):
    """The highest and the lowest pitch at each onset, of each track and of all of them."""
    tracks = [[(n.start, n.pitch) for n in t.notes] for t in symusic.Score(path).tracks if not t.is_drum]
    for notes in [*tracks, [note for track in tracks for note in track]]:
        onsets = collections.defaultdict(list)
        for start, pitch in notes:
            onsets[start].append(pitch)
        for choose in (max, min):
            yield [choose(onsets[start]) for start in sorted(onsets)]


def runs(path, length):
    """All runs of `length` successive intervals, in semitones, of all lines of a piece."""
    for line in lines(path):
        steps = [b - a for a, b in zip(line, line[1:]) if a != b]
        for i in range(len(steps) - length + 1):
            yield tuple(steps[i : i + length])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", required=True, type=pathlib.Path)
    parser.add_argument("--output", required=True, type=pathlib.Path)
    parser.add_argument("--intervals", type=int, default=14)
    arguments = parser.parse_args()
    data = arguments.data

    chorales = [f for split in ("test", "valid") for f in sorted((data / "jsb" / split).glob("*.mid"))]
    kept_apart = {run for f in chorales for run in runs(f, arguments.intervals)}
    # Runs of two or three different intervals are scales and trills.
    kept_apart = {run for run in kept_apart if len(set(run)) > 3}
    with open(data / "train" / "INDEX.tsv") as index:
        rows = list(csv.DictReader(index, delimiter="\t"))
    bach = {"train/" + row["file"] for row in rows if "bach" in (row["source"] + row["title"]).lower()}

    for folder in FOLDERS:
        counts = collections.Counter()
        target = arguments.output / folder.replace("/", "_")
        target.mkdir(parents=True)
        for file in sorted((data / folder).rglob("*.mid")):
            if file.relative_to(data).as_posix() in bach:
                counts["by Bach"] += 1
            elif folder != "jsb/train" and not kept_apart.isdisjoint(runs(file, arguments.intervals)):
                counts["alike"] += 1
            else:
                counts["taken"] += 1
                shutil.copyfile(file, target / file.name)
        print(folder, dict(counts))


if __name__ == "__main__":
    main()
