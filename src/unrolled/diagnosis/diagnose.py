"""The front door: run a network on a batch and report how it learns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import InputError
from ..graph.bind import by_row
from ..nn.recurrent import Recurrent
from ..nn.result import Result
from ..sequence.ragged import Ragged
from ..sequence.series import values_of
from ..transform.differentiate import loss_on
from .layer import diagnose_layer
from .report import Diagnosis
from .trajectory import evaluated, follow

FARTHEST = 1000  # steps to look back, by default


def diagnose(
    model: nn.Module,
    *inputs: Any,
    loss: Callable[[Any], Tensor] | None = None,
    farthest: int = FARTHEST,
    exponents: int = 3,
    seed: int = 0,
    **named: Any,
) -> Diagnosis:
    """Diagnose how a network learns from a batch.

    Measures how far back gradients reach, whether they explode, which units are stuck, and what the states remember.
    The measurements run on the network's own engine. The network and its ``.grad`` are left unchanged.

    >>> report = unrolled.diagnose(net, torch.randn(8, 40, 65))
    >>> print(report.verdict)
    Healthy: gradients reach back 16 steps; ...

    Args:
        model: a Recurrent, a SequenceModel, or any module with Recurrent layers. Each layer is measured.
        inputs: positional arguments of the model, such as x (batch, time, size) or a Ragged.
        loss: maps the model's result to one number, the sum over steps and sequences. By default, a random linear
            function of the outputs, or of the first state if the only outputs say where the network looks.
        farthest: how many steps to look back, at most the length of the sequences.
        exponents: number of Lyapunov exponents.
        seed: seed of the random directions; torch's own generator is not used.
        named: named arguments of the model.

    Raises:
        InputError: the model has no recurrent layer, the inputs do not fit it, or the loss is not one number.
    """
    generator = torch.Generator().manual_seed(seed)

    def total() -> Tensor:
        given = model(*inputs, **named)
        value = loss(given) if loss is not None else _some_loss(model, given, generator)
        if not isinstance(value, Tensor) or value.numel() != 1:
            shape = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
            raise InputError(f"the loss must be one number, got {shape}. Sum it over steps and sequences")
        return value

    return diagnose_loss(model, total, farthest, exponents, generator)


def diagnose_loss(
    model: nn.Module,
    loss: Callable[[], Tensor],
    farthest: int = FARTHEST,
    exponents: int = 3,
    generator: torch.Generator | None = None,
) -> Diagnosis:
    """Diagnose a model from a function that calls it and returns the loss, one number.

    Args:
        model: as in ``diagnose``.
        loss: calls the model.
        farthest: as in ``diagnose``.
        exponents: as in ``diagnose``.
        generator: draws the random directions.

    Raises:
        InputError: the model has no recurrent layer, or none of its layers reads a step.
    """
    for name, number in (("farthest", farthest), ("exponents", exponents)):
        if not isinstance(number, int) or isinstance(number, bool) or number < 1:
            raise InputError(f"{name} must be an integer of at least 1, got {number!r}")
    if not any(isinstance(module, Recurrent) for module in model.modules()):
        raise InputError(f"the {type(model).__name__} has no recurrent layer (unrolled.Recurrent) to diagnose")
    generator = generator or torch.Generator().manual_seed(0)
    with torch.enable_grad(), evaluated(model):
        paths = follow(model, loss)
        if not paths:
            raise InputError("no recurrent layer has read a step: there is nothing to diagnose")
        return Diagnosis(tuple(diagnose_layer(path, farthest, exponents, generator) for path in paths))


def _some_loss(model: nn.Module, given: Any, generator: torch.Generator) -> Tensor:
    """A random linear function of the model's outputs, with the same weights at every step."""
    if isinstance(given, Result) and isinstance(model, Recurrent):
        recurrence = model.circuit.recurrence
        real = [n for n in model.circuit.states if n not in recurrence.tokens]
        looks = by_row(recurrence)
        names = [n for n in loss_on(recurrence) if n in given and n not in looks] or real[:1]
        if names == ["L"]:
            return values_of(given["L"]).sum()
        series = [given[n] for n in names]
    else:
        series = [given[0] if isinstance(given, tuple) else given]
    if not all(isinstance(s, Tensor | Ragged) for s in series):
        raise InputError(f"the model returns a {type(given).__name__}: pass a loss function with loss=")
    total = torch.zeros(())
    for values in map(values_of, series):
        weights = torch.randn(values.shape[-1], generator=generator, dtype=values.dtype).to(values.device)
        total = total + (values * weights).sum()
    return total
