"""Labels and keys: texts as they stand in the file. 007 is not 7; 0.0 is 0."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy

if TYPE_CHECKING:
    import pandas

WHOLE = re.compile(r"(-?(?:0|[1-9][0-9]*))(?:\.0+)?")


def as_texts(column: pandas.Series[Any]) -> numpy.ndarray[Any, Any]:
    """A column as texts (rows,), '' where a value is missing. Values of other types are written as people do: 7.0 is
    7, a date without a time has none."""
    import pandas

    if isinstance(column.dtype, pandas.StringDtype):
        texts = column.to_numpy(dtype=object)
        return numpy.where(column.isna().to_numpy(), "", texts).astype(object)
    if isinstance(column.dtype, pandas.CategoricalDtype):
        return column.cat.categories.to_numpy(dtype=object)[column.cat.codes.to_numpy()]
    codes, values = pandas.factorize(column)
    texts = numpy.array([*(_text(value) for value in values), ""], dtype=object)
    return texts[codes]


def _text(value: Any) -> str:
    if isinstance(value, (float, numpy.floating)):
        number = float(value)
        return str(int(number)) if number.is_integer() and abs(number) < 1e15 else repr(number)
    return str(value).removesuffix(" 00:00:00")


def same_number(text: str) -> str:
    """A whole number without its decimals, so that 0.0 and 0 are the same label; any other text as it stands.

    >>> [same_number(text) for text in ("1.0", "1", "01.0", "1.5", "none")]
    ['1', '1', '01.0', '1.5', 'none']
    """
    found = WHOLE.fullmatch(text)
    return found[1] if found else text


def labels(texts: Iterable[str]) -> list[str]:
    """The different labels of some texts, sorted. If all are whole numbers, 1.0 is 1.

    >>> labels(["1.0", "0", "0.0"]), labels(["1.0", "1.5"])
    (['0', '1'], ['1.0', '1.5'])
    """
    different = set(texts)
    return sorted({same_number(text) for text in different} if all(map(WHOLE.fullmatch, different)) else different)


def number_of(known: Sequence[str]) -> dict[str, int]:
    """The number of each label, under its text and under that of the same number where no other label has it."""
    found = {label: i for i, label in enumerate(known)}
    return {same_number(label): i for label, i in found.items()} | found
