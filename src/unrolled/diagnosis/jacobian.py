"""The Jacobian of one step, ∂s(t)/∂s(t-1), over all states together.

A batch with one row per unit runs the step; the network's backward pass pulls a different unit vector back in each row.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .reach import looked_from
from .trajectory import Trajectory, Values

WORK = 512  # eigenvalues are computed at as many steps as fit into this many units, since their cost is cubic


def jacobians(path: Trajectory, rows: Tensor, steps: Tensor) -> Tensor:
    """The Jacobians at some steps of some sequences.

    Args:
        path: the pass of the layer.
        rows: the sequences (points,).
        steps: the step of each (points,).

    Returns:
        (points, units, units), where [p, i, j] is ∂s_i(t)/∂s_j(t-1).
    """
    count, units = len(rows), path.units
    entering = {n: s.repeat_interleave(units, 0).requires_grad_() for n, s in path.before(rows, steps).items()}
    out = path.run(rows.repeat_interleave(units), steps.repeat_interleave(units), 1, entering)
    like = next(iter(entering.values()))
    every = torch.eye(units, dtype=like.dtype, device=like.device).repeat(count, 1)
    pulled = pull(path, dict(out.state), entering, every)
    return pulled.view(count, units, units)


def pull(path: Trajectory, after: Values, before: Values, directions: Tensor) -> Tensor:
    """Vector-Jacobian products through one call of the network.

    Args:
        path: the pass of the layer.
        after: the states after the call, by name (rows, size).
        before: the states before the call, by name (rows, size).
        directions: one vector over all states per row (rows, units).

    Returns:
        (rows, units).
    """
    sizes = [before[n].shape[1] for n in path.states]
    leaves = [before[n] for n in path.states]
    found = torch.autograd.grad(
        [after[n] for n in path.states], leaves, [*directions.split(sizes, 1)], allow_unused=True
    )
    return torch.cat([torch.zeros_like(leaf) if g is None else g for leaf, g in zip(leaves, found, strict=True)], 1)


def eigenvalues(path: Trajectory) -> list[list[complex]]:
    """The eigenvalues of the Jacobian at some steps, the largest first."""
    rows, ends, _ = looked_from(path)
    points = max(1, min(4, WORK // path.units))
    jacobian = jacobians(path, rows[:points], ends[:points]).double().cpu()
    found = torch.linalg.eigvals(jacobian[jacobian.isfinite().flatten(1).all(1)])
    return [sorted(values.tolist(), key=lambda v: (-abs(v), -v.imag)) for values in found]
