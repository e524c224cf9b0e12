"""How far back gradients reach: gradients against lag, computed by the network's own backward pass.

The gradient of the loss at step t is propagated back segment by segment. The network's engine recomputes each segment
from its initial state, as ``Snapshots`` does. At every border this gives ∂L(t)/∂s(t-τ) exactly, and each segment gives
the contribution of its lags to the gradient of each parameter. Random directions of the state are propagated back as
well: their mean square length is the squared norm of the Jacobian ∂s(t)/∂s(t-τ) (Hutchinson 1990). On vanishing and
exploding gradients see Hochreiter (1991); Bengio, Simard and Frasconi (1994); Pascanu, Mikolov and Bengio (2013).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from .trajectory import Trajectory, Values

POINTS = 8  # number of steps t to look back from
SHARE = 0.01  # a gradient below this share of the gradient at lag 1 has vanished
NOTHING = 1e-30  # smaller gradients are not followed further
FINER = 1.25  # ratio of two neighbouring lags


@dataclass(frozen=True)
class Reach:
    """Gradients against lag. Norms are root mean squares over some steps t.

    Attributes:
        lags: τ in steps.
        gradient: ‖∂L(t)/∂s(t-τ)‖.
        jacobian: ‖∂s(t)/∂s(t-τ)‖, the Frobenius norm divided by the root of the number of units: 1 at lag 0.
        parameters: by name, for each lag the norm of the contribution of its steps to the gradient. The steps of a lag
            are t-τ+1 ... t without those of the previous lag.
        steps: the first lag from which on the gradient stays below 1 % of its value at lag 1; otherwise the longest.
        seen: whether there is such a lag.
        farthest: how many steps back to look.
        rate: the factor by which the Jacobian changes per step, at long lags.
    """

    lags: tuple[int, ...]
    gradient: tuple[float, ...]
    jacobian: tuple[float, ...]
    parameters: dict[str, tuple[float, ...]]
    steps: int
    seen: bool
    farthest: int
    rate: float

    def per_step(self, name: str) -> tuple[float, ...]:
        """The contributions to a parameter's gradient, divided by the number of steps of each lag."""
        widths = [far - near for near, far in pairwise([0, *self.lags])]
        return tuple(part / width for part, width in zip(self.parameters[name], widths, strict=True))


def reach(path: Trajectory, farthest: int, generator: torch.Generator) -> Reach:
    """Look back from some steps of a pass, by ``farthest`` steps or as many as there are."""
    rows, ends, depth = looked_from(path)
    farthest = min(farthest, int(depth.max()))
    lags = lags_to(farthest)
    weights = {n: p for n, p in path.net.named_parameters(recurse=False) if p.requires_grad}
    learning: Values = {}  # the gradient of the loss with respect to the states after a segment
    probe = _directions(path, len(rows), generator)
    gradient, jacobian, parts = [], [], dict[str, list[float]]({n: [] for n in weights})
    for near, far in pairwise([0, *lags]):
        alive = depth >= far
        if not bool(alive.all()):
            rows, ends, depth = rows[alive], ends[alive], depth[alive]
            learning, probe = ({n: v[alive] for n, v in of.items()} for of in (learning, probe))
        first = ends - far + 1
        entering = {n: s.requires_grad_() for n, s in path.before(rows, first).items()}
        out = path.run(rows, first, far - near, entering, learning=True)
        last = {n: out[n][:, -1] for n in path.direct} if near == 0 else {n: out.state[n] for n in path.states}
        learning = {n: g[rows, ends] for n, g in path.direct.items()} if near == 0 else learning
        leaves = [*entering.values(), *weights.values()]
        found = pulled(last, learning, leaves)
        learning = dict(zip(entering, found, strict=False))
        for n, g in zip(weights, found[len(entering) :], strict=True):
            parts[n].append(float(g.norm()))
        probe = dict(zip(entering, pulled({n: out.state[n] for n in path.states}, probe, leaves), strict=False))
        gradient.append(_length(learning))
        jacobian.append(_length(probe))
        if not NOTHING < jacobian[-1] < math.inf:
            break
    lags = lags[: len(jacobian)]
    steps, seen = _vanished(lags, gradient if max(gradient) > 0 else jacobian)
    named = {n: tuple(v) for n, v in parts.items()}
    return Reach(lags, tuple(gradient), tuple(jacobian), named, steps, seen, farthest, rate(lags, jacobian))


