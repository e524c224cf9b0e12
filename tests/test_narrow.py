"""Narrow weights: how they are rounded, and that networks compute with them what the reference computes."""

from __future__ import annotations

import pytest
import torch

from unrolled.errors import InputError
from unrolled.sequence.rounding import rounded


def test_int8_rounds_to_the_nearest_multiple_of_the_scale_of_the_row():
    torch.manual_seed(0)
    weights = torch.randn(50, 33) * torch.logspace(-20, 20, 50)[:, None]
    weights[7] = 0
    narrow = rounded(weights, "int8")
    scales = weights.abs().amax(1) / 127
    assert torch.equal(narrow.scales, scales)
    assert int(narrow.values.abs().max()) == 127 and not narrow.values[7].any()
    assert bool(((narrow.wide() - weights).abs() <= scales[:, None] * 0.5001).all())
    again = rounded(narrow.wide(), "int8")
    assert torch.equal(again.values, narrow.values)


def test_int8_rounds_halves_to_even_and_leaves_minus_128_out():
    weights = torch.tensor([[127.0, 0.5, 1.5, -0.5, -2.5, -127.0], [-127.0, 3, 3, 3, 3, 3]])
    assert rounded(weights, "int8").values.tolist() == [[127, 0, 2, 0, -2, -127], [-127, 3, 3, 3, 3, 3]]


def test_bf16_rounds_to_the_nearest_and_halfway_to_the_even_one():
    step = 2.0**-7  # between 1 and 2
    weights = torch.tensor([[1 + step / 2, 1 + 1.5 * step, 1 + 0.51 * step, -1 - step / 2]])
    assert rounded(weights, "bf16").wide().tolist() == [[1, 1 + 2 * step, 1 + step, -1]]


@pytest.mark.parametrize("kind", ["bf16", "int8"])
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), 3.4e38])
def test_what_cannot_be_rounded_is_refused(kind, bad):
    weights = torch.ones(2, 2)
    weights[1, 0] = bad
    if bad == 3.4e38 and kind == "int8":
        assert rounded(weights, kind).wide().isfinite().all()
        return
    with pytest.raises(InputError, match="infinite, NaN or too large"):
        rounded(weights, kind)


def test_other_kinds_dtypes_and_shapes_are_refused():
    with pytest.raises(InputError, match="weights='int4' does not exist"):
        rounded(torch.ones(2, 2), "int4")
    with pytest.raises(InputError, match=r"float32 \(rows, columns\)"):
        rounded(torch.ones(2, 2, dtype=torch.float64), "int8")
    with pytest.raises(InputError, match=r"float32 \(rows, columns\)"):
        rounded(torch.ones(2), "bf16")
