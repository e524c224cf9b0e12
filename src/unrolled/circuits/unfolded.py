"""``Graph``: the unfolded graph that users get from ``circuit.unfold(steps)``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..draw.drawing import Drawing, draw_unfolded
from ..draw.numbers import Numbers
from ..errors import InputError, did_you_mean
from ..graph.node import Node, order
from ..graph.notation import Format
from ..graph.size import Conflict, Size, Solver
from ..graph.stored import as_text, from_text
from ..transform.evaluate import evaluate, every_row
from ..transform.unfold import Unfolded, unfold
from ..transform.unfolded_equations import Form, unfolded_equations

if TYPE_CHECKING:
    from torch import Tensor


class Graph:
    """A recurrence unfolded for a number of steps: an explicit acyclic graph with one node per parameter."""

    def __init__(self, unfolded: Unfolded) -> None:
        self.unfolded = unfolded

    @property
    def nodes(self) -> list[Node]:
        """Every node, arguments before their users."""
        u = self.unfolded
        leaves = [*u.start.values(), *u.inputs.values(), *u.fixed.values(), *u.recurrence.parameters.values()]
        return order([*leaves, *u.values.values()])

    def equations(self, format: Format = "text", form: Form = "all") -> str:
        """The equations of the graph.

        >>> print(unrolled.cells.autonomous.unfold(3).equations(form="nested"))
        s(3) = f(f(s(1); θ); θ)

        Args:
            format: 'text' or 'latex'.
            form: 'steps' for one application of f per step, 'nested' for one nested expression, 'all' for both, or
                'full' for the circuit's own equations at every step.
        """
        return unfolded_equations(self.unfolded, format, form)

    def draw(
        self,
        *,
        gates: bool = True,
        gradient: bool = False,
        most: int = 6,
        last_only: bool = False,
        values: Mapping[str, Tensor] | None = None,
    ) -> Drawing:
        """Draw the unfolded graph from the initial state to the last step.

        >>> elman.unfold(40).draw(most=40).save("forty_steps.svg")
        >>> graph.draw(values=graph.evaluate(x=x, h=h0, U=U, W=W, b=b, V=V, c=c)).save("with_numbers.svg")

        Args:
            gates: False draws only inputs, states and outputs as circles.
            gradient: True also draws the arrows along which the gradient flows back in time.
            most: the largest number of steps to draw. A longer graph is abbreviated to its first and last steps, and
                the picture says so.
            last_only: True draws outputs at the last step only.
            values: numbers to write in the circles, by name, as ``evaluate`` returns them for one sequence:
                (1, steps, size), or (1, steps) for scalars. A vector is shown as its root mean square.
                ``unrolled.measure`` computes the numbers of all values, including gates and gradients.

        Raises:
            InputError: the values have another number of steps, or belong to several sequences.
        """
        times, numbers = self.unfolded.times, None
        if values is not None:
            numbers = Numbers(times[0], {n: _written(n, v, len(times)) for n, v in values.items()})
        last = times[-1] if times else self.unfolded.start_time
        return draw_unfolded(self.unfolded.recurrence, last, gates, gradient, most, last_only, numbers)

    def __reduce__(self) -> tuple[Any, ...]:
        return _unfolded_again, (as_text(self.unfolded.recurrence), self.unfolded.times.stop - 1)

    def _repr_svg_(self) -> str:
        return self.draw().svg

    def evaluate(self, **values: Tensor) -> dict[str, Tensor]:
        """Compute every returned value at every step.

        >>> elman.unfold(5).evaluate(x=x, h=h0, U=U, W=W, b=b, V=V, c=c)["o"].shape
        (batch, 5, 2)

        Args:
            values: every input (batch, steps, size), or (batch, steps) for tokens, or (batch, size) and (batch, rows,
                size) if it is fixed in time; every initial state (batch, size), or (batch,) for scalars and tokens; and
                every parameter.

        Returns:
            By name, tensors (batch, steps, size), (batch, steps) for scalars, (batch, steps, rows, columns) for
            matrices.

        Raises:
            InputError: a value is missing, unknown, or has a shape that does not match the others.
        """
        import torch

        u = self.unfolded
        expected = u.recurrence.leaves
        for name in values:
            if name not in expected:
                hint = did_you_mean(name, expected)
                raise InputError(f"'{u.recurrence.name}' has no input, state or parameter '{name}'{hint}")
        if missing := [n for n in expected if n not in values]:
            raise InputError(f"evaluate needs the values of {', '.join(missing)}")
        leaves: dict[Node, Tensor] = {node: _columns(values[n], node) for n, node in u.start.items()}
        leaves |= {node: values[n] for n, node in {**u.recurrence.parameters, **u.fixed}.items()}
        for (name, t), node in u.inputs.items():
            steps = values[name].shape[1] if values[name].ndim > 1 else 0
            if steps != len(u.times):
                raise InputError(
                    f"'{name}' must have shape (batch, {len(u.times)}, ...), got {tuple(values[name].shape)}"
                )
            leaves[node] = values[name][:, t - u.times[0]]
        state = next(iter(values[n] for n in u.recurrence.states))
        like = next((x for x in (state, *values.values()) if x.is_floating_point()), torch.empty(0))
        result = evaluate(u.values.values(), leaves, _sizes(leaves), like)
        series = {n: [result[u.values[n, t]] for t in u.times] for n in u.recurrence.returns}
        batch = len(state)  # a value that depends only on parameters is the same in every sequence
        nodes = u.recurrence.returns
        together = {n: torch.stack([every_row(v, nodes[n], batch) for v in s], 1) for n, s in series.items()}
        return {n: s if nodes[n].type.dims else s[..., 0] for n, s in together.items()}


def _columns(value: Tensor, node: Node) -> Tensor:
    """A state as (batch, size); a scalar state (batch,) becomes (batch, 1)."""
    return value if node.type.dims or value.ndim != 1 else value[:, None]


def _unfolded_again(text: str, steps: int) -> Graph:
    """The graph of a pickle."""
    return Graph(unfold(from_text(text), steps))


def _written(name: str, value: Tensor, steps: int) -> list[float | str]:
    """The numbers to write in the circles of a value: a scalar itself, or the root mean square of a vector or a
    matrix."""
    if value.ndim not in (2, 3, 4) or value.shape[:2] != (1, steps):
        raise InputError(
            f"values['{name}'] must have shape (1, {steps}, ...), for one sequence; got {tuple(value.shape)}"
        )
    rows = value.detach().double()
    return list((rows if rows.ndim == 2 else rows.flatten(2).square().mean(2).sqrt())[0].tolist())


def _sizes(leaves: dict[Node, Tensor]) -> dict[str, int]:
    """The value of every size name, from the shapes of the given tensors."""
    solver = Solver()
    for node, value in leaves.items():
        if node.type.kind == "real":
            dims = node.type.dims
            given = value.shape[value.ndim - len(dims) :]
            try:
                for size, number in zip(dims, given, strict=True):
                    solver.equal(size, Size.of(number))
            except (Conflict, ValueError):
                raise InputError(
                    f"'{node['name']}' must be a {node.type}, got shape {tuple(value.shape)}, "
                    "which does not match the other values"
                ) from None
    return {n: int(s.constant) for n, s in solver.known.items() if not s.terms}