def looked_from(path: Trajectory) -> tuple[Tensor, Tensor, Tensor]:
    """Steps to look back from, in the longest stretches.

    Returns:
        their sequences, their steps, and the number of steps up to each, all (points,).
    """
    longest = path.stretches[:POINTS]
    times = -(-POINTS // len(longest))
    found = []
    for k in range(times):  # from the end of a stretch, then from within its second half
        found += [(row, end - 1 - k * (end - first) // (2 * times), first) for row, first, end in longest]
    rows, ends, first = torch.tensor(found[:POINTS]).unbind(1)
    return rows, ends, ends - first + 1


def lags_to(farthest: int) -> tuple[int, ...]:
    """Lags 1, 2, 3 ... with growing distances, up to the farthest."""
    lags = [1]
    while lags[-1] < farthest:
        lags.append(min(max(lags[-1] + 1, int(lags[-1] * FINER)), farthest))
    return tuple(lags)


def rate(lags: tuple[int, ...], norms: list[float]) -> float:
    """The factor per step: the slope of the logarithm of the norms over the longer three quarters of the lags."""
    known = [(lag, math.log(v)) for lag, v in zip(lags, norms, strict=True) if NOTHING < v < math.inf]
    if not known:
        return 0.0 if norms[0] < 1 else math.inf
    known = [(0, 0.0), *known] if len(known) < 3 else [p for p in known if p[0] >= known[-1][0] / 4]
    x, y = torch.tensor(known, dtype=torch.float64).unbind(1)
    x = x - x.mean()
    return math.exp(float((x * y).sum() / (x * x).sum()))


def _vanished(lags: tuple[int, ...], norms: list[float]) -> tuple[int, bool]:
    """The first lag from which on all norms are below 1 % of the norm at lag 1, and whether there is one.

    Between two measured lags, the logarithm is interpolated linearly.
    """
    least = SHARE * norms[0]
    above = max((k for k, v in enumerate(norms) if not v < least), default=0)
    if above == len(norms) - 1:
        return lags[-1], False
    high, low = math.log(norms[above]), math.log(max(norms[above + 1], NOTHING**2))
    part = (high - math.log(least)) / (high - low) if norms[above] > 0 and high > low else 1.0
    return math.ceil(lags[above] + part * (lags[above + 1] - lags[above])), True


def _directions(path: Trajectory, count: int, generator: torch.Generator) -> Values:
    """Random unit vectors over all states, by state."""
    like = path.start[path.states[0]]
    drawn = torch.randn(count, path.units, generator=generator, dtype=like.dtype).to(like.device)
    drawn = drawn / drawn.norm(dim=1, keepdim=True)
    sizes = [path.start[n].shape[1] for n in path.states]
    return dict(zip(path.states, drawn.split(sizes, 1), strict=True))


def pulled(values: Values, gradients: Values, leaves: list[Tensor]) -> list[Tensor]:
    """Gradients with respect to some values, propagated back to the leaves; zero where none arrives."""
    names = [n for n in values if n in gradients and values[n].requires_grad]
    if not names:
        return [torch.zeros_like(leaf) for leaf in leaves]
    found = torch.autograd.grad(
        [values[n] for n in names], leaves, [gradients[n] for n in names], retain_graph=True, allow_unused=True
    )
    return [torch.zeros_like(leaf) if g is None else g for leaf, g in zip(leaves, found, strict=True)]


def _length(parts: Values) -> float:
    """The root mean square length over points."""
    return float(torch.cat([v.double() for v in parts.values()], 1).square().sum(1).mean().sqrt())
