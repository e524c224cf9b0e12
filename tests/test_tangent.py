"""The tangent of a recurrence, and what rests on it: forward mode, gradients of gradients, ``torch.func``.

The complex step and torch's own differentiation of plain operations say what is right.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.autograd.forward_ad as forward_ad
from torch import Tensor
from torch.func import functional_call, grad, hessian, jacfwd, jacrev, jvp, vmap

from cells_for_tests import SIZES as OF_CELLS
from unrolled import EngineError, Ragged, Recurrent, State, Truncated, cells, circuit
from unrolled.cells import ALL
from unrolled.circuits import tanh
from unrolled.engines.plain import PLAIN
from unrolled.errors import CircuitError
from unrolled.graph.bind import bind
from unrolled.graph.node import TOKEN
from unrolled.graph.ops import OPS
from unrolled.graph.stored import as_text, from_text
from unrolled.nn import known_calls
from unrolled.testing.gradients import complex_rules, complex_step, random_leaves, random_weights, values_and_gradients
from unrolled.testing.strategies import random_circuit
from unrolled.transform.evaluate import evaluate, every_row
from unrolled.transform.tangent import BILINEAR, LINEAR, REDUCING, dotted, tangent

every_engine = pytest.mark.parametrize("engine", ["reference", "torch", "c"])
SMOOTH = [n for n in ALL if n not in ("relu_rnn", "irnn")]
SIZES = {"x": 3, "h": 4}


def network(cell: str = "gru", engine: str = "c", **more: Any) -> Recurrent:
    torch.manual_seed(3)
    sizes = {**SIZES, "o": 2} if "o" in ALL[cell].outputs and "y" not in ALL[cell].inputs else SIZES
    return Recurrent(ALL[cell], engine=engine, dtype=torch.float64, **sizes, **more)


def close(found: Tensor, right: Tensor, tolerance: float = 1e-12) -> None:
    found, right = found.detach(), right.detach()
    assert found.shape == right.shape
    if right.numel():
        assert float((found - right).abs().max()) <= tolerance * max(1.0, float(right.abs().max()))


X = torch.randn(2, 5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
V = torch.randn(2, 5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(2))


# the recurrence


def test_every_op_has_one_way_forward():
    assert not LINEAR & BILINEAR and not LINEAR & REDUCING and not BILINEAR & REDUCING
    assert set(OPS) >= LINEAR | BILINEAR | REDUCING


def test_the_equations():
    assert cells.elman.tangent().equations().splitlines() == [
        "a(t) = b + W h(t-1) + U x(t)",
        "h(t) = tanh(a(t))",
        "o(t) = c + V h(t)",
        "ȧ(t) = ḃ + Ẇ h(t-1) + W ḣ(t-1) + U̇ x(t) + U ẋ(t)",
        "ḣ(t) = (1 - h(t)²) ⊙ ȧ(t)",
        "ȯ(t) = ċ + V̇ h(t) + V ḣ(t)",
    ]
    assert r"\dot{\boldsymbol{h}}^{(t)} &= " in cells.elman.tangent().equations("latex")
    assert "ȧ̊(t) = " in cells.elman.tangent().tangent().equations()
    assert cells.rnn.tangent(of=["x"]).parameters == cells.rnn.parameters


def test_names():
    assert [dotted("h", k) for k in (1, 2, 3, 4)] == ["\u1e23", "h\u030a", "\u021f", "\u1e23\u0307"]
    assert dotted("W_x") == "Ẇ_x" and dotted("theta") == "ṫheta"

    @circuit
    def cell(x, h, *, theta, W_in, yhat):
        return {"h": tanh(W_in @ x + theta * h + yhat)}

    assert "Ẇ_in x(t) + W_in ẋ(t) + h(t-1) ⊙ θ̇ + θ ⊙ ḣ(t-1) + ŷ̇" in cell.tangent().equations()


@pytest.mark.parametrize("cell", ALL)
def test_a_tangent_is_a_circuit_like_any_other(cell: str):
    made = ALL[cell].tangent()
    assert as_text(from_text(as_text(made.recurrence))) == as_text(made.recurrence)
    assert made.adjoint().equations() and made.plan().explain() and "<svg" in made.draw(2).svg
    assert made.tangent().equations("latex")


def test_what_has_no_tangent():
    with pytest.raises(CircuitError, match=r"'elman' has no tangent of 'w'\. Choose from: x, U, W, b, V, c"):
        cells.elman.tangent(of=["w"])
    with pytest.raises(CircuitError, match=r"no tangent of 'h'\. Choose from: x, U, W, b, V, c"):
        cells.elman.tangent(of="h")


@pytest.mark.parametrize("cell", SMOOTH)
@pytest.mark.parametrize("steps", [1, 7, pytest.param(200, marks=pytest.mark.slow)])
def test_tangents_are_the_complex_step(cell: str, steps: int):
    step = ALL[cell].recurrence
    sizes = bind(step, OF_CELLS[cell])
    values = random_leaves(step, sizes, steps)
    moved = {n: v for n, v in values.items() if v.is_floating_point() and n not in step.constants}
    moves = {n: torch.randn_like(v) for n, v in moved.items()}
    made = tangent(step)
    doubled = {**values, **{dotted(n): u for n, u in moves.items()}}
    right = {n: v + 1e-30j * moves[n] if n in moves else v for n, v in values.items()}
    found, exact = run_by_table(made, sizes, doubled, steps), run_by_table(step, sizes, right, steps)
    for n, series in exact.items():
        close(found[dotted(n)].real, series.imag / 1e-30)


def run_by_table(step: Any, sizes: dict[str, int], values: dict[str, Tensor], steps: int) -> dict[str, Tensor]:
    """Every returned value, (steps, size), by the evaluation table continued to complex numbers."""
    like, table = torch.empty(0, dtype=torch.complex128), complex_rules()
    state = {n: values[n].to(like.dtype) for n in step.states}
    series: dict[str, list[Tensor]] = {n: [] for n in step.returns}
    as_number = {n: v.to(like.dtype) if v.is_floating_point() else v for n, v in values.items()}
    for t in range(steps):
        now = {node: as_number[n] for n, node in step.parameters.items()}
        now |= {node: as_number[n][:, t] for n, node in step.series.items()}
        now |= {step.inputs[n]: as_number[n] for n in step.fixed}
        now |= {node: state[n] for n, node in step.states.items()}
        result = evaluate(step.returns.values(), now, sizes, like, table)
        state = {n: every_row(result[step.returns[n]], step.returns[n], 1) for n in step.states}
        for n, node in step.returns.items():
            series[n].append(every_row(result[node], node, 1))
    return {n: torch.cat(s) for n, s in series.items()}


# second derivatives


@pytest.mark.parametrize("cell", SMOOTH)
@pytest.mark.parametrize("steps", [5, pytest.param(200, marks=pytest.mark.slow)])
def test_hessian_vector_products_are_the_complex_step(cell: str, steps: int):
    """Of the tangent, the complex step gives the gradient: that of ⟨g, Ju⟩ with respect to θ is the product."""
    step = ALL[cell].recurrence
    made = tangent(step)
    sizes = bind(step, OF_CELLS[cell])
    values = random_leaves(made, sizes, steps)
    weights = {n: w * (n not in step.returns) for n, w in random_weights(made, sizes, steps).items()}
    exact = complex_step(made, sizes, values, weights)
    _, found = values_and_gradients(made, sizes, values, weights)
    for n in step.leaves:
        if n in exact and n not in step.inputs:
            close(found[n], exact[n])


@every_engine
@pytest.mark.parametrize("cell", ["elman", "lstm", "gru", "layernorm_lstm"])
def test_gradcheck_and_gradgradcheck(engine: str, cell: str):
    net = network(cell, engine)
    names = [n for n, _ in net.named_parameters()]
    x = X[:, :3].clone().requires_grad_()

    def values(x: Tensor, *parameters: Tensor) -> tuple[Tensor, Tensor]:
        out = functional_call(net, dict(zip(names, parameters, strict=True)), (x,))
        return out.h, out.state.h

    given = (x, *net.parameters())
    assert torch.autograd.gradcheck(values, given, check_forward_ad=True, fast_mode=True)
    assert torch.autograd.gradgradcheck(values, given, check_fwd_over_rev=True, check_rev_over_rev=True, fast_mode=True)


@every_engine
def test_third_derivatives(engine: str):
    net, x = network("elman", engine), X[:1, :3].clone().requires_grad_()

    def second(x: Tensor) -> Tensor:
        first = torch.autograd.grad(net(x).h.pow(3).sum(), x, create_graph=True)[0]
        return torch.autograd.grad(first.pow(2).sum(), x, create_graph=True)[0]

    assert torch.autograd.gradcheck(second, (x,), fast_mode=True)


@every_engine
def test_a_parameter_that_is_computed_from_another_leaf_is_not_counted_twice(engine: str):
    net = network("rnn", engine)
    weights = {n: p.detach() for n, p in net.named_parameters()}

    def loss(x: Tensor) -> Tensor:
        own = {**weights, "b": x.mean() * torch.ones(4, dtype=torch.float64)}
        return functional_call(net, own, (x,), {"state": State(h=x[:, 0, :1].expand(2, 4))}).h.pow(2).sum()

    def second(x: Tensor) -> Tensor:
        first = torch.autograd.grad(loss(x), x, create_graph=True)[0]
        return torch.autograd.grad(first.pow(2).sum(), x, create_graph=True)[0]

    x = X.clone().requires_grad_()
    assert torch.autograd.gradgradcheck(loss, (x,), fast_mode=True)
    assert torch.autograd.gradcheck(second, (x,), fast_mode=True)


@every_engine
def test_gradients_of_gradients_of_ragged_batches_with_memory_policies(engine: str):
    from unrolled import Snapshots

    right = None
    for memory in (None, Snapshots(every=2)):
        net = network("lstm", engine, memory=memory)
        values = X.flatten(0, 1).clone().requires_grad_()
        out = net(Ragged(values=values, lengths=[4, 0, 6]))
        first = torch.autograd.grad(
            out.h.values.pow(2).sum() + out.state.c.sum(), list(net.parameters()), create_graph=True
        )
        second = torch.autograd.grad(sum(g.pow(2).sum() for g in first), [values, *net.parameters()])
        right = right or second
        for a, b in zip(second, right, strict=True):
            close(a, b)


def test_the_gradient_of_a_truncated_gradient_is_refused():
    net, x = network(memory=Truncated(window=2)), X.clone().requires_grad_()
    first = torch.autograd.grad(net(x).h.sum(), x, create_graph=True)[0]
    with pytest.raises(EngineError, match=r"memory=Truncated\(...\) leaves out part of the gradient"):
        first.sum().backward()
    with pytest.raises(EngineError, match="leaves out part of the gradient"):
        jvp(lambda x: net(x).h, (X,), (V,))


# torch.func


def by_plain_operations(function: Callable[[], Tensor], monkeypatch: pytest.MonkeyPatch) -> Tensor:
    with monkeypatch.context() as patch:
        patch.setattr(known_calls, "traced", lambda: True)
        return function()


def flat(tree: dict[str, Tensor], start: int = 0) -> Tensor:
    return torch.cat([t.flatten(start) for t in tree.values()], start)


def transforms(net: Recurrent) -> dict[str, Callable[[], Tensor]]:
    own = {n: p.detach() for n, p in net.named_parameters()}
    short = X[:1, :2]

    def h(x: Tensor) -> Tensor:
        return net(x).h

    def loss(x: Tensor) -> Tensor:
        return net(x).h.pow(3).sum()

    def of(p: dict[str, Tensor], x: Tensor) -> Tensor:
        return functional_call(net, p, (x,)).h.pow(2).sum()

    def of_state(s: Tensor) -> Tensor:
        return net(X, state=State(**{**dict(net.initial_state(2)), "h": s})).state.h

    return {
        "jvp": lambda: torch.stack(jvp(h, (X,), (V,))),
        "jvp of parameters": lambda: jvp(
            lambda p: of(p, X), (own,), ({n: torch.ones_like(p) for n, p in own.items()},)
        )[1],
        "jacrev": lambda: jacrev(h)(X),
        "jacfwd": lambda: jacfwd(h)(X),
        "jacobian of the state": lambda: jacrev(of_state)(V[:, 0, :1].expand(2, 4)),
        "step": lambda: jacfwd(lambda x: net.step(x).h)(X[:, 0]),
        "grad": lambda: flat(grad(of)(own, X)),
        "hessian": lambda: hessian(loss)(X),
        "reverse over reverse": lambda: jacrev(jacrev(loss))(X),
        "forward over forward": lambda: jacfwd(jacfwd(loss))(X),
        "reverse over forward": lambda: jacrev(jacfwd(loss))(X),
        "hessian of parameters": lambda: torch.cat([flat(row) for row in hessian(of)(own, short).values()]),
        "third": lambda: jacfwd(jacrev(jacrev(loss)))(short),
        "vmap": lambda: vmap(h)(torch.stack([X, V])),
        "vmap of another axis": lambda: vmap(h, 1, 2)(torch.stack([X, V], 1)),
        "vmap of vmap": lambda: vmap(vmap(h))(torch.stack([X, V])[:, :, None]),
        "ensemble": lambda: vmap(of, (0, None))({n: torch.stack([p, 2 * p]) for n, p in own.items()}, X),
        "per sample": lambda: flat(vmap(grad(of), (None, 0))(own, X[:, None]), 1),
    }


NAMES = tuple(transforms(network()))


@every_engine
@pytest.mark.parametrize("cell", ["elman", "lstm", "gru"])
@pytest.mark.parametrize("name", NAMES)
def test_transforms_equal_those_of_plain_operations(engine: str, cell: str, name: str, monkeypatch: pytest.MonkeyPatch):
    function = transforms(network(cell, engine))[name]
    close(function(), by_plain_operations(function, monkeypatch))


def test_transforms_run_on_the_networks_own_engine(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(type(PLAIN), "forward", None)
    for function in transforms(network()).values():
        function()


@every_engine
def test_dual_numbers(engine: str):
    net = network("lstm", engine)
    right = jvp(lambda x: net(x).h, (X,), (V,))[1]
    for enabled in (True, False):
        with torch.set_grad_enabled(enabled), forward_ad.dual_level():
            out = net(forward_ad.make_dual(X, V))
            close(forward_ad.unpack_dual(out.h).tangent, right)
            close(forward_ad.unpack_dual(out.state.h).tangent, right[:, -1])
    for p in net.parameters():
        p.requires_grad_(False)
    with forward_ad.dual_level():
        close(forward_ad.unpack_dual(net(forward_ad.make_dual(X, V)).h).tangent, right)


@every_engine
def test_batches_of_functions_keep_resets_and_lengths(engine: str):
    net, reset = network("gru", engine), torch.tensor([[False, False, True, False, False]] * 2)
    both = torch.stack([X, V])
    found = vmap(lambda x: net(x, reset=reset).h)(both)
    close(found, torch.stack([net(x, reset=reset).h for x in both]))

    def ragged(x: Tensor) -> Tensor:
        return net(Ragged(values=x.flatten(0, 1), lengths=[3, 0, 7])).h.values

    close(vmap(ragged)(both), torch.stack([ragged(x) for x in both]))


@circuit
def both_ways(x, h, *, W, U):
    a = tanh(W @ h)
    return {"h": tanh(W.T @ a + U @ x)}


@every_engine
def test_per_sample_gradients_of_a_matrix_used_in_both_directions(engine: str, monkeypatch: pytest.MonkeyPatch):
    net = Recurrent(both_ways, engine=engine, dtype=torch.float64, x=3, h=4, a=6)
    function = transforms(net)["per sample"]
    close(function(), by_plain_operations(function, monkeypatch))


@every_engine
def test_a_batch_of_gradients(engine: str):
    net = network("gru", engine)
    h, of = net(X).h.sum((0, 1)), list(net.parameters())
    found = vmap(lambda g: torch.autograd.grad(h, of, g, retain_graph=True))(torch.eye(4, dtype=torch.float64))
    for k in range(4):
        for batched, one in zip(
            found, torch.autograd.grad(h, of, torch.eye(4).double()[k], retain_graph=True), strict=True
        ):
            close(batched[k], one)


@every_engine
@pytest.mark.parametrize("matrices", [False, True])
@pytest.mark.parametrize("number", range(24))
def test_random_circuits(engine: str, number: int, matrices: bool, monkeypatch: pytest.MonkeyPatch):
    """Jacobian-vector products, and the derivative of the gradient in a random direction."""
    monkeypatch.setenv("UNROLLED_CFLAGS", "-O0")  # compiles in a fraction of the time
    drawn = random_circuit(random.Random(number).choice, most_lines=5, matrices=matrices)
    net = Recurrent(drawn.circuit, engine="reference", dtype=torch.float64, **drawn.sizes)
    own = {n: p.detach() for n, p in net.named_parameters()}
    recurrence = net.circuit.recurrence
    lead = {n: (2,) if n in recurrence.fixed else (2, 3) for n in recurrence.inputs}
    given = {
        n: torch.randint(node.type.dims[0].value(net._sizes), lead[n])
        if node.type.kind == TOKEN
        else torch.randn(*lead[n], *node.type.shape(net._sizes)).double()
        for n, node in recurrence.inputs.items()
    }
    real = {n: x for n, x in given.items() if x.is_floating_point()}

    def values(leaves: dict[str, dict[str, Tensor]]) -> Tensor:
        options = {**given, **leaves["inputs"], **({} if recurrence.series else {"steps": 3})}
        out = functional_call(net, leaves["parameters"], (), options)
        return torch.cat(
            [x.flatten() for x in (*(out[n] for n in net.circuit.recurrence.returns), *out.state.values())]
        )

    def loss(leaves: dict[str, dict[str, Tensor]]) -> Tensor:
        return values(leaves).pow(2).sum()

    leaves = {"inputs": real, "parameters": own}
    if not real and not own:
        pytest.skip("nothing that could move")
    moves = {group: {n: torch.randn_like(t) for n, t in ts.items()} for group, ts in leaves.items()}

    def pushed() -> Tensor:
        return jvp(values, (leaves,), (moves,))[1]

    def second() -> Tensor:
        return torch.cat([flat(group) for group in jvp(grad(loss), (leaves,), (moves,))[1].values() if group])

    def of_sample(parameters: dict[str, Tensor], sample: dict[str, Tensor]) -> dict[str, Tensor]:
        def own_loss(parameters: dict[str, Tensor]) -> Tensor:
            out = functional_call(net, parameters, (), {**sample, **({} if recurrence.series else {"steps": 3})})
            return sum(out[n].pow(2).sum() for n in net.circuit.recurrence.returns)

        return grad(own_loss)(parameters)

    samples = {n: x[:, None] for n, x in given.items()}

    def per_sample() -> Tensor:
        return flat(vmap(of_sample, (None, 0))(own, samples), 1) if own and samples else torch.zeros(0)

    def one_by_one() -> Tensor:
        if not own or not samples:
            return torch.zeros(0)
        return torch.stack([flat(of_sample(own, {n: x[k] for n, x in samples.items()})) for k in range(2)])

    right = [by_plain_operations(f, monkeypatch) for f in (pushed, second, one_by_one)]
    if not all(r.isfinite().all() for r in right):
        pytest.skip("the interpreter has numbers that are not finite")
    try:
        net.use(engine)
        found = [pushed(), second(), per_sample()]
    except EngineError as problem:
        assert any(word in str(problem) for word in ("matrix", "parameter", "is fixed in time"))
        return
    for a, b in zip(found, right, strict=True):
        close(a, b, 1e-10)
