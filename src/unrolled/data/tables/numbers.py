"""Numbers as people write them: with a decimal point or comma, and marks between thousands."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

MISSING = {"", "na", "n/a", "#n/a", "nan", "null", "none", "nil", "-", "--", "?", "."}
SPACES = "'\u2019 \u00a0\u202f"  # marks between thousands in both conventions


def _pattern(decimal: str, thousands: str) -> re.Pattern[str]:
    group = f"[{re.escape(thousands)}{SPACES}]"
    whole = rf"(?:[0-9]+|[1-9][0-9]{{0,2}}(?P<g>{group})[0-9]{{3}}(?:(?P=g)[0-9]{{3}})*)"
    mark = re.escape(decimal)
    finite = rf"(?:{whole}(?:{mark}[0-9]*)?|{mark}[0-9]+)(?:[eE][+-]?[0-9]+)?"
    return re.compile(rf"[+\-\u2212]?(?:{finite}|inf(?:inity)?)", re.IGNORECASE)


PLAIN = re.compile(r"(?:[+-]?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?\n)*+")  # lines of numbers as programs write them
PATTERN = {".": _pattern(".", ","), ",": _pattern(",", ".")}


def is_number(text: str) -> bool:
    """Whether a text is a number in either convention.

    >>> [is_number(text) for text in ("1.5", "1,5", "1,024.5", "1 000", "a1", "")]
    [True, True, True, True, False, False]
    """
    return any(pattern.fullmatch(text.strip()) for pattern in PATTERN.values())


def number(text: str, decimal: str) -> float:
    """The value of a text that matches the pattern of a convention.

    >>> number("1.024,5", ",")
    1024.5
    """
    bare = text.strip().replace("\u2212", "-")
    for mark in "." + SPACES if decimal == "," else "," + SPACES:
        bare = bare.replace(mark, "")
    return float(bare.replace(decimal, "."))


class Evidence(NamedTuple):
    """What the numbers of a column show about the convention: an example of a number that has only one reading, or
    that has two. ``plain``: whether all are written as programs write them."""

    point: str = ""
    comma: str = ""
    either: str = ""
    plain: bool = False

    @property
    def mixed(self) -> bool:
        return bool(self.point and self.comma)


def evidence(texts: Sequence[str]) -> Evidence | None:
    """What the texts of a column show about the convention; None if one is not a number.

    >>> evidence(["1,234", "0,5"])
    Evidence(point='', comma='0,5', either='1,234', plain=False)
    """
    lines = "\n".join(texts) + "\n"
    if lines.count("\n") == len(texts) and PLAIN.fullmatch(lines):
        fractions = (text for text in texts if "." in text) if "." in lines else iter(())
        either = ""
        for text in fractions:
            if not PATTERN[","].fullmatch(text):
                return Evidence(point=text, plain=True)
            either = text
        return Evidence(either=either, plain=True)
    found = {"point": "", "comma": "", "either": ""}
    for text in texts:
        bare = text.strip()
        point, comma = (PATTERN[mark].fullmatch(bare) is not None for mark in ".,")
        if not point and not comma:
            return None
        if "." in bare or "," in bare:
            found["either" if point and comma else "point" if point else "comma"] = text
    return Evidence(found["point"], found["comma"], found["either"])


def numbers(texts: Sequence[str], decimal: str, shown: Evidence | None) -> list[float] | None:
    """The values of texts in a convention; None if one has none.

    >>> numbers(["1.5", "2"], ".", evidence(["1.5", "2"]))
    [1.5, 2.0]
    """
    if shown is None:
        return None
    if shown.plain and decimal == ".":
        return list(map(float, texts))
    return None if any(True for _ in first_strange(texts, decimal)) else [number(text, decimal) for text in texts]


def missing_words(more: Sequence[str] | None) -> set[str]:
    """The words, in lower case, that mean a missing number."""
    return MISSING | {word.strip().lower() for word in more or ()}


def first_strange(texts: Sequence[str], decimal: str) -> Iterator[int]:
    """The positions of texts that are not numbers in a convention."""
    return (i for i, text in enumerate(texts) if not PATTERN[decimal].fullmatch(text.strip()))
