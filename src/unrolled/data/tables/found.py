"""What the reader of a format finds in a file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import DataError

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True)
class Found:
    """What the reader of a format finds in a file: see ``Sheet``."""

    frame: pandas.DataFrame
    row_names: Callable[[int], str]
    delimiter: str = ""
    notes: tuple[str, ...] = ()
    left_out: dict[str, str] = field(default_factory=dict)
    index: tuple[str, ...] = ()


def column_names(path: Path, cells: Sequence[str]) -> list[str]:
    """The names of columns, without blanks around them. A column without a name is called by its position.

    >>> column_names(Path("a.csv"), ["", " load "])
    ['column 1', 'load']

    Raises:
        DataError: two are the same.
    """
    names = [name.strip() or f"column {i}" for i, name in enumerate(cells, 1)]
    if again := [name for name, count in Counter(names).items() if count > 1]:
        more = f" and {len(again) - 6} more" if len(again) > 6 else ""
        raise DataError(f"'{path}' has duplicate column names: {', '.join(again[:6])}{more}")
    return names
