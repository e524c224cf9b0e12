"""The largest Lyapunov exponents: the mean logarithmic growth of small differences of the state per step.

Method of Benettin, Galgani, Giorgilli and Strelcyn (1980), Meccanica 15: directions are propagated along a trajectory
and orthogonalised repeatedly (QR); the diagonal of R holds their growth. Here the network's own backward pass
propagates them backward in time, since the transposed Jacobians have the same exponents. For recurrent networks see
Engelken, Wolf and Abbott (2023), Physical Review Research 5.
"""

from __future__ import annotations

import torch

from .jacobian import pull
from .trajectory import Trajectory

SEQUENCES, STEPS, EVERY = 4, 256, 8  # most sequences, most steps, steps between two orthogonalisations


def exponents(
    path: Trajectory, count: int, generator: torch.Generator, steps: int = STEPS, every: int = EVERY
) -> tuple[float, ...]:
    """The ``count`` largest exponents, in nats per step, over the last ``steps`` steps of the longest sequences.

    The first fifth does not count, since the directions are still aligning. An exponent of minus infinity means that
    some difference disappears within one step.

    Args:
        path: the pass of the layer.
        count: number of exponents, at most the number of units.
        generator: draws the initial directions.
        steps: how many steps to go back.
        every: steps between two orthogonalisations.
    """
    count = min(count, path.units)
    chosen = [s for s in path.stretches[:SEQUENCES] if s[2] - s[1] >= min(steps, path.longest)]
    steps = min(steps, path.longest)
    rows = torch.tensor([row for row, _, _ in chosen]).repeat_interleave(count)
    behind = torch.tensor([end for _, _, end in chosen]).repeat_interleave(count)
    like = path.start[path.states[0]]
    vectors = torch.randn(len(chosen), path.units, count, generator=generator, dtype=torch.float64)
    vectors = torch.linalg.qr(vectors)[0]
    grown, counted = torch.zeros(count, dtype=torch.float64), 0
    done = 0
    while done < steps:
        length = min(every, steps - done)
        first = behind - done - length
        entering = {n: s.requires_grad_() for n, s in path.before(rows, first).items()}
        out = path.run(rows, first, length, entering)
        directions = vectors.mT.reshape(-1, path.units).to(like)
        pulled = pull(path, dict(out.state), entering, directions).double().cpu()
        vectors, triangle = torch.linalg.qr(pulled.view(len(chosen), count, path.units).mT)
        done += length
        if done > steps // 5:
            grown += triangle.diagonal(dim1=1, dim2=2).abs().log().mean(0)
            counted += length
    return tuple(sorted((grown / counted).tolist(), reverse=True))
