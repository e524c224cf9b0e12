"""The page about data: what was understood, columns, series, first rows; and which words mean data."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from html import unescape
from pathlib import Path

import pytest

from unrolled.cli import main

pytest.importorskip("pandas")


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    monkeypatch.chdir(tmp_path)

    def look(*arguments: str) -> str:
        assert main(["look", *arguments, "--out", "page.html"]) == 0
        return Path("page.html").read_text()

    return look


def rows(page: str, title: str) -> list[list[str]]:
    """The cells of the table under a title."""
    body = page.partition(f"<h2>{title}</h2>")[2].partition("</table>")[0]
    return [[unescape(c) for c in re.findall(r"<td>(.*?)</td>", row, re.S)] for row in body.split("<tr>")[2:]]


def test_a_table_is_shown(page: Callable[..., str]):
    days = [
        f"2021-01-{d:02},{shop},{'?' if (d, shop) == (3, 'B') else d * 2},x<{d}>" for d in range(1, 31) for shop in "AB"
    ]
    Path("d.csv").write_text("\n".join(["day,shop,sales,note", *days]) + "\n")
    shown = page("d.csv", "--set", "data.sequence=shop", "--set", "data.target=sales")
    assert rows(shown, "columns") == [
        ["day", "time", "dates", "2021-01-01, 2021-01-30", "0"],
        ["shop", "sequence", "texts", "A, B", "0"],
        ["sales", "target", "numbers", "2, 60", "1 ('?' 1)"],
        ["note", "left out: texts", "texts", "x<1>, x<2>, x<3>, x<4>, x<5>, x<6> and 24 more", "0"],
    ]
    assert rows(shown, "series") == [[shop, "30", "2021-01-01, 2021-01-30", "every day"] for shop in "AB"]
    assert rows(shown, "first rows")[1] == ["2021-01-01", "B", "2", "x<1>"] and len(rows(shown, "first rows")) == 10
    assert "<script" not in shown and "x<1>" not in shown, "cells are escaped"


def test_texts_and_documents_are_shown(page: Callable[..., str]):
    Path("t.txt").write_text("one & two\n" * 200)
    assert rows(page("t.txt"), "first lines") == [["t.txt", "one & two"]] * 20
    Path("f").mkdir()
    for name in "abcd":
        Path(f"f/{name}.txt").write_text(f"{name} text\n" * 40)
    assert [row[0] for row in rows(page("f"), "first lines")][::5] == ["a.txt", "b.txt", "c.txt", "d.txt"]


def test_the_notes_are_those_of_a_training(page: Callable[..., str], capsys: pytest.CaptureFixture[str]):
    Path("d.csv").write_text("year,v\n" + "".join(f"{1900 + i},{i % 7}\n" for i in range(60)))
    capsys.readouterr()
    assert main(["look", "d.csv", "--out", "page.html", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert "time: year, 1900 to 1959, every 1" in found["notes"] and found["page"] == "page.html"


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("d.csv", "the same date in up to 2 rows"),
        ("lstmm", "there is no cell 'lstmm'"),
        ("empty", "'empty' is not a run folder but a folder without config.json"),
    ],
)
def test_what_is_neither_is_refused(
    what: str, message: str, page: Callable[..., str], capsys: pytest.CaptureFixture[str]
):
    Path("empty").mkdir()
    Path("d.csv").write_text("day,v\n" + "2021-01-01,1\n" * 2 + "2021-01-02,1\n" * 2)
    assert main(["look", what, "--out", "page.html"]) == 2
    assert message in capsys.readouterr().err and not Path("page.html").exists()
