"""All measurements of one layer."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ..draw.numbers import special
from ..sequence.series import padded
from ..train.fault import unmasked
from .capacity import Memory, memory
from .jacobian import eigenvalues
from .lyapunov import exponents
from .reach import Reach, reach
from .trajectory import Trajectory, Values
from .units import Activity, activities, unmoved


@dataclass(frozen=True)
class Problem:
    """The first value that is not finite: its name, sequence, step and unit (all from 0), and NaN, ∞ or -∞."""

    name: str
    sequence: int
    step: int
    unit: int
    kind: str

    def __str__(self) -> str:
        return f"{self.name} is {self.kind} at step {self.step} of sequence {self.sequence}, unit {self.unit}"


@dataclass(frozen=True)
class Layer:
    """The measurements of one layer. Those after ``problem`` are missing if a value is not finite.

    Attributes:
        name: its name in the model.
        circuit: the name of its circuit.
        engine: the engine that runs it.
        units: the total size of its states.
        steps: the length of its longest sequence.
        gated: whether its equations contain a sigmoid.
        sizes: the size of each state.
        problem: the first value that is not finite.
        reach: gradients against lag.
        eigenvalues: of the Jacobian of one step, at some steps, the largest first.
        exponents: the largest Lyapunov exponents, in nats per step.
        activities: saturated and dead units.
        unmoved: the units of each state that never change.
        memory: the linear memory.
    """

    name: str
    circuit: str
    engine: str
    units: int
    steps: int
    gated: bool
    sizes: dict[str, int]
    problem: Problem | None = None
    reach: Reach | None = None
    eigenvalues: tuple[tuple[complex, ...], ...] = ()
    exponents: tuple[float, ...] = ()
    activities: tuple[Activity, ...] = ()
    unmoved: dict[str, tuple[int, ...]] | None = None
    memory: Memory | None = None

    @property
    def radius(self) -> float:
        """The mean spectral radius of the Jacobians."""
        largest = [abs(values[0]) for values in self.eigenvalues]
        return sum(largest) / len(largest) if largest else 0.0


def diagnose_layer(path: Trajectory, farthest: int, count: int, generator: torch.Generator) -> Layer:
    """Measure a layer: gradients over ``farthest`` steps, ``count`` Lyapunov exponents, and the rest."""
    step = path.net.circuit.recurrence
    gated = any(node.op == "sigmoid" for node in step.nodes)
    known = {
        "name": path.layer,
        "circuit": path.net.circuit.name,
        "engine": path.net.engine,
        "units": path.units,
        "steps": path.longest,
        "gated": gated,
        "sizes": {n: path.start[n].shape[1] for n in path.states},
    }
    if problem := locate(path):
        return Layer(**known, problem=problem)  # type: ignore[arg-type]
    return Layer(
        **known,  # type: ignore[arg-type]
        reach=reach(path, farthest, generator),
        eigenvalues=tuple(tuple(values) for values in eigenvalues(path)),
        exponents=exponents(path, count, generator),
        activities=activities(path, generator),
        unmoved=unmoved(path),
        memory=memory(path, farthest, generator),
    )


def locate(path: Trajectory) -> Problem | None:
    """The first value that is not finite: in the parameters, then in inputs and outputs in order of time, then in the
    gradient of the loss."""
    for n, parameter in path.net.named_parameters(recurse=False):
        if len(wrong := (~torch.isfinite(parameter.detach().flatten())).nonzero()):
            value = float(parameter.detach().flatten()[wrong[0]])
            return Problem(f"parameter {n}", 0, 0, int(wrong[0]), special(value))
    direct = {f"∂L/∂{n}": g for n, g in path.direct.items()}
    returns = path.net.circuit.recurrence.returns
    out = {n: unmasked(returns[n], values) for n, values in path.out.items()}
    fixed = {n: padded(x)[:, None] for n, x in path.fixed.items()}  # read at the first step
    return _first({**path.inputs, **fixed, **out}) or _first(direct)


def _first(named: Values) -> Problem | None:
    """The first value that is not finite, by time and then by name."""
    found = []
    for order, (n, values) in enumerate(named.items()):
        series = values.reshape(*values.shape[:2], -1)
        wrong = (~torch.isfinite(series)).nonzero()
        if len(wrong):
            row, step, unit = wrong[wrong[:, 1].argmin()].tolist()
            found.append((step, order, Problem(n, row, step, unit, special(float(series[row, step, unit])))))
    return min(found, key=lambda entry: entry[:2])[2] if found else None
