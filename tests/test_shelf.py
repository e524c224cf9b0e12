"""Arrays in memory, and in files once they are many."""

from __future__ import annotations

import errno
from typing import Any

import numpy
import pytest

from unrolled.errors import DataError
from unrolled.files.shelf import Shelf


@pytest.mark.parametrize("room", [0, 100, 10**6])
def test_arrays_are_what_was_kept(room: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("unrolled.files.shelf.SEGMENT", 1000)
    shelf = Shelf(room)
    draw = numpy.random.default_rng(0)
    arrays = [draw.normal(size=(n, 3)).astype(kind) for n in range(20) for kind in ("float64", "float32", "int8")]
    arrays.append(numpy.array(["2024-01-01", "NaT"], "datetime64[ns]"))
    kept = [shelf.keep(array) for array in arrays]
    filled = shelf.empty((7, 2), "int32")
    filled[:] = 5
    del shelf
    for array, other in zip(arrays, kept, strict=True):
        assert other.dtype == array.dtype and other.flags.writeable
        numpy.testing.assert_array_equal(other, array)
    assert (filled == 5).all()
    assert (kept[-1] is arrays[-1]) == (room == 10**6), "what has room in memory is not copied"


def test_a_full_disk_is_said_before_anything_is_written(monkeypatch: pytest.MonkeyPatch):
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.posix_fallocate", full)
    with pytest.raises(DataError, match=r"the data cannot be written to .*no space left.*TMPDIR"):
        Shelf(0).empty((10,), "float64")
