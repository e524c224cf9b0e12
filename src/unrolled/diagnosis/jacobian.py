"""The Jacobian of one step, ∂s(t)/∂s(t-1), over all states together.

A batch with one row per unit runs the step; the network's backward pass pulls a different unit vector back in each row.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .reach import looked_from, pulled
from .trajectory import Trajectory, Values

WORK = 512  # eigenvalues are computed at as many steps as fit into this many units, since their cost is cubic
MANY = 2048  # with more units, as of a matrix state, only the largest eigenvalues are computed
BASIS = 60  # number of vectors from which they are computed


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
    return pull(path, dict(out.state), entering, every).view(count, units, units)


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
    sent = dict(zip(path.states, directions.split(sizes, 1), strict=True))
    return torch.cat(pulled(after, sent, leaves), 1)


def eigenvalues(path: Trajectory) -> list[list[complex]]:
    """The eigenvalues of the Jacobian at some steps, the largest first; of a large Jacobian, only the largest ones."""
    rows, ends, _ = looked_from(path)
    if path.units > MANY:
        return [largest_eigenvalues(path, rows[:1], ends[:1])]
    points = max(1, min(4, WORK // path.units))
    jacobian = jacobians(path, rows[:points], ends[:points]).double().cpu()
    found = torch.linalg.eigvals(jacobian[jacobian.isfinite().flatten(1).all(1)])
    return [sorted(values.tolist(), key=lambda v: (-abs(v), -v.imag)) for values in found]


def largest_eigenvalues(path: Trajectory, row: Tensor, step: Tensor, basis: int = BASIS) -> list[complex]:
    """The largest eigenvalues of the Jacobian of one step, by products with it alone.

    Method of Arnoldi (1951), Quarterly of Applied Mathematics 9: the eigenvalues of the Jacobian restricted to the
    vectors v, v J, v J², ... approach its largest ones.

    Args:
        path: the pass of the layer.
        row: the sequence (1,).
        step: the step (1,).
        basis: the number of vectors.

    Returns:
        the largest first.
    """
    entering = {n: s.requires_grad_() for n, s in path.before(row, step).items()}
    after, like = dict(path.run(row, step, 1, entering).state), next(iter(entering.values()))
    count = min(basis, path.units)
    vectors = torch.randn(1, path.units, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    vectors /= vectors.norm()
    square = torch.zeros(count, count, dtype=torch.float64)
    for k in range(count):
        image = pull(path, after, entering, vectors[k : k + 1].to(like)).double().cpu()
        for _ in range(2):  # twice, since rounding leaves a part behind
            along = image @ vectors.T
            image = image - along @ vectors
            square[k, : k + 1] += along[0]
        length = image.norm()
        if k + 1 == count or length < 1e-12:
            break
        square[k, k + 1] = length
        vectors = torch.cat([vectors, image / length])
    found = torch.linalg.eigvals(square[: len(vectors), : len(vectors)])
    return sorted(found.tolist(), key=lambda v: (-abs(v), -v.imag))
