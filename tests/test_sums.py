"""Gradients of parameter matrices that a circuit uses by way of a function, against torch's own."""

from __future__ import annotations

import pytest
import torch

from cells_for_tests import ENGINES
from unrolled import Recurrent, circuit, maximum, relu, tanh, where
from unrolled.transform.differentiate import differentiate
from unrolled.transform.terms import Linear, Outer, Rows, classify, terms


@circuit
def functions_of_matrices(x, h, *, W, V, U, b):
    """A quotient, a choice, a difference, products with a transpose."""
    difference = relu(W) - 0.5 * (V.T @ W)
    larger = maximum(V / (1 + W * W), -W.T)
    return {"h": tanh(b + difference @ h + larger @ h + where(U > 0.1, U, 0.2 * U) @ x)}


def by_hand(x, h, W, V, U, b):
    for t in range(x.shape[1]):
        difference = torch.relu(W) - 0.5 * (V.T @ W)
        larger = torch.maximum(V / (1 + W * W), -W.T)
        h = torch.tanh(b + h @ difference.T + h @ larger.T + x[:, t] @ torch.where(U > 0.1, U, 0.2 * U).T)
    return h


@pytest.mark.parametrize("engine", ENGINES)
def test_functions_of_parameter_matrices(engine):
    net = Recurrent(functions_of_matrices, x=3, h=4, engine=engine, dtype=torch.float64)
    torch.manual_seed(0)
    weights = {n: p.data.normal_().clone().requires_grad_() for n, p in net.named_parameters()}
    x, start = torch.randn(2, 5, 3, dtype=torch.float64), torch.zeros(2, 4, dtype=torch.float64)
    mine, theirs = net(x).h[:, -1], by_hand(x, start, **weights)
    torch.testing.assert_close(mine, theirs, rtol=1e-12, atol=1e-14)
    expected = torch.autograd.grad(theirs.sin().sum(), list(weights.values()))
    actual = torch.autograd.grad(mine.sin().sum(), list(net.parameters()))
    for name, found, right in zip(weights, actual, expected, strict=True):
        torch.testing.assert_close(found, right, rtol=1e-11, atol=1e-13, msg=lambda m, name=name: f"{name}: {m}")


def test_each_term_is_one_product():
    """No term of a sum is a matrix that changes from step to step."""
    adjoint = differentiate(functions_of_matrices.recurrence)

    def innermost(node):
        kind = classify(node)
        return [k for t in terms(kind.moving) for k in innermost(t)] if isinstance(kind, Linear) else [kind]

    for name in ("∇W", "∇V", "∇U"):
        kinds = [kind for term in terms(adjoint.sums[name]) for kind in innermost(term)]
        assert kinds and all(isinstance(kind, Outer | Rows) for kind in kinds), name
