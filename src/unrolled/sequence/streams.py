"""Long series, cut into contiguous pieces that run side by side with a carried state: the batches of a language
model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from ..errors import InputError
from .ragged import Ragged

BLOCK = 1 << 18  # steps of a stored series that are read at a time
Columns = Callable[[int, int], tuple[Tensor, ...]]  # steps from begin to before end of every row: (rows, steps, ...)


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


class Stored(Protocol):
    """A series, or documents, that are not in memory."""

    @property
    def predicted(self) -> int:
        """The number of steps with a step before them in the same document: pairs."""

    def pairs(self, begin: int, end: int) -> tuple[Tensor, ...]:
        """Of the pairs from ``begin`` to before ``end`` the first steps, and the second ones; of documents, also
        whether the first one begins a document: (pairs, ...)."""


def windows(series: Tensor | Stored, rows: int, longest: int) -> Iterator[Window]:
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
        series: (time, ...), or a stored one.
        rows: the number of pieces, which is the batch size.
        longest: the largest number of steps in a window.

    Raises:
        InputError: the series has fewer than ``rows`` steps to predict.
    """
    steps, columns = _of_series(series, rows)
    for begin, end in _evenly(steps, longest):
        yield Window(*columns(begin, end))


def overlapping_windows(series: Tensor | Stored, rows: int, longest: int, stride: int) -> Iterator[Window]:
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
        series: (time, ...), or a stored one.
        rows: the number of pieces, which is the batch size.
        longest: the number of steps in a window.
        stride: the number of new steps in a window.
    """
    steps, columns = _of_series(series, rows)
    for begin in _strides(steps, longest, stride):
        yield Window(*columns(begin, begin + longest))


def document_windows(documents: Ragged | Stored, rows: int, longest: int, stride: int | None = None) -> Iterator[Piece]:
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
        documents: each (time_i, ...), or stored ones.
        rows: the number of pieces, which is the batch size.
        longest: the largest number of steps in a window.
        stride: the number of new steps in a window, for overlapping windows as in ``overlapping_windows``.

    Raises:
        InputError: the documents have fewer than ``rows`` steps to predict.
    """
    steps, columns = _of_documents(documents, rows)
    overlap = stride is not None and stride < longest
    begins = ((b, b + longest) for b in _strides(steps, longest, stride or longest)) if overlap else None
    for begin, end in begins or _evenly(steps, longest):
        yield Piece(*columns(begin, end))


def document_rest(documents: Ragged | Stored, rows: int) -> Piece | None:
    """The steps that ``document_windows`` leaves out: one row (1, steps, ...) that continues the last one."""
    count = predicted(documents)
    start = rows * _steps(count, rows, f"{documents!r} has too few steps")
    if start == count:
        return None
    pairs = (p[start:] for p in _pairs(documents)) if isinstance(documents, Ragged) else documents.pairs(start, count)
    return Piece(*(series[None] for series in pairs))


def predicted(series: Tensor | Ragged | Stored) -> int:
    """The number of steps that can be predicted: those with a step before them in the same document."""
    if isinstance(series, Ragged):
        return int((series.lengths - 1).clamp(min=0).sum())
    return max(len(series) - 1, 0) if isinstance(series, Tensor) else series.predicted


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


def _of_series(series: Tensor | Stored, rows: int) -> tuple[int, Columns]:
    """The steps of each row, and how they are read."""
    steps = piece_length(series, rows)
    if not isinstance(series, Tensor):
        return steps, _read(series, rows, steps)
    pieces = [s[: rows * steps].unflatten(0, (rows, steps)) for s in (series, series[1:])]
    return steps, lambda begin, end: tuple(piece[:, begin:end] for piece in pieces)


def _of_documents(documents: Ragged | Stored, rows: int) -> tuple[int, Columns]:
    """The steps of each row, and how they are read. Each row starts with a new state."""
    steps = _steps(predicted(documents), rows, f"{documents!r} has too few steps")
    if not isinstance(documents, Ragged):
        return steps, _read(documents, rows, steps)
    x, y, reset = _pairs(documents)
    reset[: rows * steps : steps] = True
    pieces = [s[: rows * steps].unflatten(0, (rows, steps)) for s in (x, y, reset)]
    return steps, lambda begin, end: tuple(piece[:, begin:end] for piece in pieces)


def _read(series: Stored, rows: int, steps: int) -> Columns:
    """Rows of a stored series, read block by block."""
    first = last = 0
    block: list[Tensor] = []

    def columns(begin: int, end: int) -> tuple[Tensor, ...]:
        nonlocal first, last, block
        if not first <= begin <= end <= last:
            first, last = begin, min(steps, max(end, begin + BLOCK // rows))
            parts = (series.pairs(row * steps + first, row * steps + last) for row in range(rows))
            block = [torch.stack(part) for part in zip(*parts, strict=True)]
            if first == 0 and len(block) > 2:
                block[2][:, 0] = True  # each row starts with a new state
        return tuple(piece[:, begin - first : end - first] for piece in block)

    return columns


def _evenly(steps: int, longest: int) -> Iterator[tuple[int, int]]:
    """Begin and end of windows of at most ``longest`` steps, the longer ones first."""
    if longest < 1:
        raise InputError(f"longest must be 1 or more, got {longest}")
    count = -(-steps // longest)
    length, longer = divmod(steps, count)
    begin = 0
    for number in range(count):
        end = begin + length + (number < longer)
        yield begin, end
        begin = end


def _strides(steps: int, longest: int, stride: int) -> range:
    """Where overlapping windows begin: at every ``stride``-th step of each piece."""
    return range(0, max(steps - longest, 0) + 1, stride)


def rest(series: Tensor | Stored, rows: int) -> Window | None:
    """The steps that ``windows`` leaves out: one row (1, steps, ...), fewer than ``rows`` steps, after the last
    window."""
    start = rows * piece_length(series, rows)
    if not isinstance(series, Tensor):
        count = series.predicted
        return Window(*(s[None] for s in series.pairs(start, count))) if start < count else None
    return Window(series[None, start:-1], series[None, start + 1 :]) if start + 1 < len(series) else None


def piece_length(series: Tensor | Stored, rows: int) -> int:
    """The number of steps that each of the ``rows`` pieces of a series (time, ...) predicts."""
    count = predicted(series)
    return _steps(count, rows, f"a series of {count + 1} steps is too short")


def _steps(predicted: int, rows: int, too_short: str) -> int:
    if rows < 1:
        raise InputError(f"rows must be 1 or more, got {rows}")
    if predicted < rows:
        raise InputError(f"{too_short} for {rows} rows: each row needs at least two steps")
    return predicted // rows
