"""Long series, cut into contiguous pieces that run side by side with a carried state: the batches of a language
model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from ..errors import InputError
from .ragged import Ragged


class Window(NamedTuple):
    """Inputs ``x`` and targets ``y``, where ``y`` is ``x`` one step later: both (rows, steps, ...)."""

    x: Tensor
    y: Tensor


class Piece(NamedTuple):
    """Inputs ``x`` and targets ``y``, (rows, steps, ...), and ``reset``, true where a document begins: (rows,
    steps)."""

    x: Tensor
    y: Tensor
    reset: Tensor


def windows(series: Tensor, rows: int, longest: int) -> Iterator[Window]:
    """Cut a series into ``rows`` contiguous pieces, and the pieces into windows of at most ``longest`` steps.

    Row i of each window continues row i of the window before, so a network that carries its state from window to
    window reads each piece without a break. ``y`` is ``x`` one step later.

    >>> for window in windows(torch.arange(11), rows=2, longest=3):
    ...     print(window.x.tolist(), window.y.tolist())
    [[0, 1, 2], [5, 6, 7]] [[1, 2, 3], [6, 7, 8]]
    [[3, 4], [8, 9]] [[4, 5], [9, 10]]

    The lengths of the windows differ by at most one step. Up to ``rows - 1`` steps at the end are in no window;
    ``rest`` returns them.

    Args:
        series: (time, ...).
        rows: the number of pieces, which is the batch size.
        longest: the largest number of steps in a window.

    Raises:
        InputError: the series has fewer than ``rows`` steps to predict.
    """
    steps = piece_length(series, rows)
    for x, y in _side_by_side(rows, steps, longest, series, series[1:]):
        yield Window(x, y)


def overlapping_windows(series: Tensor, rows: int, longest: int, stride: int) -> Iterator[Window]:
    """Cut a series into windows of ``longest`` steps that each begin ``stride`` steps after the one before.

    Each window repeats the end of the one before it, so that the gradient of its new steps reaches further back than
    the last update.

    >>> for window in overlapping_windows(torch.arange(9), rows=1, longest=4, stride=2):
    ...     print(window.x.tolist())
    [[0, 1, 2, 3]]
    [[2, 3, 4, 5]]
    [[4, 5, 6, 7]]

    Besides the steps that ``windows`` leaves out, up to ``stride - 1`` steps of each piece are in no window.

    Args:
        series: (time, ...).
        rows: the number of pieces, which is the batch size.
        longest: the number of steps in a window.
        stride: the number of new steps in a window.
    """
    for x, y in _overlapping(rows, piece_length(series, rows), longest, stride, series, series[1:]):
        yield Window(x, y)


def document_windows(documents: Ragged, rows: int, longest: int, stride: int | None = None) -> Iterator[Piece]:
    """Join all documents to one stream, and cut it into ``rows`` pieces and into windows of at most ``longest`` steps.

    Row i of each window continues row i of the window before. Every step of a document except its first is predicted
    once, from the same document only: ``reset`` is true at the first step of each document and of each row. Set the
    carried state to zero there before the step.

    >>> for piece in document_windows(Ragged([torch.arange(4), torch.arange(10, 15)]), rows=1, longest=4):
    ...     print(piece.x.tolist(), piece.y.tolist(), piece.reset.int().tolist())
    [[0, 1, 2, 10]] [[1, 2, 3, 11]] [[1, 0, 0, 1]]
    [[11, 12, 13]] [[12, 13, 14]] [[0, 0, 0]]

    Documents with fewer than two steps contain nothing to predict. The lengths of the windows differ by at most one
    step. Up to ``rows - 1`` steps at the end are in no window; ``document_rest`` returns them.

    Args:
        documents: each (time_i, ...).
        rows: the number of pieces, which is the batch size.
        longest: the largest number of steps in a window.
        stride: the number of new steps in a window, for overlapping windows as in ``overlapping_windows``.

    Raises:
        InputError: the documents have fewer than ``rows`` steps to predict.
    """
    x, y, reset = _pairs(documents)
    steps = _steps(len(x), rows, f"{documents!r} has too few steps")
    reset[: rows * steps : steps] = True
    overlap = stride is not None and stride < longest
    pieces = _overlapping(rows, steps, longest, stride or longest, x, y, reset) if overlap else None
    for piece in pieces or _side_by_side(rows, steps, longest, x, y, reset):
        yield Piece(*piece)


def document_rest(documents: Ragged, rows: int) -> Piece | None:
    """The steps that ``document_windows`` leaves out: one row (1, steps, ...) that continues the last one."""
    x, y, reset = _pairs(documents)
    start = rows * _steps(len(x), rows, f"{documents!r} has too few steps")
    return Piece(x[None, start:], y[None, start:], reset[None, start:]) if start < len(x) else None


def predicted(series: Tensor | Ragged) -> int:
    """The number of steps that can be predicted: those with a step before them in the same document."""
    return int((series.lengths - 1).clamp(min=0).sum()) if isinstance(series, Ragged) else max(len(series) - 1, 0)


def _pairs(documents: Ragged) -> tuple[Tensor, Tensor, Tensor]:
    """Each step, the step after it in the same document, and whether the step begins a document: (pairs, ...)."""
    long = documents.lengths > 1
    first, last = documents.offsets[:-1][documents.lengths > 0], documents.offsets[1:][documents.lengths > 0] - 1
    followed, follows = (torch.ones(len(documents.values), dtype=torch.bool, device="cpu") for _ in range(2))
    followed[last] = follows[first] = False
    begin = torch.zeros(len(documents.values), dtype=torch.bool, device="cpu")
    begin[documents.offsets[:-1][long]] = True
    x, y = (documents.values[kept.to(documents.device)] for kept in (followed, follows))
    return x, y, begin[followed].to(documents.device)


def _side_by_side(rows: int, steps: int, longest: int, *series: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Windows of several series (time, ...): cut into ``rows`` pieces of ``steps`` steps, and those along time."""
    if longest < 1:
        raise InputError(f"longest must be 1 or more, got {longest}")
    count = -(-steps // longest)
    pieces = (s[: rows * steps].unflatten(0, (rows, steps)).tensor_split(count, 1) for s in series)
    return zip(*pieces, strict=True)


def _overlapping(rows: int, steps: int, longest: int, stride: int, *series: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Windows of several series (time, ...): one from every ``stride``-th step of each piece."""
    pieces = [s[: rows * steps].unflatten(0, (rows, steps)) for s in series]
    for begin in range(0, max(steps - longest, 0) + 1, stride):
        yield tuple(piece[:, begin : begin + longest] for piece in pieces)


def rest(series: Tensor, rows: int) -> Window | None:
    """The steps that ``windows`` leaves out: one row (1, steps, ...), fewer than ``rows`` steps, after the last
    window."""
    start = rows * piece_length(series, rows)
    return Window(series[None, start:-1], series[None, start + 1 :]) if start + 1 < len(series) else None


def piece_length(series: Tensor, rows: int) -> int:
    """The number of steps that each of the ``rows`` pieces of a series (time, ...) predicts."""
    return _steps(len(series) - 1, rows, f"a series of {len(series)} steps is too short")


def _steps(predicted: int, rows: int, too_short: str) -> int:
    if rows < 1:
        raise InputError(f"rows must be 1 or more, got {rows}")
    if predicted < rows:
        raise InputError(f"{too_short} for {rows} rows: each row needs at least two steps")
    return predicted // rows
