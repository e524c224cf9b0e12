"""Wide tables, whose rows are series: recognised, and made long."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy

from ...errors import DataError
from .dates import parse_dates
from .sheet import Sheet

LEAST = 8  # numbered columns that are steps; of years or dates three are enough
LEAST_DATED = 3
NUMBERED = re.compile(r"(.*?)([0-9]+)")
TIME, VALUE = "time", "value"


def is_wide(sheet: Sheet) -> bool:
    """Whether each row of a table is a series: its first columns are texts, different in each row, and all others are
    numbers whose names count steps (V2, V3, ...), years or dates.

    >>> is_wide(read_sheet(Path("Hourly-train.csv")))
    True
    """
    last = sheet.names[-1]
    if _times([last]) is None and not NUMBERED.fullmatch(last):
        return False
    keys, steps = _divided(sheet)
    if not keys or sheet.names[: len(keys)] != keys or sheet.rows < 2:
        return False
    if len(steps) < (LEAST_DATED if _times(steps) is not None else LEAST):
        return False
    return (_times(steps) is not None or _counted(steps)) and not sheet.frame[keys].duplicated().any()


def made_long(sheet: Sheet) -> Sheet:
    """The same table with a row per step: the keys, the time if the columns name one, and the value. Empty cells at the
    end of a row are left out.

    Raises:
        DataError: no columns of numbers, or no text that names a series.
    """
    import pandas

    keys, steps = _divided(sheet)
    if not keys or not steps:
        raise DataError(
            f"'{sheet.path}': a wide table has a column of texts that name its series, and a column of numbers per "
            f"step; it has {', '.join(sheet.names[:6])}"
        )
    values = numpy.stack([sheet.numbers(name, "a step") for name in steps], 1)
    there = ~numpy.isnan(values)
    ends = numpy.where(there.any(1), values.shape[1] - there[:, ::-1].argmax(1), 0)
    row = numpy.repeat(numpy.arange(sheet.rows), ends)
    step = numpy.concatenate([numpy.arange(end) for end in ends]) if len(row) else row
    columns = {key: sheet.frame[key].iloc[row].reset_index(drop=True) for key in keys}
    if (times := _times(steps)) is not None:
        columns[_free(TIME, keys)] = pandas.Series(times[step])
    columns[_free(VALUE, keys)] = pandas.Series(values[row, step])
    frame = pandas.DataFrame(columns)
    frame.index = sheet.frame.index[row]
    note = f"each row is a series, '{steps[0]}' to '{steps[-1]}' are its steps (else: --set data.layout=long)"
    return replace(sheet, frame=frame, notes=(*sheet.notes, note), index=(), layout="wide", keys=tuple(keys))


def _divided(sheet: Sheet) -> tuple[list[str], list[str]]:
    """The columns of texts, and those of numbers."""
    kinds = {name: sheet.column(name).kind for name in sheet.names}
    keys = [name for name in sheet.names if kinds[name] == "texts"]
    return keys, [name for name in sheet.names if kinds[name] in ("numbers", "nothing")]


def _counted(names: Sequence[str]) -> bool:
    """Whether names are one word and rising numbers."""
    found = [NUMBERED.fullmatch(name) for name in names]
    if any(match is None for match in found):
        return False
    words, numbers = ({match[1] for match in found if match}, [int(match[2]) for match in found if match])
    return len(words) == 1 and all(b == a + 1 for a, b in pairwise(numbers))


def _times(names: Sequence[str]) -> numpy.ndarray | None:
    """Names as years or dates, if they rise."""
    if all(re.fullmatch("1[5-9][0-9]{2}|20[0-9]{2}", name) for name in names):
        times = numpy.array([float(name) for name in names])
    else:
        found = parse_dates(names)
        if not found.kind or found.ask:
            return None
        times = found.values
    return times if all(a < b for a, b in pairwise(times)) else None


def _free(name: str, taken: Sequence[str]) -> str:
    return name if name not in taken else f"{name} of the step"
