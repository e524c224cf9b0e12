"""A long sequence in segments: which states are stored, and in what order segments are recomputed for the backward
pass.

The backward pass needs the values of one segment at a time, the last one first, and the state at the beginning of that
segment. If memory suffices for the states at all borders, every step is computed at most twice (Chen et al. 2016,
Training deep nets with sublinear memory cost). Otherwise states are stored where they save the most work, and freed
after the backward pass has used them (Griewank and Walther 2000, Algorithm 799: revolve). With room for s states, and
every segment run forward at most r times, C(s + r, s) segments can be processed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

MOST_PASSES = 10  # how often a step may be run without storing its values; if more were needed, memory is too small


class Move(NamedTuple):
    """Run forward from the last stored state to the beginning of a segment. There, store the state if ``keep`` is true,
    else compute the gradient of the segment."""

    keep: bool
    segment: int


@dataclass(frozen=True)
class Segments:
    """A sequence in segments.

    Attributes:
        length: the number of steps of the sequence.
        every: the number of steps of a segment.
        states: the number of states that memory has room for, including the first one.
    """

    length: int
    every: int
    states: int

    @property
    def count(self) -> int:
        """The number of segments."""
        return -(-self.length // self.every)

    @property
    def passes(self) -> int:
        """How often a segment is run without storing its values, at most."""
        return _passes(self.count, self.states)

    @property
    def again(self) -> int:
        """The number of recomputed steps: those of r l - C(s + r, r - 1) segments (Griewank and Walther 2000,
        equation 3). If the states at all borders are stored, that is one pass over all segments except the last."""
        r = self.passes
        return self.every * (r * self.count - math.comb(self.states + r, r - 1) if r else 0)

    def moves(self) -> Iterator[Move]:
        """The moves in order; the gradients are computed from the last segment to the first.

        >>> [tuple(move) for move in Segments(length=30, every=10, states=3).moves()]
        [(True, 1), (True, 2), (False, 2), (False, 1), (False, 0)]
        """
        todo = [(0, self.count, self.states)]  # segments from, to, room for states
        while todo:
            first, last, states = todo.pop()
            if last - first == 1:
                yield Move(False, first)
            elif states == 1:
                yield from (Move(False, k) for k in reversed(range(first, last)))
            else:
                passes = _passes(last - first, states)
                least = math.comb(states + passes - 2, states) if passes > 1 else 1  # fewer would cost more
                middle = max(first + least, last - math.comb(states - 1 + passes, passes))
                yield Move(True, middle)
                todo += [(first, middle, states), (middle, last, states - 1)]


def _passes(count: int, states: int) -> int:
    """The smallest number of passes that suffices for ``count`` segments with room for ``states`` states."""
    passes = 0
    while math.comb(states + passes, passes) < count:
        passes += 1
    return passes


def least_work(
    length: int, step: int, state: int, budget: int, shortest: int = 1, longest: int | None = None
) -> Segments | None:
    """The segments that fit into a number of bytes with the fewest recomputed steps; None if nothing fits.

    Args:
        length: the number of steps of the sequence.
        step: the bytes of the values of one step.
        state: the bytes of one state.
        budget: the bytes available for the values of one segment and for all stored states.
        shortest, longest: the permitted number of steps in a segment.
    """
    most = min(length, longest or length)
    root = math.isqrt(max(0, budget * budget - 4 * step * state * length))
    candidates = {most, (budget + root) // (2 * step), *(2**k for k in range(most.bit_length()))}
    found = []
    for every in (c for c in candidates if min(shortest, most) <= c <= most):
        room = (budget - every * step) // state if state else length
        if room >= 1:
            segments = Segments(length, every, min(room, -(-length // every)))
            if segments.states > 1 or segments.count <= MOST_PASSES:
                found.append(segments)
    best = min(found, key=lambda s: (s.again, -s.every), default=None)
    return best if best and best.passes <= MOST_PASSES else None


def least_budget(length: int, step: int, state: int, shortest: int = 1, longest: int | None = None) -> int:
    """The smallest budget in bytes for which ``least_work`` finds segments; arguments as there."""
    low, high = 0, length * (step + state)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if least_work(length, step, state, middle, shortest, longest) else (middle, high)
    return high
