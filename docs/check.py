"""Checks the documents: links, anchors, and the paths and test names that they mention.

    python3 docs/check.py

prints a line for each fault and exits with 1 if there is one. Paths in CHANGELOG.md and docs/lab
are not checked, because those pages keep the names of their day.
"""

import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"`([^`\n]+)`")
TARGET = re.compile(r"--(test|bench|example) ([a-z][\w-]*)")
# Made by commands, and so in no commit.
MADE = ("target/", "models/mine", "third_party/if-missing")


def without_code(text):
    """The text with every fenced block emptied; lines keep their numbers."""
    return re.sub(r"(?ms)^```.*?^```", lambda block: "\n" * block[0].count("\n"), text)


def anchors(text):
    """The anchors of a page's headings, as forges make them."""
    found = {}
    for heading in re.findall(r"(?m)^#+ +(.+?) *$", without_code(text)):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
        number = found.get(slug, 0)
        found[slug] = number + 1
        yield slug if number == 0 else f"{slug}-{number}"


def check_links(page, text):
    for link in LINK.findall(without_code(text)):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists():
            yield f"the link {link} leads nowhere"
        elif anchor and anchor not in anchors(target.read_text()):
            yield f"{path or page.name} has no heading #{anchor}"


def check_paths(text, files):
    folders = {file.split("/")[0] for file in files if "/" in file}
    for code in CODE.findall(text):
        first, slash, _ = code.partition("/")
        if not slash or first not in folders or not re.fullmatch(r"[\w./-]+", code):
            continue
        path = code.rstrip("/")
        stands = (path in files or f"{path}.rs" in files
                  or any(file.startswith(f"{path}/") for file in files))
        if not stands and not path.startswith(MADE):
            yield f"there is no {code}"
    for kind, name in TARGET.findall(text):
        folder = {"test": "tests", "bench": "benches", "example": "examples"}[kind]
        ends = (f"{folder}/{name}.rs", f"{folder}/{name}/main.rs")
        if not any(file.endswith(ends) for file in files):
            yield f"there is no --{kind} {name}"


def main():
    listed = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard"],
                            cwd=ROOT, capture_output=True, text=True, check=True).stdout
    files = {file for file in listed.splitlines() if (ROOT / file).exists()}
    faults = 0
    for name in sorted(file for file in files if file.endswith(".md")):
        text = (ROOT / name).read_text()
        complaints = list(check_links(ROOT / name, text))
        if name != "CHANGELOG.md" and not name.startswith("docs/lab/2"):
            complaints += check_paths(text, files)
        for complaint in complaints:
            print(f"{name}: {complaint}")
        faults += len(complaints)
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
