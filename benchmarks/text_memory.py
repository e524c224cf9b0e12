"""The memory of a training on a large text, and the time until the first update.

make bench-text                          300 MB of text, less than 600 MB of memory
make bench-text ARGS="--megabytes 60"    another size
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy

MOST = 600e6  # bytes of the whole process
WORDS, LETTERS = 30_000, "etaoinshrdlucmfw"


def write(path: Path, size: int) -> None:
    """A text of words that are as frequent as those of a language: the n-th one 1/n as often as the first."""
    chance = numpy.random.default_rng(0)
    words = ["".join(chance.choice(list(LETTERS), chance.integers(1, 10))) for _ in range(WORDS)]
    shares = 1 / numpy.arange(1, WORDS + 1)
    with path.open("w") as file:
        while file.tell() < size:
            chosen = chance.choice(WORDS, 200_000, p=shares / shares.sum())
            file.write("\n".join(" ".join(words[i] for i in chosen[at : at + 12]) for at in range(0, len(chosen), 12)))


def main() -> int:
    """Train on a text, and print the figures. Returns 1 if the memory is above its aim."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=300)
    size = parser.parse_args().megabytes * 1_000_000
    with tempfile.TemporaryDirectory(dir=".") as folder:
        write(Path(folder, "large.txt"), size)
        command = [sys.executable, "-m", "unrolled", "train", "large.txt", "--updates", "200", "--json", "--out", "run"]
        begun, records = time.monotonic(), []
        with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout
            for line in process.stdout:
                records.append((time.monotonic() - begun, json.loads(line)))
    read, (ended, last) = records[0][0], records[-1]
    print(
        f"{size / 1e6:,.0f} MB of text: {last['memory'] / 1e6:,.0f} MB of memory (aim: less than {MOST / 1e6:,.0f} MB)"
    )
    print(f"{read:.0f} s until it is read, {ended:.0f} s in all, {last['bits_per_character']:.3f} bits per character")
    return int(last["memory"] >= MOST)


if __name__ == "__main__":
    sys.exit(main())
