"""What the numbers of a layer mean, in plain words, and what to do about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .layer import Layer

PART = 4  # gradients vanish if they reach back less than a quarter of the steps examined
GROWN = 100.0  # gradients explode if the Jacobian grows by more than this factor
MANY = 0.25  # share of dead or saturated units that is worth reporting
MUCH = 0.1  # norm of the Jacobian above which the states still remember where the loss's gradient has vanished


@dataclass(frozen=True)
class Finding:
    """One conclusion about a layer.

    Attributes:
        kind: 'nan', 'explode', 'vanish', 'dead', 'saturated' or 'healthy'.
        words: what was found, with numbers.
        remedy: what to do about it.
    """

    kind: str
    words: str
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.words}. {self.remedy}".rstrip()


def findings(layer: Layer) -> tuple[Finding, ...]:
    """All conclusions about a layer, the most serious first; at least one."""
    if layer.problem:
        return (_broken(layer),)
    found = [f for f in (_exploding(layer), _vanishing(layer), _dead(layer), _saturated(layer)) if f]
    return tuple(found) or (_healthy(layer),)


def _broken(layer: Layer) -> Finding:
    remedy = "Nothing after it can be measured. Check the data at that step, or go back to an earlier checkpoint."
    return Finding("nan", f"Not all values are finite. The first: {layer.problem}", remedy)


def _exploding(layer: Layer) -> Finding | None:
    assert layer.reach is not None
    norms, lags = layer.reach.jacobian, layer.reach.lags
    worst = max(range(len(norms)), key=lambda k: (norms[k] != norms[k], norms[k]))
    if not (norms[worst] > GROWN or norms[worst] != norms[worst]) or layer.exponents[0] <= 0:
        return None
    words = (
        f"Gradients explode: they grow by a factor of {_number(norms[worst])} over {count_of(lags[worst])}, "
        f"{layer.reach.rate:.3g} per step (largest Lyapunov exponent {layer.exponents[0]:.3f}; spectral radius "
        f"{layer.radius:.2f})"
    )
    remedy = (
        "Initialise the recurrent weights orthogonally or with a spectral radius of at most 1; clip the gradient "
        "(training.clip), and lower the learning rate."
    )
    return Finding("explode", words, remedy)


def _vanishing(layer: Layer) -> Finding | None:
    assert layer.reach is not None
    reach = layer.reach
    if not reach.seen or reach.steps >= reach.farthest / PART or (reach.jacobian[-1] > 1):
        return None
    words = (
        f"Gradients vanish within {count_of(reach.steps)}: beyond that lag, less than 1 % of the gradient at lag 1 is "
        f"left, so the network learns from no more than {reach.steps:,} of {reach.farthest:,} steps. "
    )
    if _at(reach.lags, reach.jacobian, reach.steps) > MUCH:
        words += (
            f"The states remember longer (a factor of {reach.rate:.3f} per step), but the loss does not depend on it"
        )
        return Finding("vanish", words, "Look for saturated units, and train longer.")
    words += f"Each step multiplies the gradient by {reach.rate:.3f}"
    gates = "Open the gates that keep the state: a bias of 3 keeps sigmoid(3) = 0.95 of it per step"
    cell = "Use a cell with a direct memory path (lstm, gru), or initialise the recurrent weights orthogonally"
    return Finding("vanish", words, f"{gates if layer.gated else cell}; or use a window no longer than that.")


def _dead(layer: Layer) -> Finding | None:
    stuck = {f"state {n}": (len(units), total) for n, units, total in _unmoved(layer)}
    stuck |= {a.name: (len(a.dead), a.units) for a in layer.activities}
    name, (dead, total) = max(stuck.items(), key=lambda item: item[1][0] / max(item[1][1], 1))
    if dead < MANY * total or not dead:
        return None
    words = f"{dead} of {total} units are dead: their {name} has the same value at every step, so they learn nothing"
    return Finding("dead", words, "Lower the learning rate, start the bias above zero, or use fewer units.")


def _saturated(layer: Layer) -> Finding | None:
    candidates = [a for a in layer.activities if a.function == "tanh"]
    worst = max(candidates, key=lambda a: len(a.saturated) / a.units, default=None)
    if worst is None or len(worst.saturated) < MANY * worst.units:
        return None
    words = (
        f"{len(worst.saturated)} of {worst.units} units of {worst.name} are saturated: their slope is below a tenth of "
        "its maximum at nine of ten steps or more"
    )
    return Finding("saturated", words, "Scale down the inputs or the initial weights, or add layer normalisation.")


def _healthy(layer: Layer) -> Finding:
    assert layer.reach is not None
    reach = layer.reach
    far = count_of(reach.steps) if reach.seen else f"all {count_of(reach.steps)} that were examined"
    return Finding("healthy", f"Healthy: gradients reach back {far}; each step multiplies them by {reach.rate:.3f}")


def _unmoved(layer: Layer) -> list[tuple[str, tuple[int, ...], int]]:
    return [(n, units, layer.sizes[n]) for n, units in (layer.unmoved or {}).items()]


def count_of(count: int) -> str:
    """A number of steps in words: '1 step', '1,000 steps'."""
    return f"{count:,} step{'s' * (count != 1)}"


def _at(lags: Sequence[int], norms: Sequence[float], lag: int) -> float:
    """The norm at the first measured lag that is at least ``lag``."""
    return next(norm for far, norm in zip(lags, norms, strict=True) if far >= lag)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value < 1e5 else f"{value:.1e}"
