"""What text can be predicted without a network: n-grams, and gzip. Yardsticks for a model of text."""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy
from torch import Tensor

LONGEST = 5  # units of the longest n-gram: a prediction sees one less
MOST = 2_000_000  # of the training text's units: its end
WINDOW = 2**15  # bytes that gzip looks back


def ngram_bits(train: Tensor, test: Iterable[Tensor], vocabulary: int, longest: int = LONGEST) -> float:
    """The bits per unit of a text under n-grams counted in another text, interpolated by the method C of Witten and
    Bell (1991): p(c | past) = (n(past, c) + d(past) · p(c | shorter past)) / (n(past) + d(past)), where d is the number
    of different units that followed the past. The shortest past leaves all units equally probable.

    >>> train, test = torch.tensor([0, 1, 1] * 500), torch.tensor([0, 1, 1, 0, 1, 1])
    >>> round(ngram_bits(train, [test[:4], test[4:]], vocabulary=2), 2)
    0.0

    Args:
        train: numbers of units (steps,), from 0 to ``vocabulary`` - 1, of which the last two millions are counted.
        test: the same, in parts.
        longest: the number of units of the longest n-gram.
    """
    train = train[-MOST:]
    if not len(train):
        return math.nan
    known = train.numpy()
    counted = _counted(known, vocabulary, longest)
    before, total, count = known, 0.0, -1  # the first unit of the test text has no past
    for part in test:
        units = numpy.concatenate([before[-longest:], part.numpy()])
        p = _probabilities(units, counted, vocabulary)[len(units) - len(part) + (count < 0) :]
        total, count = total - numpy.log2(p).sum(), max(count, 0) + len(p)
        before = units
    return float(total / count) if count > 0 else math.nan


class _Counts(NamedTuple):
    """The n-grams of one length. A past is the number of the n-gram before its last unit.

    keys: past · vocabulary + unit of each n-gram, sorted; its place is its number.
    counts: how often each is there; totals, different: the n-grams and the different ones of each past.
    """

    keys: numpy.ndarray[Any, Any]
    counts: numpy.ndarray[Any, Any]
    totals: numpy.ndarray[Any, Any]
    different: numpy.ndarray[Any, Any]


def _counted(units: numpy.ndarray[Any, Any], vocabulary: int, longest: int) -> list[_Counts]:
    """The n-grams of a text, from length 1 to ``longest``."""
    past, pasts, found = numpy.zeros(len(units), dtype=numpy.int64), 1, []
    for length in range(min(longest, len(units))):
        past = past[: len(units) - length]
        both = past * vocabulary + units[length:]
        keys, numbers, counts = numpy.unique(both, return_inverse=True, return_counts=True)
        totals, different = (numpy.bincount(of, minlength=pasts) for of in (past, keys // vocabulary))
        found.append(_Counts(keys, counts, totals, different))
        past, pasts = numbers.astype(numpy.int64), len(keys)
    return found


def _probabilities(units: numpy.ndarray[Any, Any], counted: list[_Counts], vocabulary: int) -> numpy.ndarray[Any, Any]:
    """The probability of each unit of a text: (steps,)."""
    p = numpy.full(len(units), 1 / vocabulary)
    past = numpy.zeros(len(units), dtype=numpy.int64)  # the number of each unit's past; -1 if it was never counted
    for length, (keys, counts, totals, different) in enumerate(counted):
        both = numpy.where(past < 0, -1, past * vocabulary + units)
        place = numpy.searchsorted(keys, both).clip(max=len(keys) - 1)
        seen = keys[place] == both
        weight = numpy.where(past < 0, 0, different[past])
        known = weight > 0
        mixed = (numpy.where(seen, counts[place], 0) + weight * p) / numpy.maximum(totals[past] + weight, 1)
        p[known] = mixed[known]
        number = numpy.where(seen, place, -1)
        past = numpy.concatenate([numpy.full(1, -1), number[:-1]])  # the past of the next unit is one unit longer
        past[: length + 1] = -1
    return p


def gzip_bits(train: str, test: Iterable[str]) -> int:
    """The bits of a text that gzip compresses, having seen the end of another text.

    >>> gzip_bits("to be or not to be, " * 100, ["to be or not to be, " * 100])
    144

    Args:
        train: the other text, or its end.
        test: the text, in pieces.
    """
    packer = zlib.compressobj(9, wbits=-15, zdict=train[-WINDOW:].encode("utf-8", "surrogatepass")[-WINDOW:])
    size = sum(len(packer.compress(piece.encode("utf-8", "surrogatepass"))) for piece in test)
    return 8 * (size + len(packer.flush()))
