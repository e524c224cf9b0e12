"""Gradients of inputs that are fixed in time, which are sums over the steps of each sequence: as states of the adjoint
that add up at every step, so that no engine has to store what is added."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

from ..graph.node import leaf
from ..graph.ops import is_constant, make
from ..graph.recurrence import Recurrence
from ..transform.differentiate import gradient


def total(name: str) -> str:
    """The name of the state that adds up the gradient of a fixed input."""
    return f"Σ{gradient(name)}"


@lru_cache(maxsize=256)
def with_totals(adjoint: Recurrence, fixed: tuple[str, ...]) -> Recurrence:
    """The adjoint with a state for the gradient of each of some fixed inputs. These states come last."""
    leaves = {n: leaf("state", adjoint.sums[gradient(n)].type, name=total(n)) for n in fixed}
    new = {n: adjoint.sums[gradient(n)] for n in fixed}
    added = {total(n): leaves[n] if is_constant(g, 0) else make("add", leaves[n], g) for n, g in new.items()}
    return replace(
        adjoint,
        states={**adjoint.states, **{total(n): x for n, x in leaves.items()}},
        returns={**adjoint.returns, **added},
        sums={n: g for n, g in adjoint.sums.items() if n not in set(map(gradient, fixed))},
    )
