"""The digest that tells whether packed weights are still those of the parameters: no change is missed."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest

from cells_for_tests import needs_compiler
from unrolled.engines.c.prepared import Contents

pytestmark = needs_compiler


class Digested:
    """Contents, its digest, and how many changes of it were tried and missed."""

    def __init__(self, values):
        self.values = np.ascontiguousarray(values)
        self.memory = Contents([self.values.ctypes.data], [self.values.nbytes])
        self.digest = self.memory.digest()
        self.tries = self.missed = 0

    def exchange(self, i, j):
        """Two entries change places; if they are equal, nothing has changed."""
        v = self.values
        if v[i] != v[j]:
            self.look(lambda: v.__setitem__([i, j], v[[j, i]]))

    def flip(self, *bits):
        """Bits of the memory change. Of a float32, bit 31 is the sign."""
        words = self.values.view(np.uint8)

        def change():
            for bit in bits:
                words[bit // 8] ^= 1 << bit % 8

        self.look(change)

    def look(self, change):
        """``change`` is its own inverse."""
        change()
        self.tries += 1
        self.missed += self.memory.has(self.digest)
        change()

    def signs(self, *entries):
        size = 8 * self.values.itemsize
        self.flip(*(size * i + size - 1 for i in entries))


def matrices(dtype, count):
    random = np.random.default_rng(0)
    sparse = np.zeros(count, dtype)
    sparse[random.integers(0, count, count // 50)] = random.normal(size=count // 50)
    return {
        "random": random.normal(size=count).astype(dtype),
        "sparse": sparse,
        "identity": np.eye(1 + int(count**0.5), dtype=dtype).ravel()[:count],
        "zero": np.zeros(count, dtype),
    }


@pytest.mark.parametrize("kind", ["random", "sparse", "identity", "zero"])
def test_every_bit_counts(kind):
    """Also those of a rest that fills no vector."""
    memory = Digested(matrices(np.float32, 515)[kind])
    for bit in range(8 * memory.values.nbytes):
        memory.flip(bit)
    assert memory.tries == 8 * 4 * 515 and not memory.missed
    assert memory.memory.has(memory.digest)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", ["random", "sparse", "identity", "zero"])
def test_exchanges_and_signs_at_any_distance(kind, dtype):
    memory, random = Digested(matrices(dtype, 2**14 + 5)[kind]), np.random.default_rng(1)
    count = len(memory.values)
    full, distances = np.flatnonzero(memory.values), [2**k for k in range(14)]
    for distance in distances + [int(d) for d in random.integers(1, count // 2, 30)]:
        for i in random.integers(0, count - distance, 60).tolist():
            memory.exchange(i, i + distance)
            memory.signs(i, i + distance)
            memory.signs(i, i + distance, random.integers(count))
        for i in random.choice(full, 40).tolist() if len(full) else []:  # a number and a zero, mostly
            memory.exchange(i, (i + distance) % count)
        block = np.arange(min(distance, 300))
        rows = random.integers(0, count - distance - len(block), 5)[:, None] + block
        for row in rows if distance >= len(block) else []:  # rows exchanged, and of other signs
            other = row + distance
            if not np.array_equal(memory.values[row], memory.values[other]):
                both = np.concatenate([row, other])
                memory.look(
                    lambda both=both: memory.values.__setitem__(both, np.roll(memory.values[both], len(both) // 2))
                )
            memory.signs(*row)
    memory.signs(*range(count))
    assert memory.tries > 5_000 and not memory.missed
    assert memory.memory.has(memory.digest)


def test_small_changes_at_random():
    """Two or three bits anywhere, and changes of two words that add up to nothing."""
    random = np.random.default_rng(2)
    for values in matrices(np.float32, 3000).values():
        memory = Digested(values)
        for bits in random.integers(0, 8 * memory.values.nbytes, (5000, 3)).tolist():
            memory.flip(*set(bits[:2]))
            memory.flip(*set(bits))
        words = memory.values.view(np.uint64)
        for i, j, bit in random.integers(0, (len(words), len(words), 64), (3000, 3)).tolist():
            shift = np.array([1 << bit, 2**64 - (1 << bit)], np.uint64)

            def move(words=words, at=(i, j), shift=shift):
                words[list(at)] += shift
                shift[:] = shift[::-1].copy()

            if i != j:
                memory.look(move)
        assert memory.tries > 10_000 and not memory.missed and memory.memory.has(memory.digest)


def test_several_pieces_of_memory_are_one_digest():
    """Numbers that move from one parameter to another are seen, too; a copy has the same digest."""
    first, second = np.arange(100, dtype=np.float32), np.arange(7, dtype=np.float32)
    given = [a.ctypes.data for a in (first, second)], [a.nbytes for a in (first, second)]
    memory = Contents(*given)
    digest = memory.digest()
    copies = first.copy(), second.copy()
    assert Contents([a.ctypes.data for a in copies], given[1]).has(digest)
    for i in range(7):
        first[50], second[i] = second[i].copy(), first[50].copy()
        assert not memory.has(digest)
        first[50], second[i] = second[i].copy(), first[50].copy()
    assert memory.has(digest) and bytes(digest) == bytes(memory.digest())
    assert ctypes.sizeof(digest) >= 128
