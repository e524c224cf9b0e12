"""The largest Lyapunov exponents: by how much small differences of the state grow at each step, as a logarithm, on
average along a trajectory. Benettin, Galgani, Giorgilli and Strelcyn (1980), Meccanica 15: directions are carried along
and made orthogonal again and again (QR); how much that shortens them is what they have grown. Here they are carried
backward by the network's own backward pass: the transposed Jacobians have the same exponents. For recurrent networks:
Engelken, Wolf and Abbott (2023), Physical Review Research 5."""

from __future__ import annotations

import torch

from .jacobian import pull
from .trajectory import Trajectory

SEQUENCES, STEPS, EVERY = 4, 256, 8  # at most, and steps from one orthogonalisation to the next


def exponents(
    path: Trajectory, count: int, generator: torch.Generator, steps: int = STEPS, every: int = EVERY
) -> tuple[float, ...]:
    """The ``count`` largest exponents, in nats per step, over the last ``steps`` steps of the longest sequences. The
    first fifth of them, while the directions align, is not counted. Minus infinity: a difference that is gone at once.
    """
    count = min(count, path.units)
    chosen = [s for s in path.stretches[:SEQUENCES] if s[2] - s[1] >= min(steps, path.longest)]
    steps = min(steps, path.longest)
    rows = torch.tensor([row for row, _, _ in chosen]).repeat_interleave(count)
    behind = torch.tensor([end for _, _, end in chosen]).repeat_interleave(count)
    like = next(iter(path.start.values()))
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
