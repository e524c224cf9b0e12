"""What is in texts: their symbols, their length and their fingerprint, found in one pass."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

import numpy

from .characters import code_points
from .texts import Texts, lines, watched


@dataclass(frozen=True)
class Scan:
    """What is in texts.

    sha256: the fingerprint of all texts; if they are documents, of the names of their files as well.
    characters: all different ones, sorted.
    length: of all documents, in characters.
    count: of documents.
    """

    sha256: str
    characters: str
    length: int
    count: int


def scanned(files: Mapping[str, Texts], named: bool, by_line: bool) -> Scan:
    """Read texts.

    Args:
        files: by their names.
        named: whether names belong to the fingerprint.
        by_line: whether each line that is not empty is a document, with the line breaks around it.
    """
    digest = hashlib.sha256()
    seen = numpy.zeros(0x110000, dtype=bool)
    length = count = 0

    def read(pieces: Iterable[str]) -> Iterator[str]:
        for piece in pieces:
            digest.update(_bytes(piece))
            seen[code_points(piece)] = True
            yield piece

    for name, pieces in watched(files, "reading"):
        whole: Iterable[str] = pieces
        if named:
            size, whole = _size(pieces, files[name])
            digest.update(f"{len(name)} {name} {size} ".encode("utf-8", "surrogatepass"))
        texts = (len(line) + 2 for line in lines(read(whole)) if line) if by_line else [sum(map(len, read(whole)))]
        for characters in texts:
            length, count = length + characters, count + 1
    if by_line:
        seen[ord("\n")] = True
    return Scan(digest.hexdigest(), "".join(map(chr, numpy.flatnonzero(seen).tolist())), length, count)


def _size(pieces: Iterable[str], file: Texts) -> tuple[int, Iterable[str]]:
    """The bytes of a text, and its pieces. A long one is read twice."""
    remaining = iter(pieces)
    begin = list(islice(remaining, 2))
    size = sum(len(_bytes(piece)) for piece in begin)
    if len(begin) < 2:
        return size, begin
    return size + sum(len(_bytes(piece)) for piece in remaining), next(file.texts())


def _bytes(piece: str) -> bytes:
    return piece.encode("utf-8", "surrogatepass")
