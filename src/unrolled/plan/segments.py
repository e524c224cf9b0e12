"""A long sequence in segments: which states are kept, and in what order segments are run again for the backward pass.

The backward pass needs the values of one segment at a time, the last one first, and the state that the segment begins
with. Where the states of all borders may be kept, every step is computed twice at most (Chen et al. 2016, Training deep
nets with sublinear memory cost). Where fewer may, they are kept where they save most, and given up again behind the
backward pass (Griewank and Walther 2000, Algorithm 799: revolve): with room for s states and every segment run forward
r times at most, C(s + r, s) segments can be gone through.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

MOST_PASSES = 10  # times that a step may be run without its values being kept; beyond, memory is too small


class Move(NamedTuple):
    """From the last state that is kept run forward to the beginning of a segment; there keep the state, or compute the
    segment's gradient."""

    keep: bool
    segment: int


@dataclass(frozen=True)
class Segments:
    """A sequence of so many steps in segments of ``every``, with room for ``states`` states, the first one included."""

    length: int
    every: int
    states: int

    @property
    def count(self) -> int:
        return -(-self.length // self.every)

    @property
    def passes(self) -> int:
        """How often a segment is run without its values being kept, at most."""
        return _passes(self.count, self.states)

    @property
    def again(self) -> int:
        """Steps that are computed beside those whose values are kept: r l - C(s + r, r - 1) segments (Griewank and
        Walther 2000, equation 3). One pass over all but the last segment where all borders are kept."""
        r = self.passes
        return self.every * (r * self.count - math.comb(self.states + r, r - 1) if r else 0)

    def moves(self) -> Iterator[Move]:
        """What is done, in its order; the gradients from the last segment to the first.

        >>> [*Segments(length=30, every=10, states=3).moves()]
        [Move(True, 1), Move(True, 2), Move(False, 2), Move(False, 1), Move(False, 0)]
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
    """The fewest with which so many segments can be gone through."""
    passes = 0
    while math.comb(states + passes, passes) < count:
        passes += 1
    return passes


def least_work(
    length: int, step: int, state: int, budget: int, shortest: int = 1, longest: int | None = None
) -> Segments | None:
    """The segments that a number of bytes allows, with the fewest steps computed again; none if it allows none.

    Args:
        length: steps in all.
        step: bytes of a step's values. state: bytes of a state.
        budget: bytes for the values of one segment and all states that are kept.
        shortest, longest: steps of a segment.
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
    """The fewest bytes with which ``least_work`` finds a way."""
    low, high = 0, length * (step + state)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if least_work(length, step, state, middle, shortest, longest) else (middle, high)
    return high
