"""A run as Markdown for people, and as JSON for programs."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date
from typing import Any

from once import FirstUse, Streaming
from targets import Target

from unrolled.speed.machine import Machine
from unrolled.speed.measure import Effort, Row, digits

COLUMNS = ("unrolled", "unrolled, 1 thread", "torch.nn", "torch loop", "torch.compile", "JAX", "ONNX")
INTRODUCTION = """# Results of `make bench`

Microseconds per step of a whole batch: the median of {turns} turns, ± half the distance between their quartiles, and
in brackets how many times as long as `unrolled` it is. float32. The contestants take turns, each in at least
{ms:.0f} ms of calls after one that is not counted. Training is forward and backward: the gradients of all parameters,
from an input that needs none. Who does not agree with the float64 reference (engine `reference`, over the whole
sequence, output and every gradient) is not timed.

The floor is the larger of two bounds measured in the same turns: the multiply-adds of all matrix products at the rate
of a large one; and, marked *, the reading of the weights that every step needs, at the bandwidth of a block of memory
of their size. The last column is the share of the floor's speed that `unrolled` reaches.

{machine}. {rate}
"""


def as_json(
    machine: Machine,
    effort: Effort,
    rows: list[Row],
    first: list[FirstUse],
    stream: Streaming | None,
    aims: list[Target],
) -> dict[str, Any]:
    return {
        "date": date.today().isoformat(),
        "machine": asdict(machine),
        "effort": asdict(effort),
        "rows": [asdict(r) for r in rows],
        "first_use": [asdict(f) for f in first],
        "streaming": asdict(stream) if stream else None,
        "targets": [asdict(t) | {"reached": t.reached} for t in aims],
    }


def as_markdown(
    machine: Machine,
    effort: Effort,
    rows: list[Row],
    first: list[FirstUse],
    stream: Streaming | None,
    aims: list[Target],
) -> str:
    rates = sorted(2 * r.rate / 1e9 for r in rows if r.point.threads == 1)
    rate = f"A large matrix product on one thread: {rates[0]:.0f} to {rates[-1]:.0f} GFLOP/s." if rates else ""
    parts = [INTRODUCTION.format(turns=effort.turns, ms=1000 * effort.seconds, machine=machine, rate=rate)]
    parts += ["## Aims\n", summary(aims)]
    for title, chosen in groups(rows).items():
        parts += [f"## {title}\n", table(chosen)]
    parts += ["## Once\n", once(first, stream)]
    if missing := [f"- {r.point}: {name} {why}" for r in rows for name, why in r.absent.items()]:
        parts += ["## Not timed\n", "\n".join(missing) + "\n"]
    return "\n".join(parts)


def groups(rows: list[Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for r in rows:
        threads = "one thread" if r.point.threads == 1 else f"{r.point.threads} threads"
        found.setdefault(f"{r.point.way.capitalize()}, {threads}", []).append(r)
    return found


def summary(aims: list[Target]) -> str:
    lines = ["| aim | measured | |", "| --- | --- | --- |"]
    for t in aims:
        word = {True: "reached", False: "**not reached**", None: "not measured"}[t.reached]
        measured = "" if t.measured is None else f"{digits(t.measured)}"
        if t.measured is not None:
            measured += f" over {len(t.figures)} points, least {digits(t.figures[t.worst])}" if t.mean else ""
            measured += f" ({t.worst})"
        lines.append(f"| {t.text} | {measured} | {word} |")
    return "\n".join(lines) + "\n"


def table(rows: list[Row]) -> str:
    names = [n for n in COLUMNS if any(n in r.times for r in rows)]
    lines = ["| cell | T, B, I, H | " + " | ".join(names) + " | floor | of it |", "|" + " --- |" * (len(names) + 4)]
    for r in rows:
        p = r.point
        cells = [p.cell, f"{p.steps}, {p.batch}, {p.inputs}, {p.hidden}", *(figure(r, n) for n in names)]
        mark = "*" if r.floor.bound == "reading" else ""
        share = f"{r.floor.seconds / r.times['unrolled'].median:.0%}" if "unrolled" in r.times else ""
        lines.append("| " + " | ".join([*cells, f"{r.per_step(r.floor.seconds)}{mark}", share]) + " |")
    return "\n".join(lines) + "\n"


def figure(row: Row, name: str) -> str:
    """Microseconds per step, with the spread; how many times as long as ours; the time to compile where it is long."""
    if name not in row.times:
        return "-" if name in row.absent else ""
    t = row.times[name]
    text = f"{row.per_step(t.median)} ± {t.spread / t.median:.0%}"
    ratio = row.ratio(name)
    if ratio is not None and name != "unrolled":
        text += f" (×{digits(ratio)})"
    return text + (f", compiled in {t.first:.0f} s" if name == "torch.compile" else "")


def line(row: Row) -> str:
    """A row as it is measured."""
    figures = [f"{n} {figure(row, n)}" for n in COLUMNS if n in row.times]
    figures += [f"{n} not timed: {why}" for n, why in row.absent.items()]
    return f"{row.point}: {'; '.join(figures)}; floor {row.per_step(row.floor.seconds)}"


def once(first: list[FirstUse], stream: Streaming | None) -> str:
    lines = [
        f"- First use of a new LSTM, hidden 128, {f.steps} steps, until forward and backward run: {f.empty:.2f} s with "
        f"an empty cache, {1000 * f.later:.0f} ms in a later process."
        for f in first
    ]
    if stream:
        lines.append(
            f"- One step of an LSTM at batch 1, hidden {stream.hidden}, called from Python: `net.step` "
            f"{stream.unrolled:.0f} µs, `torch.nn.LSTMCell` {stream.lstm_cell:.0f} µs."
        )
    return "\n".join(lines) + "\n"
