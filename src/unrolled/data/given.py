"""Parts of data that people bring along: files for validation and testing, and folders with the names of the parts."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Sequence
from fnmatch import fnmatch
from pathlib import Path, PurePath

from ..errors import DataError
from ..files.read import no_such_file, read_bytes
from .example import divided
from .reading import Reading

FOLDERS = {
    **dict.fromkeys(("train", "training"), 0),
    **dict.fromkeys(("valid", "validation", "val", "dev"), 1),
    **dict.fromkeys(("test", "testing"), 2),
}


def shares(reading: Reading, validation: float, test: float) -> tuple[float, float]:
    """The shares of data for validation and for testing: none where a file is given.

    >>> shares(Reading(test="other.csv"), 0.15, 0.15)
    (0.15, 0.0)
    """
    return 0.0 if reading.validation else validation, 0.0 if reading.test else test


def fingerprint(sha256: str, reading: Reading) -> str:
    """One fingerprint of data and of the files that are given for validation and testing.

    Raises:
        DataError: such a file is missing.
    """
    files = [Path(path) for path in (reading.validation, reading.test) if path]
    if not files:
        return sha256
    digest = hashlib.sha256(sha256.encode())
    for path in files:
        if not path.exists():
            raise no_such_file(path, "the data for validation or testing that were named in the training")
        members = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
        for file in members:
            digest.update(hashlib.sha256(read_bytes(file, "data")).digest())
    return digest.hexdigest()


def parts_of_folders(path: Path, names: Iterable[str]) -> dict[str, int] | None:
    """The part of each name, by the folder that it is in: 0 for train/, 1 for valid/ (or validation/), 2 for test/.
    None if no such folders are there.

    >>> parts_of_folders(Path("data"), ["train/a.txt", "test/b.txt"])
    {'train/a.txt': 0, 'test/b.txt': 2}

    Raises:
        DataError: some names are in such folders, others are not.
    """
    tops = {name: PurePath(name).parts[0].lower() if len(PurePath(name).parts) > 1 else "" for name in names}
    found = {name: FOLDERS.get(top) for name, top in tops.items()}
    if not {0, 1, 2} & set(found.values()) or len(set(tops.values())) == 1:
        return None
    if 0 not in found.values():
        return None
    other = next((name for name, part in found.items() if part is None), None)
    if other:
        raise DataError(
            f"'{path}' has a folder for training, and '{other}' is in none of train/, valid/ and test/. Move it there, "
            "or name a folder without them"
        )
    return {name: part for name, part in found.items() if part is not None}


def completed(parts: Sequence[int], names: Sequence[str], held_out: tuple[float, float]) -> list[int]:
    """Parts with those that have no folder, drawn from the training data by their names.

    >>> completed([0, 0, 0, 2], ["a", "b", "c", "d"], (0.3, 0.3))
    [1, 0, 0, 2]

    Args:
        parts: the part of each name, by its folder.
        names: as many.
        held_out: the shares for validation and for testing.
    """
    training = list(dict.fromkeys(name for name, part in zip(names, parts, strict=True) if part == 0))
    drawn = dict(zip(training, divided(training, missing_shares(parts, held_out)), strict=True))
    return [drawn[name] if part == 0 else part for name, part in zip(names, parts, strict=True)]


def missing_shares(parts: Collection[int], held_out: tuple[float, float]) -> tuple[float, float, float]:
    """The shares of the training data for training, validation and testing: none for a part that is there.

    >>> missing_shares([0, 0, 2], (0.25, 0.25))
    (0.75, 0.25, 0.0)
    """
    validation, test = (0.0 if part in parts else share for part, share in zip((1, 2), held_out, strict=True))
    return 1 - (validation + test), validation, test


def described(path: Path, names: Iterable[str], reading: Reading) -> list[tuple[str, str]]:
    """Which parts of data are given as files or folders, as a line for people; none if none is."""
    folders = parts_of_folders(path, names) or {}
    told = []
    for number, part, file in ((1, "validation", reading.validation), (2, "test", reading.test)):
        top = next((PurePath(name).parts[0] for name, of in folders.items() if of == number), "")
        told += [f"{part} {file or top + '/'}"] if file or top else []
    return [("parts", "; ".join(told))] if told else []


def without_part(name: str) -> str:
    """A name without the folder of its part.

    >>> without_part("train/low/1.wav"), without_part("low/1.wav")
    ('low/1.wav', 'low/1.wav')
    """
    first, *rest = PurePath(name).parts
    return str(PurePath(*rest)) if rest and first.lower() in FOLDERS else name


def matches(name: str, pattern: str) -> bool:
    """Whether a name, or its path in the folder, has a pattern.

    >>> [matches("test/low/1.wav", pattern) for pattern in ("test/*", "1.*", "low/*")]
    [True, True, False]
    """
    return fnmatch(PurePath(name).as_posix(), pattern) or fnmatch(PurePath(name).name, pattern)
