"""One long series as contiguous pieces that run side by side: the batches of a language model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from torch import Tensor

from ..errors import InputError


class Window(NamedTuple):
    """What is read, and what comes next at each step: both (rows, steps, ...)."""

    x: Tensor
    y: Tensor


def windows(series: Tensor, rows: int, longest: int) -> Iterator[Window]:
    """Cut a series into ``rows`` contiguous pieces, and those into windows of at most ``longest`` steps.

    Row i of each window goes on where row i of the one before it stopped, so a network that carries its state
    from window to window reads each piece without a break. ``y`` is ``x`` one step later.

    >>> for window in windows(torch.arange(11), rows=2, longest=3):
    ...     print(window.x.tolist(), window.y.tolist())
    [[0, 1, 2], [5, 6, 7]] [[1, 2, 3], [6, 7, 8]]
    [[3, 4], [8, 9]] [[4, 5], [9, 10]]

    The windows differ in length by one step at most. Up to ``rows - 1`` steps at the end are left over: see
    ``rest``.

    Args:
        series: (time, ...).

    Raises:
        InputError: a series with fewer than ``rows`` steps to predict.
    """
    steps = piece_length(series, rows)
    x = series[: rows * steps].unflatten(0, (rows, steps))
    y = series[1 : rows * steps + 1].unflatten(0, (rows, steps))
    count = -(-steps // longest)
    for part_x, part_y in zip(x.tensor_split(count, 1), y.tensor_split(count, 1), strict=True):
        yield Window(part_x, part_y)


def rest(series: Tensor, rows: int) -> Window | None:
    """What ``windows`` leaves over: one row (1, fewer than rows, ...) that goes on where the last one stopped."""
    start = rows * piece_length(series, rows)
    return Window(series[None, start:-1], series[None, start + 1 :]) if start + 1 < len(series) else None


def piece_length(series: Tensor, rows: int) -> int:
    """How many steps each of the pieces predicts."""
    steps = (len(series) - 1) // rows
    if steps < 1:
        raise InputError(f"a series of {len(series)} steps is too short for {rows} rows: each needs two steps or more")
    return steps
