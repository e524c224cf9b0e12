"""What text can be predicted without a network: n-grams, and gzip. Yardsticks for a model of text."""

from __future__ import annotations

import math
import zlib

import numpy
import torch
from torch import Tensor

LONGEST = 5  # units of the longest n-gram: a prediction sees one less
MOST = 2_000_000  # of the training text's units: its end
WINDOW = 2**15  # bytes that gzip looks back


def ngram_bits(train: Tensor, test: Tensor, vocabulary: int, longest: int = LONGEST) -> float:
    """The bits per unit of a text under n-grams counted in another text, interpolated by the method C of Witten and
    Bell (1991): p(c | past) = (n(past, c) + d(past) · p(c | shorter past)) / (n(past) + d(past)), where d is the number
    of different units that followed the past. The shortest past leaves all units equally probable.

    >>> round(ngram_bits(torch.tensor([0, 1, 1] * 500), torch.tensor([0, 1, 1, 0, 1, 1]), vocabulary=2), 2)
    0.0

    Args:
        train, test: numbers of units (steps,), from 0 to ``vocabulary`` - 1.
        longest: the number of units of the longest n-gram.
    """
    train = train[-MOST:]
    if len(test) < 2 or not len(train):
        return math.nan
    units = torch.cat([train, test]).numpy()
    first = len(train) + 1  # the first unit of the test text has no past
    p = numpy.full(len(units), 1 / vocabulary)
    past = numpy.zeros(len(units), dtype=numpy.int64)  # the number of each unit's past, of the present length
    for length in range(longest):
        if length:
            past = _numbers(numpy.roll(past, 1) * vocabulary + numpy.roll(units, 1))
        both = _numbers(past * vocabulary + units)
        seen = slice(length, len(train))
        counts = numpy.bincount(both[seen], minlength=both.max() + 1)
        totals = numpy.bincount(past[seen], minlength=past.max() + 1)
        new = numpy.unique(both[seen], return_index=True)[1] + length
        different = numpy.bincount(past[new], minlength=past.max() + 1)
        weight = different[past]
        known = weight > 0
        p[known] = ((counts[both] + weight * p) / numpy.maximum(totals[past] + weight, 1))[known]
    return float(-numpy.log2(p[first:]).mean())


def gzip_bits(train: str, test: str) -> int:
    """The bits of a text that gzip compresses, having seen the end of another text.

    >>> gzip_bits("to be or not to be, " * 100, "to be or not to be, " * 100)
    144
    """
    packer = zlib.compressobj(9, wbits=-15, zdict=train[-WINDOW:].encode("utf-8", "surrogatepass")[-WINDOW:])
    packed = packer.compress(test.encode("utf-8", "surrogatepass")) + packer.flush()
    return 8 * len(packed)


def _numbers(values: numpy.ndarray) -> numpy.ndarray:
    """Equal values as equal numbers from 0."""
    return numpy.unique(values, return_inverse=True)[1].astype(numpy.int64)
