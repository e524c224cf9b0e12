"""The files of a folder that people put there."""

from __future__ import annotations

from pathlib import Path

SYSTEM = (".", "__MACOSX")  # how names of files and folders begin that a system adds


def visible(folder: Path) -> list[Path]:
    """The files of a folder and its subfolders, without hidden ones and those that a system adds (__MACOSX/)."""
    files = (file for file in folder.rglob("*") if file.is_file())
    return [file for file in files if not any(part.startswith(SYSTEM) for part in file.relative_to(folder).parts)]
