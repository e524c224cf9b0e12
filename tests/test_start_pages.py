"""The commands of the pages for newcomers, one after the other, with fewer updates, on data like those of the pages."""

from __future__ import annotations

import math
import random
import re
import shlex
from pathlib import Path

import pytest

from unrolled.cli import main

DOCS = Path(__file__).parent.parent / "docs"
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)


def text(folder: Path) -> None:
    (folder / "my.txt").write_text("The quick brown fox jumps over the lazy dog.\n" * 60)


def tables(folder: Path) -> None:
    rng = random.Random(0)
    days = [f"{2021 + i // 336}-{i % 336 // 28 + 1:02}-{i % 28 + 1:02}" for i in range(336)]
    load = [f"{day},{rng.gauss(9, 2):.1f},{60 + 6 * (i % 7 < 5) + rng.random():.1f}" for i, day in enumerate(days)]
    (folder / "load.csv").write_text("\n".join(["day,temperature,load", *load]))
    visits = [f"p{p},{m},{70 + 30 * (p % 2)},{('well', 'fever')[p % 2]}" for p in range(24) for m in range(5 + p % 3)]
    (folder / "visits.csv").write_text("\n".join(["patient,minute,pulse,outcome", *visits]))


def recordings(folder: Path) -> None:
    soundfile = pytest.importorskip("soundfile")
    for pitch, label in ((9, "yes"), (4, "no")):
        (folder / "recordings" / label).mkdir(parents=True)
        for number, who in enumerate(["anna", "tom", "eva", "max", "ida", "leo"], 1):
            wave = [math.sin(i / (pitch + number / 9)) / 3 for i in range(2400)]
            soundfile.write(folder / "recordings" / label / f"{who}-{number % 2 + 1}.wav", wave, 8000)
    (folder / "recordings" / "yes" / "anna-2.wav").rename(folder / "recordings" / "yes" / "anna-1.wav")


def cell(folder: Path) -> None:
    code = next(code for name, code in BLOCK.findall((DOCS / "start_cell.md").read_text(encoding="utf-8")) if name)
    (folder / "my_cell.py").write_text(code.replace("print", "str"))
    text(folder)


@pytest.mark.slow
@pytest.mark.parametrize("make", [text, tables, recordings, cell])
def test_the_commands_of_the_page_run(make, tmp_path, monkeypatch, one_thread):
    page = {"tables": "table"}.get(make.__name__, make.__name__)
    make(tmp_path)
    monkeypatch.chdir(tmp_path)
    blocks = BLOCK.findall((DOCS / f"start_{page}.md").read_text(encoding="utf-8"))
    commands = [line for name, block in blocks if not name for line in block.splitlines() if "unrolled " in line[:9]]
    assert len(commands) >= 4
    for command in commands:
        words = shlex.split(re.sub(r"--minutes \d+", "--updates 2", command).replace("400", "9"))[1:]
        words += ["--updates", "2"] * (words[0] == "train" and "--updates" not in words and "--resume" not in words)
        assert main(words) == 0, command
