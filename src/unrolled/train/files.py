"""Files: read with one clear error, written so that a crash leaves the old content or the new, never a part."""

from __future__ import annotations

import os
from pathlib import Path

from ..errors import DataError, did_you_mean


def read_bytes(path: Path, what: str) -> bytes:
    """The content of a file. ``what`` says what it should be, for the message: 'a text to learn from'.

    Raises:
        DataError: no such file (with a similar name of the same folder), a folder, or one that cannot be read.
    """
    if path.is_dir():
        raise DataError(f"'{path}' is a folder; expected {what}{_a_file_of(path)}")
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise no_such_file(path, what) from None
    except (OSError, ValueError) as problem:
        raise DataError(f"'{path}' cannot be read: {reason(problem)}. Expected {what}") from None


def no_such_file(path: Path, what: str) -> DataError:
    """The message for a path where nothing is, with the most similar name of its folder."""
    if not path.parent.is_dir():
        return DataError(f"there is no folder '{path.parent}', so no '{path}'; expected {what}")
    names = sorted(entry.name for entry in path.parent.iterdir())
    return DataError(f"there is no file '{path}'; expected {what}{did_you_mean(path.name, names)}")


def _a_file_of(folder: Path) -> str:
    texts = sorted(entry for entry in folder.iterdir() if entry.suffix == ".txt")
    return f". Name a file in it, such as '{texts[0]}'" if texts else ". Name a file"


def write_bytes(path: Path, content: bytes) -> None:
    """Write the whole file under a temporary name, then rename it."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as problem:
        raise DataError(f"'{path}' cannot be written: {reason(problem)}") from None
    finally:
        part.unlink(missing_ok=True)


def write_text(path: Path, content: str) -> None:
    write_bytes(path, content.encode("utf-8"))


def reason(problem: Exception) -> str:
    """What the system says, without its number and path."""
    return (getattr(problem, "strerror", None) or str(problem)).lower()
