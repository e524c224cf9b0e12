"""Random strings to copy, to reverse or to sort, as pairs; and longer ones for a test.

    python examples/strings.py reverse --out reverse.tsv
    python examples/strings.py reverse --lengths 31 60 --pairs 1000 --seed 1 --out longer.tsv

``unrolled train reverse.tsv`` then learns the task, and ``unrolled evaluate`` tests it on the longer strings.
"""

from __future__ import annotations

import argparse
import random
import string
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

TASKS: dict[str, Callable[[str], str]] = {
    "copy": lambda source: source,
    "reverse": lambda source: source[::-1],
    "sort": lambda source: "".join(sorted(source)),
}


def pairs(task: str, count: int, lengths: tuple[int, int], letters: int, seed: int) -> Iterator[tuple[str, str]]:
    """Random strings, and what the task makes of them.

    >>> [source[::-1] == target for source, target in pairs("reverse", 2, (5, 30), 10, seed=0)]
    [True, True]

    Args:
        task: 'copy', 'reverse' or 'sort'.
        count: the number of pairs.
        lengths: the least and the largest length, all equally probable.
        letters: the number of different letters.
        seed: of the random numbers.
    """
    draw = random.Random(seed)
    for _ in range(count):
        source = "".join(draw.choices(string.ascii_lowercase[:letters], k=draw.randint(*lengths)))
        yield source, TASKS[task](source)


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("task", choices=TASKS)
    arguments.add_argument("--out", type=Path, required=True, help="file to write")
    arguments.add_argument("--pairs", type=int, default=20_000, help="number of pairs (default: 20000)")
    arguments.add_argument("--lengths", type=int, nargs=2, default=(5, 30), metavar=("LEAST", "MOST"))
    arguments.add_argument("--letters", type=int, default=10, help="number of different letters (default: 10)")
    arguments.add_argument("--seed", type=int, default=0)
    options = arguments.parse_args()
    least, most = options.lengths
    if not 1 <= least <= most or options.pairs < 1 or not 1 <= options.letters <= len(string.ascii_lowercase):
        arguments.error("--lengths must be two numbers from 1, the smaller first; --pairs from 1; --letters 1 to 26")
    rows = pairs(options.task, options.pairs, (least, most), options.letters, options.seed)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text("".join(f"{source}\t{target}\n" for source, target in rows), encoding="utf-8")
    print(f"{options.out}: {options.pairs:,} strings of {least} to {most} letters")
    return 0


if __name__ == "__main__":
    sys.exit(main())
