"""What an export says when a file has been written."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Report:
    """What was written.

    files: the files, the named one first.
    lines: what is in them, each with a word before it.
    figures: the same as numbers, by name.
    """

    files: tuple[Path, ...]
    lines: tuple[tuple[str, str], ...] = ()
    figures: dict[str, float] = field(default_factory=dict)
