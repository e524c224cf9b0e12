"""Commands that are refused: each says why in one message, and leaves nothing behind."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from unrolled.cli import main

Case = tuple[str, tuple[str, ...], Callable[[Path], object]]  # a name, the arguments, and what makes the files


def messages(
    cases: Iterable[Case], folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> str:
    """The messages of all commands, each run in a folder of its own."""
    told = []
    for number, (name, arguments, make) in enumerate(cases):
        here = folder / str(number)
        here.mkdir()
        monkeypatch.chdir(here)
        make(here)
        capsys.readouterr()
        before = sorted(here.rglob("*"))
        code = main(arguments)
        found = capsys.readouterr()
        assert code == 2 and found.out == "" and "Traceback" not in found.err, (name, found)
        assert sorted(here.rglob("*")) == before, (name, "something is left behind")
        told.append(f"{name}\n$ unrolled {' '.join(arguments)}\n{found.err}")
    return "\n".join(told)
