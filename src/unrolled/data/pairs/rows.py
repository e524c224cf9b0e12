"""The rows of a file of pairs: a source, its target and on request features, separated by tabs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from ...errors import DataError
from ...files.text import read_text
from ..tables.numbers import is_number

SUFFIX = ".tsv"
SHOWN = 40  # characters of a row in a message
FORM = "a source, a tab and its target, and on request a tab and features"


class Row(NamedTuple):
    """One line of a file.

    line: its number, from 1.
    target: empty where it is not given.
    features: such as 'V;PST' in data about inflection; empty if there are none.
    """

    line: int
    source: str
    target: str
    features: str

    @property
    def key(self) -> tuple[str, str]:
        """What answers belong to: the source with its features."""
        return self.source, self.features


def read_rows(path: Path) -> list[Row]:
    """The rows of a file. Line ends may be those of any system, also mixed; empty lines do not count, nor do spaces
    around a cell.

    >>> read_rows(Path("pairs.tsv"))[0]
    Row(line=1, source='walk', target='walked', features='V;PST')

    Raises:
        DataError: the file cannot be read, has one column, rows of different width or an empty source or target.
    """
    lines, rows, width = list(_lines(path)), list[Row](), 0
    for number, cells in lines:
        if len(cells) not in (2, 3):
            found = f"one column: {_shown(cells)}" if len(cells) == 1 else f"{len(cells)} columns: {_shown(cells)}"
            raise DataError(f"{path}:{number}: expected {FORM}; found {found}")
        width = width or len(cells)
        if len(cells) != width:
            raise DataError(
                f"{path}:{number}: expected {width} columns as in line {lines[0][0]}, found {len(cells)}: "
                f"{_shown(cells)}"
            )
        for name, cell in zip(("source", "target"), cells, strict=False):
            if not cell:
                raise DataError(f"{path}:{number}: the {name} is empty. Complete the row, or remove it")
        rows.append(Row(number, cells[0], cells[1], cells[2] if width == 3 else ""))
    if not rows:
        raise DataError(f"'{path}' has only empty lines; expected {FORM} in each")
    return rows


def read_sources(path: Path, features: bool) -> list[Row]:
    """The rows of a file to predict from: sources alone, or with targets, which may be empty and are not read.

    Args:
        path: of the file.
        features: whether the model reads features. They are then the last column.

    Raises:
        DataError: the file cannot be read, a source is empty, or there are too many columns or no features.
    """
    rows = []
    for number, cells in _lines(path):
        least = 2 if features else 1
        if not least <= len(cells) <= 3:
            columns = "a source and its features" if features else "a source"
            raise DataError(f"{path}:{number}: expected {columns}, separated by tabs; found {_shown(cells)}")
        if not cells[0]:
            raise DataError(f"{path}:{number}: the source is empty. Complete the row, or remove it")
        target = cells[1] if len(cells) > least else ""
        rows.append(Row(number, cells[0], target, cells[-1] if features else ""))
    return rows


def are_pairs(path: Path) -> bool:
    """Whether a file is pairs and no table: a .tsv whose rows all have two columns, or all three, and in which no
    column is one of numbers. A table without numbers has nothing to read or forecast."""
    if path.suffix.lower() != SUFFIX or not path.is_file():
        return False
    try:
        rows = [cells for _, cells in _lines(path)]
    except DataError:
        return False
    widths = {len(cells) for cells in rows}
    if widths not in ({2}, {3}):
        return False
    return not any(all(map(is_number, column)) for column in zip(*(rows[1:] or rows), strict=True))


def _lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    """The number of each line that is not empty, and its cells."""
    text = read_text(path)
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            yield number, [cell.strip(" ") for cell in line.split("\t")]


def _shown(cells: Sequence[str]) -> str:
    text = "\t".join(cells)
    return repr(text if len(text) <= SHOWN else text[:SHOWN] + "...")
