"""The command ``unrolled bench``: how fast networks train on this machine."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from ..errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from ..speed.point import Point
    from ..speed.timing import Row

CELLS = ("rnn", "gru", "lstm", "peephole_lstm")  # the default
SHAPES = ((200, 1, 128), (50, 32, 128), (25, 32, 512))  # steps, batch, hidden


def _each(position: int) -> Parameter:
    """An option that has one default per measurement; the help lists all three."""
    return Parameter(show_default=lambda _: ", ".join(str(shape[position]) for shape in SHAPES) + " in turn")


def bench(
    *,
    cell: Annotated[list[str] | None, Parameter(show_default=lambda _: ", ".join(CELLS))] = None,
    hidden: Annotated[int | None, _each(2)] = None,
    batch: Annotated[int | None, _each(1)] = None,
    steps: Annotated[int | None, _each(0)] = None,
    threads: int = 1,
    json: bool = False,
) -> None:
    """Measure how fast networks train on this machine, compared with torch.nn and a plain loop in torch.

    Takes about a minute. First checks every implementation against the float64 reference, then times them in turns.
    Prints microseconds per step of a whole batch, forward and backward.

    Args:
        cell: Cell to measure: rnn, gru, lstm, jordan, peephole_lstm, layernorm_lstm or mgu. Can be repeated.
        hidden: Number of hidden units. The input has the same size.
        batch: Number of sequences in a batch.
        steps: Length of the sequences.
        threads: Number of CPU threads.
        json: Print one JSON object instead of a table.
    """
    asked = _points(cell or list(CELLS), hidden, batch, steps, threads)

    from ..speed.machine import machine
    from ..speed.timing import Effort, local_players, processors, time_point
    from . import screen
    from .steps import counted

    rows = []
    with processors(threads), counted(len(asked), quiet=json) as done:
        for point in asked:
            rows.append(time_point(point, local_players(point), Effort(turns=5)))
            done(f"{point}")
    here = machine()
    if json:
        print(screen.as_json({"machine": asdict(here), "rows": [_record(r) for r in rows]}))
    else:
        _show(rows, str(here))


def _points(cells: list[str], hidden: int | None, batch: int | None, steps: int | None, threads: int) -> list[Point]:
    from ..speed.loops import STEPS
    from ..speed.point import Point

    for name in cells:
        if name not in STEPS:
            hint = did_you_mean(name, STEPS) or f". There are {', '.join(STEPS)}"
            raise UsageError(f"cell '{name}' cannot be measured{hint}")
    for option, value in (("hidden", hidden), ("batch", batch), ("steps", steps), ("threads", threads)):
        if value is not None and value < 1:
            raise UsageError(f"--{option} must be at least 1, got {value}")
    shapes = dict.fromkeys((steps or t, batch or b, hidden or h) for t, b, h in SHAPES)
    if batch is not None and steps is None:  # one length per measurement, chosen for the batch
        shapes = dict.fromkeys((200 if batch < 4 else 50, b, h) for _, b, h in shapes)
    return [Point(name, t, b, h, h, threads) for name in cells for t, b, h in shapes]


def _record(row: Row) -> dict[str, object]:
    return asdict(row) | {"floor_seconds": row.floor.seconds, "floor_bound": row.floor.bound}


OTHERS = ("torch.nn", "torch loop")


def _show(rows: list[Row], where: str) -> None:
    from rich.markup import escape
    from rich.table import Table

    from .screen import console, out

    table = Table("cell", "T", "B", "H", "unrolled", "floor", box=None, padding=(0, 1, 0, 0))
    for name in OTHERS:
        table.add_column(name)
        table.add_column("times")
    for column in table.columns[1:]:
        column.justify = "right"
    for row in rows:
        p = row.point
        ours = [_figure(row, "unrolled"), row.per_step(row.floor.seconds)]
        theirs = [text for n in OTHERS for text in (_figure(row, n), _times(row, n))]
        table.add_row(p.cell, str(p.steps), str(p.batch), str(p.hidden), *ours, *theirs)
    out()
    console().print(table)
    for row in rows:
        for name, why in row.absent.items():
            out(f"\n[bold]{name}[/] was not timed at {row.point}: it {escape(why)}")
    out("\nMicroseconds per step, forward and backward. ×2 means that it takes twice as long as unrolled.")
    out("The floor is the time for the matrix products alone, or for reading the weights, whichever is longer.")
    out(f"{escape(where)}; a large matrix product: {2 * max(r.rate for r in rows) / 1e9:.0f} GFLOP/s")


def _figure(row: Row, name: str) -> str:
    return row.per_step(row.times[name].median) if name in row.times else "-"


def _times(row: Row, name: str) -> str:
    from ..speed.timing import digits

    ratio = row.ratio(name)
    return f"[bold]×{digits(ratio)}[/]" if ratio else ""
