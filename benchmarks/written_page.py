"""A benchmark whose result is one Markdown page: measured, printed line by line, and written."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path

from unrolled.speed.timing import processors

HERE = Path(__file__).parent


def write_page(name: str, page: Callable[[int], Iterator[str]], about: str | None, turns: int) -> None:
    """Measure on one processor, print each line as soon as it is known, and write the page beside this file.

    Args:
        name: of the file.
        page: its lines, from the number of turns.
        about: what ``--help`` says.
        turns: of each contestant at a point, unless ``--turns`` gives another number.
    """
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=turns, help=f"turns of each contestant (default: {turns})")
    chosen, lines = parser.parse_args().turns, []
    with processors(1):
        for line in page(chosen):
            print(line, flush=True)
            lines.append(line)
    (HERE / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
