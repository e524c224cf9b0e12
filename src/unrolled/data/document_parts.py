"""The parts of documents: for training, validation and testing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from ..errors import DataError
from .example import divided, part_of
from .given import missing_shares, parts_of_folders

Names = Callable[[], Iterable[tuple[str, str]]]  # the file of each document, and the name that its part follows from


@dataclass(frozen=True)
class Division:
    """How documents are divided.

    name: of their file or folder.
    files: in it.
    shares: for training, validation and testing.
    held_out: the shares for validation and for testing.
    kind: what the documents are called.
    """

    name: str
    files: list[str]
    shares: tuple[float, float, float]
    held_out: tuple[float, float]
    kind: str

    def of(self, names: Names) -> bytes:
        """The part of each document, 0, 1 or 2, by its name alone, or by the folder of its file: see ``given``.

        Raises:
            DataError: there are too few for all parts.
        """
        brought = parts_of_folders(Path(self.name), self.files) if len(self.files) > 1 else None
        folders = brought or {}
        shares = missing_shares(folders.values(), self.held_out) if brought else self.shares
        drawn = bytearray()
        found = bytearray()
        for file, name in names():
            part = folders.get(file, 0)
            found.append(part or part_of(name, shares))
            if not part:
                drawn.append(found[-1])
        if all(part in drawn for part, share in enumerate(shares) if share > 0):
            return bytes(found)
        return self._few(names, folders, shares)

    def _few(self, names: Names, folders: dict[str, int], shares: tuple[float, float, float]) -> bytes:
        """The same for so few names that one of the parts would be empty."""
        different = list(dict.fromkeys(name for file, name in names() if not folders.get(file, 0)))
        if not folders and len(different) < sum(share > 0 for share in self.shares):
            raise DataError(
                f"'{self.name}' has {len(different)} {self.kind}{'s' * (len(different) != 1)}; training, validation "
                "and test data need 3 or more. Add more, or name a file with a single text, which is divided into "
                "contiguous parts"
            )
        drawn = dict(zip(different, divided(different, shares), strict=True))
        return bytes(folders.get(file, 0) or drawn[name] for file, name in names())
