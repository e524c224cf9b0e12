"""Names for C: identifiers that differ from each other and from C's own words."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from ..options import KEYWORDS

# names that the printed loops and functions use
RESERVED = re.compile(
    r"[ijknv]|[vk]\d+|total\d*|.*_\d+(_k)?|state|steps|work|given_.*|number_of_.*|"
    r"real|whole|EACH|UNROLL|ROUNDED|ADDING|INLINE|INFINITE|LANES|(u_.*|power_of_two|reduced)"
)


class Names:
    """The names of a function or a file.

    >>> names = Names()
    >>> names.new("θ"), names.new("int"), names.new("W"), names.new("W")
    ('theta', 'int_', 'W', 'W_b')
    """

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self.taken = {*taken}

    def new(self, name: str) -> str:
        """A name like this one that is not yet taken."""
        found = identifier(name)
        letters, base = iter("bcdefghijklmnopqrstuvwxyz"), found
        while found in self.taken:
            found = f"{base}_{next(letters, 'z' * (len(self.taken) + 1))}"
        self.taken.add(found)
        return found


def identifier(name: str) -> str:
    """A C identifier like a name: other letters by their Unicode names."""
    text = "".join(c if c.isascii() and (c.isalnum() or c == "_") else _word(c) for c in name)
    text = text.strip("_") or "value"
    reserved = RESERVED.fullmatch(text)
    text = f"x{text}" if text[0].isdigit() or (reserved and reserved[2]) else text
    return f"{text}_" if text in KEYWORDS or reserved else text


def _word(c: str) -> str:
    """A letter as a word: theta for θ."""
    if c == " ":
        return "_"
    last = unicodedata.name(c, f"u{ord(c):04x}").split(" WITH ")[0].split()[-1]
    return last.lower() if last.isascii() and last.isalnum() else f"u{ord(c):04x}"
