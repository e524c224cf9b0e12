"""What the numbers of a layer mean, in plain words, and what to do about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .layer import Layer

PART = 4  # vanished before a quarter of the steps that were looked back
GROWN = 100.0  # times that a difference may grow within the steps that were looked back
MANY = 0.25  # of the units
MUCH = 0.1  # of a difference of the states, where the gradient of the loss has vanished


@dataclass(frozen=True)
class Finding:
    """kind: 'nan', 'explode', 'vanish', 'dead', 'saturated' or 'healthy'; words: what, with numbers; remedy."""

    kind: str
    words: str
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.words}. {self.remedy}".rstrip()


def findings(layer: Layer) -> tuple[Finding, ...]:
    """What there is to say about a layer, the gravest first; at least one."""
    if layer.problem:
        return (_broken(layer),)
    found = [f for f in (_exploding(layer), _vanishing(layer), _dead(layer), _saturated(layer)) if f]
    return tuple(found) or (_healthy(layer),)


def _broken(layer: Layer) -> Finding:
    remedy = "What comes after it cannot be measured. Look at the data there, or go back to a checkpoint before it"
    return Finding("nan", f"Not all values are numbers: the first is {layer.problem}", f"{remedy}.")


def _exploding(layer: Layer) -> Finding | None:
    assert layer.reach is not None
    norms, lags = layer.reach.jacobian, layer.reach.lags
    worst = max(range(len(norms)), key=lambda k: (norms[k] != norms[k], norms[k]))
    if not (norms[worst] > GROWN or norms[worst] != norms[worst]) or layer.exponents[0] <= 0:
        return None
    words = (
        f"Gradients explode: over {count_of(lags[worst])} they grow {_number(norms[worst])} times, by "
        f"{layer.reach.rate:.3g} a step (largest Lyapunov exponent {layer.exponents[0]:.3f}; spectral radius "
        f"{layer.radius:.2f})"
    )
    remedy = "Start the recurrent weights orthogonal or with a spectral radius of 1 or less; clip the gradient " + (
        "(training.clip), and lower the learning rate."
    )
    return Finding("explode", words, remedy)


def _vanishing(layer: Layer) -> Finding | None:
    assert layer.reach is not None
    reach = layer.reach
    if not reach.seen or reach.steps >= reach.farthest / PART or (reach.jacobian[-1] > 1):
        return None
    words = (
        f"Gradients vanish within {count_of(reach.steps)}: behind that lag less than 1 % is left of what arrives at "
        f"lag 1, so that of {reach.farthest:,} steps no more can be learned from. "
    )
    if _at(reach.lags, reach.jacobian, reach.steps) > MUCH:
        words += f"The states themselves keep more, {_factor(reach.rate)} a step, but not where the loss could see it"
        return Finding("vanish", words, "Look at saturated units, and train longer.")
    words += f"A step keeps {_factor(reach.rate)}"
    gates = "Start the gates that keep the state open: a bias of 3 keeps sigmoid(3) = 0.95 of it a step"
    cell = "Use a cell with a straight memory path (lstm, gru), or start the recurrent weights orthogonal"
    return Finding("vanish", words, f"{gates if layer.gated else cell}; or let a window be no longer than that.")


def _dead(layer: Layer) -> Finding | None:
    stuck = {f"state {n}": (len(units), total) for n, units, total in _unmoved(layer)}
    stuck |= {a.name: (len(a.dead), a.units) for a in layer.activities}
    name, (dead, total) = max(stuck.items(), key=lambda item: item[1][0] / max(item[1][1], 1))
    if dead < MANY * total or not dead:
        return None
    words = f"{dead} of {total} units are dead: {name} is the same at every step, so that nothing can be learned by it"
    return Finding("dead", words, "Lower the learning rate or start the bias above zero; or take fewer units.")


def _saturated(layer: Layer) -> Finding | None:
    candidates = [a for a in layer.activities if a.function == "tanh"]
    worst = max(candidates, key=lambda a: len(a.saturated) / a.units, default=None)
    if worst is None or len(worst.saturated) < MANY * worst.units:
        return None
    words = (
        f"{len(worst.saturated)} of {worst.units} units of {worst.name} are saturated: their slope is below a "
        "tenth at nine steps of ten"
    )
    return Finding("saturated", words, "Scale the inputs or the starting weights down, or add layer normalisation.")


def _healthy(layer: Layer) -> Finding:
    assert layer.reach is not None
    reach = layer.reach
    far = count_of(reach.steps) if reach.seen else f"all {count_of(reach.steps)} that were looked at"
    return Finding("healthy", f"Healthy: gradients reach back {far}, and a step keeps {_factor(reach.rate)}")


def _unmoved(layer: Layer) -> list[tuple[str, tuple[int, ...], int]]:
    return [(n, units, layer.sizes[n]) for n, units in (layer.unmoved or {}).items()]


def count_of(count: int) -> str:
    return f"{count:,} step{'s' * (count != 1)}"


def _at(lags: Sequence[int], norms: Sequence[float], lag: int) -> float:
    """The norm at the first of the lags that is as far."""
    return next(norm for far, norm in zip(lags, norms, strict=True) if far >= lag)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value < 1e5 else f"{value:.1e}"


def _factor(rate: float) -> str:
    return f"{rate:.3f} of it" if rate < 0.9995 else f"all of it (times {rate:.3f})"
