"""Comparing tensors, with every tolerance of the project in one table."""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor

# what is compared: the largest relative error allowed (see relative_error)
TOLERANCES = {
    "complex step, float64": 1e-13,  # derived adjoint against the complex step
    "autograd, float64": 1e-12,  # derived adjoint against torch.autograd through the unfolded graph
    "engines, float64": 1e-12,  # any engine against reference
    "random calls, float64": 1e-9,  # any engine against the independent interpreter: random circuits may cancel
    "torch.nn, float64": 1e-12,  # torch.nn.RNN, LSTM, GRU with the same weights
    "torch.nn, float32": 2e-6,
    "engines, float32": 2e-6,  # any engine against reference in float64, scaled by the largest gradient
    "benchmark, float32": 2e-5,  # anyone's sums over thousands of steps and rows, each gradient by its own scale
    "same bits": 0.0,
}


def relative_error(actual: Tensor, expected: Tensor, scale: float | None = None) -> float:
    """max |actual - expected| / max |expected|, or over a given scale; infinite where shapes or non-finite values
    differ."""
    if actual.shape != expected.shape:
        return float("inf")
    if not actual.numel():
        return 0.0
    difference = (actual.detach() - expected.detach()).abs().max().item()
    scale = expected.detach().abs().max().item() if scale is None else scale
    if difference == 0.0:
        return 0.0
    return difference / scale if scale > 0 and difference == difference else float("inf")


def largest(tensors: Iterable[Tensor]) -> float:
    """The largest absolute entry: a scale for gradients some of which are zero up to rounding."""
    return max((t.detach().abs().max().item() for t in tensors if t.numel()), default=0.0)


def assert_close(what: str, actual: Tensor, expected: Tensor, tolerance: str, scale: float | None = None) -> None:
    """Fail unless the relative error is within the named tolerance."""
    error, allowed = relative_error(actual, expected, scale), TOLERANCES[tolerance]
    assert error <= allowed, f"{what}: relative error {error:.3g}, allowed {allowed:.3g} ({tolerance})"
