"""The encoding of a text: found by its mark or its bytes, or named."""

from __future__ import annotations

from pathlib import Path

from ...errors import DataError, UsageError
from ...files.encoding import found_encoding

WINDOWS = range(0x80, 0xA0)  # bytes that are letters in cp1252 and control characters in latin-1


def decoded(path: Path, content: bytes, encoding: str = "") -> tuple[str, str]:
    """A text, and its encoding: the one named, that of its mark, UTF-16 without a mark, or UTF-8.

    >>> decoded(Path("a.csv"), b"\\xff\\xfea\\x00")
    ('a', 'utf-16')

    Raises:
        DataError: the bytes are not of that encoding, with the line and the encodings that they may have.
        UsageError: there is no such encoding.
    """
    found = encoding or found_encoding(content)
    try:
        text = content.decode(found)
    except LookupError:
        raise UsageError(f"data.encoding: there is no encoding '{encoding}'; try cp1252, latin-1 or utf-16") from None
    except UnicodeDecodeError as problem:
        raise _not_decoded(path, content, problem.start, found) from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise DataError(f"{path}:{line}: this is no text: it has the character NUL")
    return text.removeprefix("\ufeff"), found


def _not_decoded(path: Path, content: bytes, at: int, encoding: str) -> DataError:
    line = content.count(b"\n", 0, at) + 1
    where = f"{path}:{line}: byte 0x{content[at]:02x} at offset {at} is not {encoding.upper()}"
    windows = any(byte in WINDOWS for byte in set(content))
    begin, end = content.rfind(b"\n", 0, at) + 1, content.find(b"\n", at)
    shown = content[begin : end if end >= 0 else len(content)].decode("cp1252", "replace").strip()[:60]
    name = "cp1252 (Windows)" if windows else "cp1252 (Windows) or latin-1"
    advice = f"If it is {name}, this line is {shown!r}; then add --set data.encoding=cp1252"
    return DataError(f"{where}. {advice}")
