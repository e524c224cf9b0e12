"""Runs of the benchmark as one Markdown page."""

from __future__ import annotations

from once import FirstUse, Streaming
from results import Results
from targets import Target

from unrolled.speed.timing import Row, digits

COLUMNS = ("unrolled", "unrolled, 1 thread", "torch.nn", "torch loop", "torch.compile", "JAX", "ONNX")
INTRODUCTION = """# Results of `make bench`

Microseconds per step of a whole batch, in float32: the median over turns, ± half the interquartile range. In brackets,
×2 means that it takes twice as long as `unrolled`. The contestants take turns; each turn begins with one call that
does not count. Training is forward and backward: the gradients of all parameters, for an input that needs no gradient.
A contestant is not timed if it disagrees with the float64 reference (engine `reference`, over the whole sequence,
output and every gradient).

The floor is the larger of two lower bounds, measured in the same turns: the multiply-adds of all matrix products at
the rate of one large product; or, marked *, reading the recurrent weights at every step, at the bandwidth for a block
of memory of their size. The last column is the share of the floor's speed that `unrolled` reaches.
"""


def page(runs: list[Results]) -> str:
    """All runs, one section per machine."""
    return "\n".join([INTRODUCTION, *(section(run) for run in runs)])


def section(run: Results) -> str:
    """The aims and tables of one run."""
    rates = sorted(2 * r.rate / 1e9 for r in run.rows if r.point.threads == 1)
    rate = f"A large matrix product on one thread: {rates[0]:.0f} to {rates[-1]:.0f} GFLOP/s." if rates else ""
    effort = f"{run.effort.turns} turns of at least {1000 * run.effort.seconds:.0f} ms."
    parts = [f"## {run.machine.vectors}\n", f"{run.machine}. {rate} {effort}\n", "### Aims\n", summary(run.targets)]
    for title, chosen in groups(run.rows).items():
        parts += [f"### {title}\n", table(chosen)]
    parts += ["### Single measurements\n", once(run.first_use, run.streaming)]
    parts += [f"{run.note}\n"] if run.note else []
    if missing := [f"- {r.point}: {name} {why}" for r in run.rows for name, why in r.absent.items()]:
        parts += ["### Not timed\n", "\n".join(missing) + "\n"]
    return "\n".join(parts)


def groups(rows: list[Row]) -> dict[str, list[Row]]:
    """The rows by title of their table."""
    found: dict[str, list[Row]] = {}
    for r in rows:
        threads = "one thread" if r.point.threads == 1 else f"{r.point.threads} threads"
        found.setdefault(f"{r.point.way.capitalize()}, {threads}", []).append(r)
    return found


def summary(aims: list[Target]) -> str:
    """A table of the aims and whether they are reached."""
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
    """The times of the contestants at some points, and the floor."""
    names = [n for n in COLUMNS if any(n in r.times for r in rows)]
    lines = [
        "| cell | T, B, I, H | " + " | ".join(names) + " | floor | floor / unrolled |",
        "|" + " --- |" * (len(names) + 4),
    ]
    for r in rows:
        p = r.point
        cells = [p.cell, f"{p.steps}, {p.batch}, {p.inputs}, {p.hidden}", *(figure(r, n) for n in names)]
        mark = "*" if r.floor.bound == "reading" else ""
        share = f"{r.floor.seconds / r.times['unrolled'].median:.0%}" if "unrolled" in r.times else ""
        lines.append("| " + " | ".join([*cells, f"{r.per_step(r.floor.seconds)}{mark}", share]) + " |")
    return "\n".join(lines) + "\n"


def figure(row: Row, name: str) -> str:
    """Microseconds per step with the spread, the ratio to ours, and the time to compile where it is long."""
    if name not in row.times:
        return "-" if name in row.absent else ""
    t = row.times[name]
    text = f"{row.per_step(t.median)} ± {t.spread / t.median:.0%}"
    ratio = row.ratio(name)
    if ratio is not None and name != "unrolled":
        text += f" (×{digits(ratio)})"
    return text + (f", compiled in {t.first:.0f} s" if name == "torch.compile" else "")


def line(row: Row) -> str:
    """A row as one line of text, for the progress of a run."""
    figures = [f"{n} {figure(row, n)}" for n in COLUMNS if n in row.times]
    figures += [f"{n} not timed: it {why}" for n, why in row.absent.items()]
    return f"{row.point}: {'; '.join(figures)}; floor {row.per_step(row.floor.seconds)}"


def once(first: list[FirstUse], stream: Streaming | None) -> str:
    """The single measurements as a list."""
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
