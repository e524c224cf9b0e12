"""Texts in pieces, so that memory does not grow with them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Protocol

from ..files.progress import progress


class Texts(Protocol):
    """A file of one or more texts. One that is longer than a piece is the only one of its file.

    place: bytes of the file that were read.
    found: the line ends that were read as LF, by name.
    """

    @property
    def place(self) -> int: ...

    @property
    def found(self) -> frozenset[str]: ...

    @property
    def size(self) -> int:
        """Bytes of the file."""

    def texts(self) -> Iterator[Iterable[str]]:
        """Each text in pieces. It is read before the next one."""


def watched(files: Mapping[str, Texts], doing: str) -> Iterator[tuple[str, Iterator[str]]]:
    """The name of the file and the pieces of each text, while the progress is shown.

    Args:
        files: by their names.
        doing: what is done with them.
    """
    total, done = max(1, sum(file.size for file in files.values())), 0
    for name, file in files.items():
        for pieces in file.texts():
            yield name, _watched(pieces, file, done, total, doing)
        done += file.size


def _watched(pieces: Iterable[str], file: Texts, done: int, total: int, doing: str) -> Iterator[str]:
    for piece in pieces:
        progress((done + file.place) / total, doing)
        yield piece


def lines(pieces: Iterable[str]) -> Iterator[str]:
    """The lines of a text, without their ends.

    >>> list(lines(["a\\nb", "c\\n"]))
    ['a', 'bc', '']
    """
    held: list[str] = []  # the beginning of a line
    for piece in pieces:
        first, *others = piece.split("\n")
        held.append(first)
        if others:
            yield "".join(held)
            yield from others[:-1]
            held = others[-1:]
    yield "".join(held)


def with_ends(pieces: Iterable[str]) -> Iterator[str]:
    """The lines of a text with their ends.

    >>> list(with_ends(["a\\nb", "c"]))
    ['a\\n', 'bc']
    """
    held = ""
    for line in lines(pieces):
        if held:
            yield held
        held = f"{line}\n"
    if len(held) > 1:
        yield held[:-1]


def at_words(pieces: Iterable[str]) -> Iterator[str]:
    """The same text in pieces that end where a blank or a line end follows something else. So each piece has the same
    words and subwords by itself as in the whole text.

    >>> list(at_words(["one tw", "o three"]))
    ['one', ' two', ' three']
    """
    held = ""
    for piece in pieces:
        held += piece
        end = _last_blank(held, len(held))
        while end > 0 and held[end - 1].isspace():
            end = _last_blank(held, end)
        if end > 0:
            yield held[:end]
            held = held[end:]
    if held:
        yield held


def _last_blank(text: str, end: int) -> int:
    return max(text.rfind(" ", 0, end), text.rfind("\n", 0, end))


def first_characters(pieces: Iterable[str], count: int) -> Iterator[str]:
    """The first ``count`` characters of a text.

    >>> list(first_characters(["abc", "def"], 4))
    ['abc', 'd']
    """
    for piece in pieces:
        if count <= 0:
            return
        yield piece[:count]
        count -= len(piece)


def joined(texts: Iterable[str], count: int = 1 << 16) -> Iterator[str]:
    """Many short texts in fewer pieces, of ``count`` texts each.

    >>> list(joined("abcde", 2))
    ['ab', 'cd', 'e']
    """
    remaining = iter(texts)
    while piece := "".join(islice(remaining, count)):
        yield piece
