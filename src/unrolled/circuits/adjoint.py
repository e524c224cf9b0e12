"""``Adjoint``: the derived backward pass that users get from ``circuit.adjoint()``."""

from __future__ import annotations

from typing import Any

from ..draw.drawing import Drawing, draw_recurrence
from ..errors import CircuitError, did_you_mean
from ..graph.notation import Format
from ..graph.recurrence import Recurrence
from ..graph.stored import as_text, from_text
from ..transform.differentiate import differentiate, direct
from ..transform.gradient_equations import gradient_equations


class Adjoint:
    """The derived backward pass of a circuit: a step that runs backward in time, and sums over time."""

    def __init__(self, recurrence: Recurrence) -> None:
        self.recurrence = recurrence

    def equations(self, format: Format = "text", *, last_only: bool = False, inputs: bool = False) -> str:
        """The gradient equations in order of computation.

        Args:
            format: 'text' or 'latex'.
            last_only: True for a loss that depends on the last step only.
            inputs: True also prints the gradients of the inputs.
        """
        check_format(format)
        return gradient_equations(self.recurrence, format, last_only=last_only, inputs=inputs)

    def draw(self, steps: int = 3, *, gates: bool = True) -> Drawing:
        """Draw the circuit and its unfolded graph, with the arrows along which the gradient flows back in time.

        >>> unrolled.cells.elman.adjoint().draw(4)
        <drawing: Circuit elman and its graph unfolded for 4 steps.>
        """
        assert self.recurrence.primal is not None
        return draw_recurrence(self.recurrence.primal, check_steps(self.recurrence.primal, steps), gates, gradient=True)

    def _repr_svg_(self) -> str:
        return self.draw().svg

    def __reduce__(self) -> tuple[Any, ...]:
        assert self.recurrence.primal is not None
        primal, inputs = self.recurrence.primal, self.recurrence.inputs
        return _unpickled, (as_text(primal), tuple(n for n in primal.returns if direct(n) in inputs))

    def __repr__(self) -> str:
        return f"<adjoint of {self.recurrence.primal.name if self.recurrence.primal else '?'}>"


def _unpickled(text: str, of: tuple[str, ...]) -> Adjoint:
    return Adjoint(differentiate(from_text(text), of))


def check_steps(recurrence: Recurrence, steps: int) -> int:
    """The number of steps to unfold, if it is valid.

    Raises:
        CircuitError: it is too small, or not an integer.
    """
    least = 1 if recurrence.series else 2
    if not isinstance(steps, int) or isinstance(steps, bool) or steps < least:
        raise CircuitError(f"the number of steps to unfold '{recurrence.name}' must be {least} or more, got {steps!r}")
    return steps


def check_format(format: str) -> None:
    """Raise CircuitError unless the format is 'text' or 'latex'."""
    if format not in ("text", "latex"):
        raise CircuitError(f"format must be 'text' or 'latex', got {format!r}{did_you_mean(format, ('text', 'latex'))}")
