"""Comparison of tensors, with all tolerances of the project in one table."""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor

# what is compared: the largest allowed relative error (see relative_error)
TOLERANCES = {
    "complex step, float64": 1e-13,  # derived adjoint against the complex step
    "autograd, float64": 1e-12,  # derived adjoint against torch.autograd through the unfolded graph
    "engines, float64": 1e-12,  # any engine against reference
    "random calls, float64": 1e-9,  # any engine against the independent interpreter: random circuits may cancel
    "torch.nn, float64": 1e-12,  # torch.nn.RNN, LSTM, GRU with the same weights
    "torch.nn, float32": 2e-6,
    "engines, float32": 2e-6,  # any engine against reference in float64, scaled by the largest gradient
    "benchmark, float32": 2e-5,  # other libraries' sums over thousands of steps, each gradient by its own scale
    "same bits": 0.0,
}


def relative_error(actual: Tensor, expected: Tensor, scale: float | None = None) -> float:
    """The largest difference of any entry, relative to the largest expected entry.

    >>> relative_error(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 2.5]))
    0.2

    Args:
        actual: a tensor (n, ...) of any shape.
        expected: a tensor of the same shape.
        scale: divide by this instead of the largest expected entry.

    Returns:
        ``max |actual - expected| / max |expected|``; infinity if the shapes differ or values are not finite.
    """
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
    """The largest absolute entry of some tensors: a scale for gradients of which some are zero up to rounding."""
    return max((t.detach().abs().max().item() for t in tensors if t.numel()), default=0.0)


def assert_close(what: str, actual: Tensor, expected: Tensor, tolerance: str, scale: float | None = None) -> None:
    """Check that the relative error is within a named tolerance.

    >>> assert_close("the output", net(x).h, theirs(x)[0], "torch.nn, float32")

    Args:
        what: the name of the value, for the message.
        actual: a tensor (n, ...) of any shape.
        expected: a tensor of the same shape.
        tolerance: a key of ``TOLERANCES``.
        scale: see ``relative_error``.

    Raises:
        AssertionError: the error is larger, or the shapes differ.
    """
    error, allowed = relative_error(actual, expected, scale), TOLERANCES[tolerance]
    assert error <= allowed, f"{what}: relative error {error:.3g}, allowed {allowed:.3g} ({tolerance})"
