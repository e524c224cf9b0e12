"""How the text of a table is cut into cells."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ...errors import DataError
from .form import Form
from .numbers import is_number

CANDIDATES = (",", ";", "\t", "|")
SAMPLE = 1 << 16  # characters that show the delimiter
RECORDS = 200
NAMES = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars", " ": "blanks", "": ""}


@dataclass(frozen=True)
class Dialect:
    """How the text of a table is cut into cells.

    >>> found_dialect(Path("a.csv"), "# kW\\na;b\\n0,5;1\\n", Form())
    Dialect(delimiter=';', comments=1, padded=False)

    delimiter: between cells; '' for a single column.
    comments: the number of lines before the header, which are left out.
    padded: whether each delimiter has a blank after it.
    """

    delimiter: str
    comments: int = 0
    padded: bool = False

    def records(self, text: str) -> Iterator[tuple[int, list[str]]]:
        """The cells of each record that is not empty, with its last line. Quoted cells may have line ends."""
        if self.delimiter == " ":
            yield from ((n, line.split()) for n, line in enumerate(text.splitlines(), 1) if line.strip())
            return
        delimiter = self.delimiter or "\x1f"
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=self.padded)
        single = [] if self.delimiter else [""]  # in a single column, an empty line is a missing value
        yield from ((reader.line_num, cells or single) for cells in reader if cells or single)


def found_dialect(path: Path, text: str, form: Form) -> Dialect:
    """How a text is cut into cells: by the delimiter that all lines have equally often.

    Raises:
        DataError: several delimiters fit.
    """
    comments, separator = _before_header(text)
    if form.header:
        comments = form.header - 1
    begin = _after_lines(text, comments)
    sample = text[begin : begin + SAMPLE]
    if len(sample) == SAMPLE:
        sample = sample[: sample.rfind("\n") + 1] or sample
    delimiter = form.separator or separator or _delimiter(path, sample, form)
    first = next(iter(_counted(Dialect(delimiter), sample)), [])
    padded = len(first) > 1 and delimiter not in " \t" and all(cell.startswith(" ") for cell in first[1:])
    return Dialect(delimiter, comments, padded)


def _before_header(text: str) -> tuple[int, str]:
    """The number of comment lines (# ...) and empty lines before the header, and the delimiter that a line ``sep=;``
    (written for Excel) names."""
    count, separator = 0, ""
    for line in io.StringIO(text[:SAMPLE]):
        bare = line.strip()
        if bare.startswith("sep=") and len(bare) == 5 and not separator:
            separator = bare[4]
        elif bare and not bare.startswith("#"):
            break
        count += 1
    return count, separator


def _after_lines(text: str, count: int) -> int:
    """The position after some lines."""
    at = 0
    for _ in range(count):
        at = text.find("\n", at) + 1 or len(text)
    return at


def _counted(dialect: Dialect, sample: str) -> list[list[str]]:
    """The first records of a text; none if it cannot be cut in this way."""
    try:
        return [cells for _, (_, cells) in zip(range(RECORDS), dialect.records(sample), strict=False)]
    except csv.Error:
        return []


def _delimiter(path: Path, sample: str, form: Form) -> str:
    found = {d: _counted(Dialect(d), sample) for d in CANDIDATES}
    share = {d: _share(records) for d, records in found.items()}
    whole = [d for d in CANDIDATES if share[d] == 1]
    if len(whole) > 1:
        most = {d: sum(is_number(cell) for cells in found[d] for cell in cells) for d in whole}
        whole = [d for d in whole if most[d] == max(most.values())]
    if len(whole) > 1:
        first = next(iter(sample.splitlines()), "")
        raise DataError(
            f"'{path}' may have {' or '.join(NAMES[d] for d in whole)} between its cells: {first[:60]!r}. Say which: "
            + " or ".join(f"--set 'data.delimiter={'tab' if d == chr(9) else d}'" for d in whole)
        )
    if whole:
        return whole[0]
    if _share(_counted(Dialect(" "), sample)) == 1:
        return " "
    best = max(CANDIDATES, key=lambda d: share[d])
    return best if share[best] >= 0.5 else ""


def _share(records: Iterable[list[str]]) -> float:
    """The share of records that have the usual number of cells; 0 if that is one."""
    counts = Counter(len(cells) for cells in records)
    usual, number = counts.most_common(1)[0] if counts else (1, 0)
    return number / counts.total() if usual > 1 else 0.0
