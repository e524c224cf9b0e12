"""The Unicode encoding of a file, by its mark or its bytes."""

from __future__ import annotations

import codecs

MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
CONTENTS = {
    b"\x1f\x8b": "a file packed by gzip",
    b"PK\x03\x04": "a zip archive (as Excel, Word and .npz files are)",
    b"PAR1": "a Parquet file",
    b"\xd0\xcf\x11\xe0": "an old Excel or Word file",
    b"%PDF": "a PDF file",
    b"MThd": "a MIDI file",
    b"RIFF": "a recording",
    b"fLaC": "a recording",
    b"OggS": "a recording",
    b"\x93NUMPY": "an array of numpy",
    b"\x89HDF": "an HDF5 file",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
    b"SQLite": "a database",
}
SAMPLE = 4000  # bytes that show whether every second one is zero


def content_of(content: bytes) -> str:
    """What a file is by its first bytes, if that is not a text; else ''.

    >>> content_of(b"MThd...")
    'a MIDI file'
    """
    return next((what for begin, what in CONTENTS.items() if content.startswith(begin)), "")


def found_encoding(content: bytes) -> str:
    """The encoding that a mark at the beginning names; UTF-16 if every second byte is zero; else UTF-8.

    >>> found_encoding(b"a\\x00b\\x00")
    'utf-16-le'
    """
    for mark, name in MARKS:
        if content.startswith(mark):
            return name
    sample = content[:SAMPLE]
    if len(sample) > 1:
        even, odd = sample[::2].count(0) / len(sample[::2]), sample[1::2].count(0) / len(sample[1::2])
        if max(even, odd) > 0.6 and min(even, odd) < 0.1:
            return "utf-16-le" if odd > even else "utf-16-be"
    return "utf-8"
