"""Mathematical labels as runs of characters in one style: h⁽ᵗ⁻¹⁾ is a bold italic h and a superscript."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import Literal, NamedTuple

from ..graph.notation import ACCENTS, GREEK, Name
from .reduce import Ways

Shift = Literal["base", "sup", "sub"]

SMALL = 0.66  # the size of a superscript, relative to its base
RISE = 0.42  # how far a superscript is raised, relative to the size of the base
FALL = 0.22


class Run(NamedTuple):
    """Characters in one style: ``style`` is a set of the letters b (bold) and i (italic)."""

    text: str
    style: str = ""
    shift: Shift = "base"


Label = tuple[Run, ...]


def value(name: str, time: str | None, scalar: bool) -> Label:
    """The label of a value at a time: letter, accent, subscript, and the time in parentheses as a superscript."""
    runs = _name(name, scalar)
    return runs if time is None else (*runs, *_superscript(f"({time})"))


def gradient(name: str, time: str | None, scalar: bool) -> Label:
    """The label of a gradient: ∇ and the value."""
    return (Run("∇"), *value(name, time, scalar))


def letters(ways: Ways) -> Label:
    """The label of an arrow: the letters of each path, separated by commas."""
    runs: list[Run] = []
    for k, way in enumerate(ways):
        if k:
            runs.append(Run(", "))
        for n, letter in enumerate(way):
            if n and any(len(_name(w, False)[0].text) > 1 for w in way[n - 1 : n + 1]):
                runs.append(Run(" "))
            runs += _name(letter, False)
    return tuple(runs)


def words(text: str, style: str = "") -> Label:
    """A label of plain text."""
    return (Run(text, style),)


def plain(label: Label) -> str:
    """The label as plain text: h(t-1)."""
    return "".join("_" * (run.shift == "sub") + run.text for run in label).replace("−", "-")


@lru_cache(maxsize=4096)
def width(label: Label, size: float) -> float:
    """The largest width of the label in common serif fonts."""
    base, sup, sub = (
        size * sum(_advance(c) for run in label if run.shift == shift for c in run.text)
        for shift in ("base", "sup", "sub")
    )
    return base + SMALL * (max(sup, sub) if stacked(label) else sup + sub)


def stacked(label: Label) -> bool:
    """Whether the superscript is above the subscript, not after it: true if the subscript is one character."""
    return any(run.shift == "sub" and len(run.text) == 1 for run in label)


@lru_cache(maxsize=1024)
def _advance(character: str) -> float:
    if unicodedata.combining(character):
        return 0.0
    if character in "()[],.;: ijlt":
        return 0.38
    if character in "mwMW…⋯":
        return 1.05
    return 0.84 if character.isupper() else 0.63


@lru_cache(maxsize=1024)
def _name(name: str, scalar: bool) -> Label:
    n = Name.parse(name)
    letter = GREEK.get(n.letter, n.letter)
    style = ("" if scalar else "b") + ("i" if len(letter) == 1 else "")
    accent = ACCENTS[n.accent][0] if n.accent else ""
    letter = unicodedata.normalize("NFC", letter[0] + accent + n.marks + letter[1:])
    subscript = GREEK.get(n.subscript, n.subscript)
    return (Run(letter, style), *([Run(subscript, "", "sub")] if subscript else []))


@lru_cache(maxsize=1024)
def _superscript(text: str) -> Label:
    """A superscript: letters in italics, everything else upright."""
    return tuple(
        Run(part.replace("-", "−"), "i" if part.isalpha() else "", "sup")
        for part in re.findall(r"[^\W\d]+|[\W\d]+", text)
    )
