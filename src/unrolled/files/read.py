"""Files that are read, with one clear error each."""

from __future__ import annotations

import os
from pathlib import Path

from ..errors import DataError, did_you_mean, reason
from .encoding import content_of, found_encoding


def open_file(path: Path, what: str) -> int:
    """The descriptor of a file that is opened for reading.

    Args:
        path: of the file.
        what: what it should be, for the message: 'a text file (UTF-8)'.

    Raises:
        DataError: there is no such file (with a similar name of its folder), it is a folder, or it cannot be read.
    """
    if path.is_dir():
        raise DataError(f"'{path}' is a folder; expected {what}. Name a file in it")
    try:
        return os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    except FileNotFoundError:
        raise no_such_file(path, what) from None
    except (OSError, ValueError) as problem:
        raise DataError(f"'{path}' cannot be read: {reason(problem)}. Expected {what}") from None


def read_bytes(path: Path, what: str) -> bytes:
    """The content of a file; arguments and errors as for ``open_file``."""
    if path.is_dir():
        raise DataError(f"'{path}' is a folder; expected {what}{_a_file_of(path)}")
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise no_such_file(path, what) from None
    except (OSError, ValueError) as problem:
        raise DataError(f"'{path}' cannot be read: {reason(problem)}. Expected {what}") from None


def no_such_file(path: Path, what: str) -> DataError:
    """The error for a path that does not exist, with the most similar name in its folder."""
    if not path.parent.is_dir():
        return DataError(f"there is no folder '{path.parent}', so no '{path}'; expected {what}")
    names = sorted(entry.name for entry in path.parent.iterdir())
    return DataError(f"there is no file '{path}'; expected {what}{did_you_mean(path.name, names)}")


def _a_file_of(folder: Path) -> str:
    texts = sorted(entry for entry in folder.iterdir() if entry.suffix == ".txt")
    return f". Name a file in it, such as '{texts[0]}'" if texts else ". Name a file"


def read_text(path: Path) -> str:
    """The text of a UTF-8 file, without a byte order mark.

    Raises:
        DataError: there is no such file, it is empty, not UTF-8 (with byte and line), or not a text.
    """
    content = read_bytes(path, "a text file (UTF-8)")
    encoding = found_encoding(content)
    try:
        text = content.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as problem:
        raise _not_utf_8(path, content, problem, encoding) from None
    if encoding.startswith(("utf-16", "utf-32")):
        raise DataError(f"'{path}' is {encoding.upper()}. Convert it: iconv -f {encoding} -t utf-8 '{path.name}'")
    if "\0" in text and (what := content_of(content)):
        raise DataError(f"'{path}' is not a text but {what}")
    if not text:
        raise DataError(f"'{path}' is empty; expected a text")
    return text


def _not_utf_8(path: Path, content: bytes, problem: UnicodeDecodeError, encoding: str) -> DataError:
    if what := content_of(content):
        return DataError(f"'{path}' is not a text but {what}")
    at, known = problem.start, "latin1" if encoding == "utf-8" else encoding
    line = content.count(b"\n", 0, at) + 1
    return DataError(
        f"{path}:{line}: the text is not UTF-8: byte 0x{content[at]:02x} at offset {at} ({problem.reason}). "
        f"Convert the file, for example with: iconv -f {known} -t utf-8 '{path.name}'"
    )
