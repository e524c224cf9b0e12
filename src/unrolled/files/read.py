"""Files that are read, with one clear error each."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from ..errors import DataError, did_you_mean, reason


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
    with open_bytes(path, what) as file:
        return file.read()


@contextmanager
def open_bytes(path: Path, what: str) -> Iterator[BinaryIO]:
    """A file to read; arguments and errors as for ``open_file``, while it is read as well."""
    if path.is_dir():
        raise DataError(f"'{path}' is a folder; expected {what}{_a_file_of(path)}")
    try:
        with path.open("rb") as file:
            yield file
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
