"""The C that all circuits share, by itself: products and sums over time of every size around the borders of vectors and
panels, beside numpy's, in memory that is full of NaN and may not be written beyond its end."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest

from cells_for_tests import needs_compiler
from unrolled.engines.c.libraries import I64, P, address, products, sums

pytestmark = needs_compiler

LINE = 64  # bytes to which rows are aligned
BORDERS = (1, 2, 3, 4, 5, 7, 8, 9, 12, 15, 16, 17, 24, 25, 31, 33, 47, 49, 64, 65, 96, 130)


def aligned(rows: int, size: int, dtype: type) -> np.ndarray:
    """Room for rows of whole vectors, full of NaN."""
    width = -(-size * np.dtype(dtype).itemsize // LINE) * LINE
    memory = np.full(rows * width + LINE, 0xFF, np.uint8)
    start = -memory.ctypes.data % LINE
    return memory[start : start + rows * width].view(dtype).reshape(rows, -1)


def product_of(library: ctypes.CDLL, name: str, A: np.ndarray, x: np.ndarray, rows: int) -> np.ndarray:
    """A x for the first rows of x, by a function of products.c."""
    matrix = np.ascontiguousarray(A.T if name == "product_turned" else A)
    if name == "product":
        matrix = aligned(1, (len(A) + 16) * A.shape[1], A.dtype)
        library.pack(A.ctypes.data, *(s // A.itemsize for s in A.strides), *A.shape, matrix.ctypes.data)
    y = aligned(rows + 1, len(A), A.dtype)
    size, whole = ctypes.c_size_t, ctypes.c_int
    run = ctypes.CFUNCTYPE(None, P, whole, whole, whole, P, P, size, P, size)(address(getattr(library, name)))
    run(None, rows, *A.shape, matrix.ctypes.data, x.ctypes.data, x.shape[1], y.ctypes.data, y.shape[1])
    assert np.isnan(y[rows]).all(), "a row too many is written"
    return y[:rows, : len(A)].copy()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ["product", "product_direct", "product_turned"])
def test_products_of_every_size(name: str, dtype: type):
    """Every number of rows, outputs and inputs; a row has the same bits in every company."""
    draw, library = np.random.default_rng(0), products(dtype is np.float64)
    for outputs in BORDERS:
        for inputs in (1, 2, 7, 8, 9, 16, 19, 33):
            A = draw.standard_normal((outputs, inputs)).astype(dtype)
            x = draw.standard_normal((17, inputs)).astype(dtype)
            single = np.concatenate([product_of(library, name, A, x[i : i + 1], 1) for i in range(17)])
            within = 4 * np.finfo(dtype).eps * (abs(x) @ abs(A).T)
            assert (abs(single - x.astype(np.float64) @ A.T) <= within).all(), (outputs, inputs)
            for rows in (2, 3, 4, 5, 6, 7, 8, 9, 11, 13, 17):
                assert np.array_equal(product_of(library, name, A, x, rows), single[:rows]), (rows, outputs, inputs)
            assert np.array_equal(
                single, np.concatenate([product_of(library, "product", A, x[i : i + 1], 1) for i in range(17)])
            )
    turned = draw.standard_normal((19, 33)).astype(dtype).T
    x = draw.standard_normal((2, 19)).astype(dtype)
    assert np.array_equal(product_of(library, "product", turned, x, 2), product_of(library, name, turned, x, 2))


def earlier(series: np.ndarray, start: np.ndarray, pieces: np.ndarray) -> np.ndarray:
    """The series one step earlier: at the first row of a piece its starting state, or zero."""
    found = np.roll(series, 1, 0)
    for first, _, begins, _ in pieces:
        found[first] = start[begins] if begins >= 0 else 0
    return found


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("lengths", [(1,), (3, 1, 9), (256,), (255, 2), (257,), (300, 1, 256, 500)], ids=str)
def test_sums_of_every_size(lengths: tuple[int, ...], dtype: type):
    """Σ u vᵀ and Σ u over the rows of some pieces, of the step or the one before, in any number of parts."""
    draw, library = np.random.default_rng(0), sums(dtype is np.float64)
    ends = np.cumsum(lengths)
    rows, begins = int(ends[-1]), [0, -1, 1, -1][: len(lengths)]
    pieces = np.stack([ends - lengths, lengths, begins, np.full(len(lengths), -1)], 1).astype(np.int64)
    for us, vs in [(1, 1), (5, 17), (6, 8), (7, 33), (8, 16), (13, 24), (16, 9), (31, 49)]:
        u, v, w = (draw.standard_normal((rows, size)).astype(dtype) for size in (us, vs, us))
        start = draw.standard_normal((2, vs)).astype(dtype)
        to = [aligned(1, us * vs, dtype).ravel() for _ in range(2)] + [aligned(1, us, dtype).ravel()]
        uv, before, alone = to
        none = (0, 0, 0)
        terms = [
            (u.ctypes.data, 0, us, v.ctypes.data, 0, vs, uv.ctypes.data, 0),
            (u.ctypes.data, 0, us, v.ctypes.data, start.ctypes.data, vs, before.ctypes.data, 0),
            (u.ctypes.data, 0, us, *none, alone.ctypes.data, 0),
            (w.ctypes.data, 0, us, v.ctypes.data, 0, vs, uv.ctypes.data, 1),
            (w.ctypes.data, 0, us, *none, alone.ctypes.data, 1),
        ]
        table, ahead = np.array(terms, np.int64), earlier(v, start, pieces)
        both, U, V = u.astype(np.float64) + w, u.astype(np.float64), v.astype(np.float64)
        for parts in (1, 2, 3):
            for room in to:
                room.fill(np.nan)
            size = -(-library.outer_scratch(table.ctypes.data, len(table), parts) * u.itemsize // LINE) * LINE
            scratch = aligned(parts, size // u.itemsize, dtype)
            given = pieces.ctypes.data, len(pieces), table.ctypes.data, len(table), scratch.ctypes.data, size
            library.outer_sums(None, parts, *given)
            within = 300 * np.finfo(dtype).eps * (abs(both).T @ abs(V) + abs(U).T @ abs(ahead))
            for found, right in ((uv, both.T @ V), (before, U.T @ ahead)):
                assert (abs(found[: us * vs].reshape(us, vs) - right) <= within).all(), (us, vs, parts)
                assert np.isnan(found[us * vs :]).all(), "written beyond the end"
            assert np.allclose(alone[:us], both.sum(0), rtol=0, atol=300 * np.finfo(dtype).eps * rows**0.5)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sums_without_rows_are_zero(dtype: type):
    """Series without rows have no memory, so that those of different sizes may have one address."""
    library, sizes = sums(dtype is np.float64), (24, 3, 7, 1)
    to = [aligned(1, size, dtype).ravel() for size in sizes]
    terms = [(0, 0, size, 0, 0, 0, room.ctypes.data, 0) for size, room in zip(sizes, to, strict=True)]
    table, pieces = np.array(terms, np.int64), np.empty((0, 4), np.int64)
    size = -(-library.outer_scratch(table.ctypes.data, len(table), 1) * to[0].itemsize // LINE) * LINE
    scratch = aligned(1, size // to[0].itemsize, dtype)
    library.outer_sums(None, 1, pieces.ctypes.data, 0, table.ctypes.data, len(table), scratch.ctypes.data, size)
    for width, room in zip(sizes, to, strict=True):
        assert not room[:width].any() and np.isnan(room[width:]).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows_of_tokens_are_added_up(dtype: type):
    draw, library = np.random.default_rng(0), sums(dtype is np.float64)
    pieces = np.array([[0, 4, 1, -1], [4, 3, -1, -1], [7, 2, 0, -1]], np.int64)
    tokens, v = draw.integers(0, 3, 9), draw.standard_normal((9, 5)).astype(dtype)
    start, zero = draw.standard_normal((2, 5)).astype(dtype), aligned(1, 5, dtype)
    for at, series in ((0, v), (start.ctypes.data, earlier(v, start, pieces))):
        total, expected = np.ones((3, 5)), np.ones((3, 5))
        np.add.at(expected, tokens, series)
        factor, of_tokens = (I64 * 3)(v.ctypes.data, at, 5), (I64 * 2)(tokens.ctypes.data, 0)
        library.scatter_sum(of_tokens, factor, pieces.ctypes.data, 3, total.ctypes.data, zero.ctypes.data)
        assert np.allclose(total, expected, rtol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows_of_the_tokens_one_step_earlier_are_added_up(dtype: type):
    draw, library = np.random.default_rng(0), sums(dtype is np.float64)
    pieces = np.array([[0, 4, 1, -1], [4, 3, -1, -1], [7, 2, 0, -1]], np.int64)
    tokens, start, v = draw.integers(0, 3, 9), np.array([2, 1]), draw.standard_normal((9, 5)).astype(dtype)
    total, expected, zero = np.ones((3, 5)), np.ones((3, 5)), aligned(1, 5, dtype)
    np.add.at(expected, [1, *tokens[:3], 0, *tokens[4:6], 2, tokens[7]], v)
    factor, of_tokens = (I64 * 3)(v.ctypes.data, 0, 5), (I64 * 2)(tokens.ctypes.data, start.ctypes.data)
    library.scatter_sum(of_tokens, factor, pieces.ctypes.data, 3, total.ctypes.data, zero.ctypes.data)
    assert np.allclose(total, expected, rtol=1e-12)
