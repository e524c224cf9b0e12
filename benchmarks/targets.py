"""The aims of this library, and whether a run has reached them."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass, field

from once import FirstUse, Streaming
from points import CUSTOM, MATRIX

from unrolled.speed.timing import Row


@dataclass
class Target:
    """An aim with the relevant figures, by the point where each was measured."""

    text: str
    aim: float
    figures: dict[str, float]
    at_most: bool = False
    mean: bool = False  # the geometric mean of all figures must reach the aim; otherwise each figure must
    worst: str = field(init=False, default="")
    measured: float | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        if self.figures:
            pick = max if self.at_most else min
            self.worst = pick(self.figures, key=self.figures.__getitem__)
            values = self.figures.values()
            self.measured = statistics.geometric_mean(values) if self.mean else self.figures[self.worst]

    @property
    def reached(self) -> bool | None:
        """Whether the aim is reached; None if nothing was measured."""
        if self.measured is None:
            return None
        return self.measured <= self.aim if self.at_most else self.measured >= self.aim


def targets(rows: list[Row], first: list[FirstUse], stream: Streaming | None) -> list[Target]:
    """All aims, with the figures of a run."""
    training = [r for r in rows if r.point.training]
    alone = [r for r in training if r.point.threads == 1]

    def against(other: str, cells: tuple[str, ...], batch: range, hidden: range = range(32, 2000)) -> dict[str, float]:
        chosen = [r for r in alone if r.point.cell in cells and r.point.batch in batch and r.point.hidden in hidden]
        return _ratios(chosen, lambda r: r.ratio(other))

    one, middle, wide, all_batches = range(1, 2), range(20, 41), range(16, 65), range(1, 1000)
    two = [r for r in training if r.point.threads == 2 and r.point.batch >= 16]
    products = [r for r in alone if r.point.cell not in ("bahdanau", *MATRIX)]  # whose products take most of the time
    heavy = [r for r in products if r.point.batch >= 32 and 128 <= r.point.hidden <= 1024]
    jax = _ratios(alone, lambda r: r.ratio("JAX"))
    return [
        Target("torch.nn, tanh RNN and GRU, batch 1, hidden 64-256: at least 15 times as fast", 15,
               against("torch.nn", ("rnn", "gru"), one, range(64, 257))),
        Target("torch.nn, tanh RNN, batch 20-40, hidden 128-256: at least 1.5", 1.5,
               against("torch.nn", ("rnn",), middle, range(128, 257))),
        Target("torch.nn, GRU, batch 20-40, hidden 128-256: at least 2", 2,
               against("torch.nn", ("gru",), middle, range(128, 257))),
        Target("torch.nn, tanh RNN and GRU, batch 16-64, hidden 512-1024: at least 1.15", 1.15,
               against("torch.nn", ("rnn", "gru"), wide, range(512, 1025))),
        Target("torch.nn, LSTM (oneDNN), batch 1: at least 1.2", 1.2, against("torch.nn", ("lstm",), one)),
        Target("torch.nn, LSTM (oneDNN), anywhere: at least 0.95", 0.95, against("torch.nn", ("lstm",), all_batches)),
        Target("JAX, geometric mean: at least 1.3", 1.3, jax, mean=True),
        Target("JAX, every point: at least 1", 1.0, jax),
        Target("torch loop, custom cells, batch 1: at least 25", 25, against("torch loop", CUSTOM, one)),
        Target("torch loop, custom cells, batch 32: at least 3", 3, against("torch loop", CUSTOM, range(32, 33))),
        Target("torch.compile, custom cells, batch 1: at least 10", 10, against("torch.compile", CUSTOM, one)),
        Target("torch.compile, custom cells, batch 32: at least 1.5", 1.5,
               against("torch.compile", CUSTOM, range(32, 33))),
        Target("torch loop, attention (Bahdanau), batch 32, hidden 256: at least 3", 3,
               against("torch loop", ("bahdanau",), all_batches)),
        Target("JAX, attention (Bahdanau), batch 32, hidden 256: at least 1.5", 1.5,
               against("JAX", ("bahdanau",), all_batches)),
        Target("torch loop, matrix memories (mLSTM, gated delta rule) of 64 x 64: at least 5", 5,
               against("torch loop", MATRIX, all_batches)),
        Target("the floor, batch 32 and more, hidden 128-1024: at least 0.75 of its rate", 0.75,
               _ratios(heavy, lambda r: _of_the_floor(r))),
        Target("two threads, batch 16 and more: at least 1.7 times one thread", 1.7,
               _ratios(two, lambda r: r.ratio("unrolled, 1 thread"))),
        Target("first use of a new circuit: at most 1.5 s", 1.5,
               {f"T={f.steps}": f.empty for f in first}, at_most=True),
        Target("first use in a later process: at most 0.05 s", 0.05,
               {f"T={f.steps}": f.later for f in first}, at_most=True),
        Target("one streaming step of an LSTM: at least as fast as torch.nn.LSTMCell", 1.0,
               {f"H={stream.hidden}": stream.lstm_cell / stream.unrolled} if stream else {}),
    ]  # fmt: skip


def _of_the_floor(row: Row) -> float | None:
    return row.floor.seconds / row.times["unrolled"].median if "unrolled" in row.times else None


def _ratios(rows: list[Row], ratio: Callable[[Row], float | None]) -> dict[str, float]:
    return {str(r.point): value for r in rows if (value := ratio(r)) is not None}
