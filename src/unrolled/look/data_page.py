"""A page about data, without a model: what was understood, columns, series, and the first rows, lines or recordings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html import escape
from itertools import chain, islice
from pathlib import Path
from typing import ClassVar

from ..data.forecast.kind import Forecast
from ..data.kind import Data
from ..data.kinds import kind_for
from ..data.language import Text
from ..data.pairs.data import PairsData
from ..data.pairs.kind import Pairs
from ..data.sequences import Sequences
from ..data.table import Table
from ..data.tables.read import read_sheet
from ..data.texts import lines
from ..files.toml import Sections
from ..run.spec import Spec
from .data_tables import Grid, columns_of, rows_of, series_of
from .document import Document

SHOWN = 20  # lines of a text, recordings, pieces
CLIP = 200  # characters of a line
STYLE = (
    ":root{color-scheme:light dark}body{font:15px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;"
    "padding:0 1rem}table{border-collapse:collapse;margin:.5rem 0 2rem;display:block;overflow-x:auto}td,th{text-align:"
    "left;padding:.15rem .9rem .15rem 0;border-bottom:1px solid #8884;vertical-align:top}th{font-weight:600}"
)


@dataclass(frozen=True)
class DataPage(Document):
    """A page about data. Notebooks show it.

    Attributes:
        notes: what was understood, in words.
    """

    notes: list[str]
    height: ClassVar[int] = 700


def look_at_data(path: Path, task: str | None = None, options: Sections | None = None) -> DataPage:
    """A page about data, as ``unrolled train`` would understand them.

    >>> look_at_data(Path("shops.csv"), options={"data": {"sequence": "shop"}}).save("shops.html")

    Args:
        path: of the data.
        task: 'language', 'table', 'pairs', 'music' or 'voice'; by default it depends on the type of the file.
        options: the sections of a training; [data] and [reading] matter.

    Raises:
        DataError: the data cannot be read, or can be understood in several ways.
        UsageError: an option that is not known.
    """
    named = (options or {}).get("data", {})
    kind = kind_for(path, task, named.get("goal"), named.get("field"))
    spec = Spec.read(kind.name, options or {})
    data = spec.kind.learn(path, spec.data, spec.reading)
    about = data.describe()
    show = next((show for kind, show in SHOW.items() if isinstance(data.kind, kind)), _first_ones)
    grids: list[Grid] = [("", ("", "what was understood"), about), *show(path, data)]
    body = "".join(_grid(*grid) for grid in grids)
    title = escape(path.name or str(path))
    head = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>{STYLE}</style>'
    return DataPage(f"{head}<h1>{title}</h1>{body}</html>\n", [f"{word}: {text}" for word, text in about])


def _grid(title: str, names: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table in HTML."""
    head = "".join(f"<th>{escape(name)}</th>" for name in names)
    body = "".join("<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows)
    return f"{f'<h2>{escape(title)}</h2>' if title else ''}<table><tr>{head}</tr>{body}</table>"


def _of_table(path: Path, data: Data) -> list[Grid]:
    options = data.kind.options
    sheet = read_sheet(path, options)
    return [columns_of(sheet, options), series_of(sheet, options), rows_of(sheet)]


def _first_ones(path: Path, data: Data) -> list[Grid]:
    """The first lines of texts, or the first sequences of each part."""
    if isinstance(data, Text):
        files = list(data.documents.files.items())[:SHOWN]
        most = max(1, SHOWN // len(files))
        first = [(name, islice(lines(chain.from_iterable(file.texts())), most)) for name, file in files]
        return [("first lines", ("file", "line"), [(name, line[:CLIP]) for name, of in first for line in of])]
    assert isinstance(data, Sequences)
    named = zip(("training", "validation", "test"), data.parts, strict=True)
    rows = [(e.name, part, f"{len(e.read):,}") for part, examples in named for e in examples[:SHOWN]]
    return [("first sequences", ("name", "part", data.kind.read_steps), rows)]


def _of_pairs(path: Path, data: Data) -> list[Grid]:
    """The first pairs of each part."""
    assert isinstance(data, PairsData)
    named = zip(("training", "validation", "test"), data.parts, strict=True)
    rows = [(p.row.source, p.row.target, p.row.features, part) for part, pairs in named for p in pairs[:SHOWN]]
    return [("first pairs", ("source", "target", "features", "part"), rows)]


SHOW: dict[type, Callable[[Path, Data], list[Grid]]] = {Table: _of_table, Forecast: _of_table, Pairs: _of_pairs}
