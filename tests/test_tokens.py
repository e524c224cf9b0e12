"""Tokens that a step computes and feeds back, compared with a loop in plain torch on every engine: values and all
gradients, and the invariances of every circuit."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import unrolled
from cells_for_tests import ENGINES
from unrolled import (
    CircuitError,
    InputError,
    Ragged,
    Recurrent,
    Snapshots,
    State,
    Truncated,
    argmax,
    circuit,
    draw,
    gumbel,
    nll,
    onehot,
    split,
    take,
    tanh,
    where,
)
from unrolled.graph.stored import as_text, from_text
from unrolled.testing import check_gradients

LENGTHS = (5, 0, 7, 1)


@circuit
def writer(noise, w, v, h, *, E, F, U, W, b, V, c):
    """A step that reads its own symbol in every way: as a row, as a one-hot vector, as a target, and passed on."""
    h = tanh(b + W @ h + take(E, w) + U @ v)
    o = c + V @ h
    y = draw(o, noise)
    h = h + take(F, y)
    first, *_ = split(o, 5)
    u = where(unrolled.sum(first) > 0, y, v)
    return {"h": h, "w": y, "v": u, "o": o, "L": nll(o, w), "z": onehot(u) * o, "best": argmax(o)}


def network(engine: str, dtype: torch.dtype = torch.float64, **options) -> Recurrent:
    torch.manual_seed(0)
    net = Recurrent(writer, w=5, h=4, engine=engine, dtype=dtype, **options)
    for p in net.parameters():
        torch.nn.init.normal_(p, std=0.5)
    return net


def by_hand(
    p: dict[str, Tensor], noise: Tensor, w: Tensor, v: Tensor, h: Tensor, fed=None, reset=()
) -> dict[str, Tensor]:
    """The sequences (batch, time, size) of ``writer`` in plain torch. fed: targets and masks (batch, time) for w."""
    found: dict[str, list[Tensor]] = {n: [] for n in ("h", "w", "v", "o", "L", "z", "best")}
    for t in range(noise.shape[1]):
        if t in reset:
            w, v, h = torch.zeros_like(w), torch.zeros_like(v), torch.zeros_like(h)
        elif fed is not None and t:
            w = torch.where(fed[1][:, t - 1], fed[0][:, t - 1], w)
        a = torch.tanh(p["b"] + h @ p["W"].T + p["E"][w] + p["U"].T[v])
        o = p["c"] + a @ p["V"].T
        y = (o + noise[:, t]).argmax(1)
        u = torch.where(o[:, 0] > 0, y, v)
        h = a + p["F"][y]
        loss = o.logsumexp(1) - o.gather(1, w[:, None])[:, 0]
        z = torch.nn.functional.one_hot(u, 5) * o
        for n, x in {"h": h, "w": y, "v": u, "o": o, "L": loss, "z": z, "best": o.argmax(1)}.items():
            found[n].append(x)
        w, v = y, u
    return {n: torch.stack(x, 1) for n, x in found.items()}


def start(batch: int = 3, seed: int = 1) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    h = torch.randn(batch, 4, dtype=torch.float64, generator=generator).requires_grad_()
    w, v = torch.randint(5, (2, batch), generator=generator)
    return {"w": w, "v": v, "h": h}


def compare(net: Recurrent, out: unrolled.nn.Result, expected: dict[str, Tensor], leaves: list[Tensor]) -> None:
    """All values, and the gradients of a random loss over all that are real."""
    loss, by_loss = 0.0, 0.0
    for n, x in expected.items():
        torch.testing.assert_close(out[n], x)
        if x.is_floating_point():
            weight = torch.randn(x.shape, dtype=x.dtype)
            loss, by_loss = loss + (out[n] * weight).sum(), by_loss + (x * weight).sum()
    for n, last in out.state.items():
        assert last.dtype == expected[n].dtype
    given = [*net.parameters(), *leaves]
    for a, b in zip(torch.autograd.grad(loss, given), torch.autograd.grad(by_loss, given), strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("engine", ENGINES)
def test_values_and_gradients_are_those_of_a_loop(engine: str):
    net, begun, noise = network(engine), start(), gumbel(3, 7, 5, dtype=torch.float64).requires_grad_()
    out = net(noise, state=State(**begun))
    expected = by_hand(dict(net.named_parameters()), noise, **begun)
    assert out.w.dtype == torch.int64 and len(out.w.unique()) > 2 and not torch.equal(out.w, out.v)
    assert torch.equal(out.state.w, out.w[:, -1]) and torch.equal(out.last.v, out.v[:, -1])
    compare(net, out, expected, [begun["h"]])
    assert not out.w.requires_grad
    (of_noise,) = torch.autograd.grad(net(noise, state=State(**begun)).o.sum(), noise)
    assert not of_noise.any()


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("memory", [Snapshots(every=3), Truncated(3)], ids=["snapshots", "truncated"])
def test_memory_policies(engine: str, memory: object):
    """Snapshots give the same gradient; a truncated one differs, and has the same values."""
    noise, begun = gumbel(3, 8, 5, dtype=torch.float64), start()
    results = []
    for net in (network(engine), network(engine, memory=memory)):
        out = net(noise, state=State(**begun))
        (out.o.sin().sum() + out.L.sum()).backward()
        results.append((out, [p.grad for p in net.parameters()]))
    (whole, grads), (parts, others) = results
    assert torch.equal(whole.w, parts.w)
    same = [torch.allclose(a, b) for a, b in zip(grads, others, strict=True)]
    assert all(same) if isinstance(memory, Snapshots) else not all(same)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_cut_ragged_reset_and_one_by_one(engine: str, dtype: torch.dtype):
    net, noise = network(engine, dtype), [gumbel(n, 5, dtype=dtype) for n in LENGTHS]
    begun = {n: x.detach().to(dtype) if x.is_floating_point() else x for n, x in start(4).items()}
    out = net(Ragged(noise), state=State(**begun))
    assert out.w.values.dtype == torch.int64
    for i, x in enumerate(noise):
        one = net(x[None], state=State(**begun).select([i]))
        torch.testing.assert_close(one.o[0], out.o[i])
        assert torch.equal(one.w[0], out.w[i]) and torch.equal(one.state.v[0], out.state.v[i])
    x, row = noise[2][None], State(**begun).select([2])
    whole, first = net(x, state=row), net(x[:, :3], state=row)
    second = net(x[:, 3:], state=first.state)
    for n in whole:
        assert torch.equal(torch.cat([first[n], second[n]], 1), whole[n]), n
    steps, state = [], row
    for t in range(x.shape[1]):
        steps.append(net.step(x[:, t], state))
        state = steps[-1].state
    assert torch.equal(torch.stack([s.w for s in steps], 1), whole.w) and torch.equal(state.w, whole.state.w)
    again = net(x, state=row, reset=torch.tensor([[False] * 4 + [True] + [False] * 2]))
    fresh = net(x[:, 4:])
    assert torch.equal(again.w[:, 4:], fresh.w) and torch.equal(again.w[:, :4], whole.w[:, :4])
    answer = net.read(x, state=row)
    assert torch.equal(answer.w, whole.w[:, -1]) and torch.equal(answer.state.v, whole.state.v)


@pytest.mark.parametrize("engine", ENGINES)
def test_scheduled_sampling_is_a_loop_that_feeds_the_target_where_the_mask_says_so(engine: str):
    net, begun, noise = network(engine), start(), gumbel(3, 7, 5, dtype=torch.float64)
    targets, mask = torch.randint(5, (3, 7)), torch.rand(3, 7) < 0.5
    out = net(noise, state=State(**begun), given={"w": (targets, mask)})
    expected = by_hand(dict(net.named_parameters()), noise, **begun, fed=(targets, mask))
    compare(net, out, expected, [begun["h"]])
    last = torch.where(mask[:, -1], targets[:, -1], out.w[:, -1])
    assert torch.equal(out.state.w, last)
    first = net(noise[:, :4], state=State(**begun), given={"w": (targets[:, :4], mask[:, :4])})
    second = net(noise[:, 4:], state=first.state, given={"w": (targets[:, 4:], mask[:, 4:])})
    assert torch.equal(torch.cat([first.o, second.o], 1), out.o) and torch.equal(second.state.w, last)
    everywhere = net(noise, state=State(**begun), given={"w": (targets, torch.ones_like(mask))})
    assert torch.equal(everywhere.o, net(noise, state=State(**begun), given={"w": targets}).o)
    nowhere = net(noise, state=State(**begun), given={"w": (targets, torch.zeros_like(mask))})
    assert torch.equal(nowhere.o, net(noise, state=State(**begun)).o)


@pytest.mark.parametrize("engine", ENGINES)
def test_scheduled_sampling_of_ragged_sequences_that_restart(engine: str):
    net, begun = network(engine), start(4)
    noise = [gumbel(n, 5, dtype=torch.float64) for n in LENGTHS]
    targets, masks = [torch.randint(5, (n,)) for n in LENGTHS], [torch.rand(n) < 0.5 for n in LENGTHS]
    reset = Ragged([torch.arange(n) == 3 for n in LENGTHS])
    pair = Ragged(targets), Ragged(masks)
    out = net(Ragged(noise), state=State(**begun), given={"w": pair}, reset=reset)
    for i, n in enumerate(LENGTHS):
        row = {name: x[i : i + 1] for name, x in begun.items()}
        if n:
            fed = targets[i][None], masks[i][None]
            one = by_hand(dict(net.named_parameters()), noise[i][None], **row, fed=fed, reset=(3,))
            torch.testing.assert_close(out.o[i], one["o"][0])
            assert torch.equal(out.v[i], one["v"][0])
            assert out.state.w[i] == (targets[i][-1] if masks[i][-1] else one["w"][0, -1])
        else:
            assert out.state.w[i] == begun["w"][i]


@circuit
def pair(x, h, s, *, U, W, b):
    h = tanh(b + W @ h + U @ x + 0.3 * s)
    return {"h": h, "s": 0.5 * s + unrolled.sum(h)}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("names", [("h",), ("s",), ("h", "s")], ids="-".join)
def test_scheduled_sampling_of_vectors_and_scalars(engine: str, names: tuple[str, ...]):
    """The gradient goes back to the target where the mask says so, and through the network elsewhere."""
    torch.manual_seed(0)
    net = Recurrent(pair, x=3, h=4, engine=engine, dtype=torch.float64)
    p = dict(net.named_parameters())
    x = torch.randn(3, 6, 3, dtype=torch.float64, requires_grad=True)
    targets = {"h": torch.randn(3, 6, 4, dtype=torch.float64, requires_grad=True)}
    targets["s"] = torch.randn(3, 6, dtype=torch.float64, requires_grad=True)
    masks = {n: torch.rand(3, 6) < 0.5 for n in names}
    out = net(x, given={n: (targets[n], masks[n]) for n in names})
    h, s = torch.zeros(3, 4, dtype=torch.float64), torch.zeros(3, dtype=torch.float64)
    found = []
    for t in range(6):
        h = torch.tanh(p["b"] + h @ p["W"].T + x[:, t] @ p["U"].T + 0.3 * s[:, None])
        s = 0.5 * s + h.sum(1)
        found.append((h, s))
        h = torch.where(masks["h"][:, t, None], targets["h"][:, t], h) if "h" in names else h
        s = torch.where(masks["s"][:, t], targets["s"][:, t], s) if "s" in names else s
    expected = {"h": torch.stack([a for a, _ in found], 1), "s": torch.stack([b for _, b in found], 1)}
    compare(net, out, expected, [x, *(targets[n] for n in names)])
    torch.testing.assert_close(out.state.h, h)
    torch.testing.assert_close(out.state.s, s)


def test_the_complex_step_agrees():
    check_gradients(writer, 4, 1e-12, one_scale=True, w=5, h=4)


@pytest.mark.parametrize("engine", ENGINES)
def test_derivatives_of_torch_and_second_derivatives(engine: str):
    net, begun, noise = network(engine), start(), gumbel(3, 5, 5, dtype=torch.float64)
    names = [n for n, _ in net.named_parameters()]

    def loss(*values: Tensor) -> Tensor:
        given = dict(zip(names, values, strict=True))
        state = State(**begun)
        return torch.func.functional_call(net, given, (noise,), {"state": state}).o.sin().sum()

    def plain(*values: Tensor) -> Tensor:
        return by_hand(dict(zip(names, values, strict=True)), noise, **begun)["o"].sin().sum()

    values = tuple(p.detach() for p in net.parameters())
    moves = tuple(torch.randn_like(v) for v in values)
    torch.testing.assert_close(torch.func.jvp(loss, values, moves), torch.func.jvp(plain, values, moves))
    every = tuple(range(len(values)))
    for a, b in zip(torch.func.grad(loss, every)(*values), torch.func.grad(plain, every)(*values), strict=True):
        torch.testing.assert_close(a, b)
    found = []
    for function in (loss, plain):
        leaves = [v.clone().requires_grad_() for v in values]
        first = torch.autograd.grad(function(*leaves), leaves, create_graph=True)
        second = sum((g * m).sum() for g, m in zip(first, moves, strict=True))
        found.append(torch.autograd.grad(second, leaves))
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("engine", ENGINES)
def test_gradients_of_each_sequence_by_vmap(engine: str):
    """A table whose row a computed token names has no gradient at each step, so the sequences run one by one."""
    net, noise = network(engine), gumbel(3, 4, 5, dtype=torch.float64)

    def loss(parameters: dict[str, Tensor], x: Tensor) -> Tensor:
        return torch.func.functional_call(net, parameters, (x[None],)).o.sin().sum()

    parameters = {n: p.detach() for n, p in net.named_parameters()}
    each = torch.func.vmap(torch.func.grad(loss), (None, 0))(parameters, noise)
    for i in range(3):
        for n, g in torch.func.grad(loss)(parameters, noise[i]).items():
            torch.testing.assert_close(each[n][i], g)


def test_the_unfolded_graph_the_stored_circuit_and_the_drawings():
    again = from_text(as_text(writer.recurrence))
    assert as_text(again) == as_text(writer.recurrence)
    net, begun, noise = network("reference"), start(), gumbel(3, 4, 5, dtype=torch.float64)
    values = writer.unfold(4).evaluate(noise=noise, **begun, **dict(net.named_parameters()))
    out = net(noise, state=State(**begun))
    for n in out:
        torch.testing.assert_close(values[n], out[n])
    assert "argmax(o(t) + noise(t))" in writer.equations()
    assert r"\operatorname{argmax}" in writer.equations("latex")
    assert "w" in writer.draw(2).svg and writer.adjoint().equations() and writer.unfold(2).draw().svg


def test_a_named_tangent_leaves_tokens_out():
    made = writer.tangent()
    assert set(made.states) == {"w", "v", "h", "ḣ"} and "ẇ" not in made.outputs


@circuit
def once(h, *, b, E):
    """A token of parameters alone."""
    y = argmax(b)
    return {"h": tanh(0.5 * h + take(E, y)), "y": y}


@circuit(fixed=("s",))
def of_sequence(h, s, *, E):
    """A token of an input that is fixed in time."""
    y = argmax(s)
    return {"h": tanh(0.5 * h + take(E, y)), "y": y}


@pytest.mark.parametrize("engine", ENGINES)
def test_tokens_that_do_not_change_with_time(engine: str):
    torch.manual_seed(0)
    net = Recurrent(once, h=3, y=5, engine=engine, dtype=torch.float64)
    torch.nn.init.normal_(net.b)
    out = net(steps=3, state=State(h=torch.ones(2, 3, dtype=torch.float64)))
    assert torch.equal(out.y, net.b.argmax().expand(2, 3))
    h = torch.ones(2, 3, dtype=torch.float64)
    for t in range(3):
        h = torch.tanh(0.5 * h + net.E[net.b.argmax()])
        torch.testing.assert_close(out.h[:, t], h)
    for a, b in zip(*(torch.autograd.grad(x.sum(), net.E) for x in (out.last.h, h)), strict=True):
        torch.testing.assert_close(a, b)
    other = Recurrent(of_sequence, h=3, s=5, engine=engine, dtype=torch.float64)
    s = torch.randn(4, 5, dtype=torch.float64)
    out = other(s=s, steps=3)
    assert torch.equal(out.y, s.argmax(1)[:, None].expand(4, 3))
    h = torch.zeros(4, 3, dtype=torch.float64)
    for _ in range(3):
        h = torch.tanh(0.5 * h + other.E[s.argmax(1)])
    torch.testing.assert_close(out.last.h, h)
    for a, b in zip(*(torch.autograd.grad(x.sin().sum(), other.E) for x in (out.last.h, h)), strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("engine", ENGINES)
def test_the_first_of_equal_entries_and_nan(engine: str):
    @circuit
    def cell(x, w):
        return {"w": argmax(x)}

    nan = torch.nan
    x = torch.tensor([[1.0, 3, 3, 0], [nan, 5, nan, 1], [-1, -2, nan, 9], [-3, -3, -3, -3], [0, -0.0, 0, torch.inf]])
    assert torch.equal(Recurrent(cell, x=4, engine=engine)(x[None]).w[0], x.argmax(1))


def test_draw_draws_with_the_probabilities_of_softmax():
    torch.manual_seed(0)
    o = torch.tensor([0.0, 1.0, -1.0, 2.0])
    drawn = (o + gumbel(200_000, 4)).argmax(1).bincount(minlength=4) / 200_000
    torch.testing.assert_close(drawn, o.softmax(0), atol=4e-3, rtol=0)
    generator = torch.Generator().manual_seed(3)
    first = gumbel(2, 3, generator=generator, dtype=torch.float64)
    assert first.dtype == torch.float64 and torch.equal(
        first, gumbel(2, 3, generator=generator.manual_seed(3), dtype=torch.float64)
    )


def refused(match: str, cell) -> None:
    with pytest.raises(CircuitError, match=match):
        circuit(cell)


def test_what_is_not_a_token_is_refused_at_the_users_line():
    def of_scalar(x, w):
        return {"w": argmax(unrolled.sum(x))}

    def of_matrix(x, w, S):
        return {"w": argmax(S), "S": S + unrolled.outer(x, x)}

    def no_token(x, w, *, E):
        return {"w": x + take(E, w)}

    def token_as_a_vector(x, h, *, W):
        h = tanh(W @ h + x)
        return {"h": h, "y": argmax(h) + x}

    refused(r"test_tokens.py:\d+: in circuit 'of_scalar': .*argmax(.|\n)*must be a vector, got a scalar", of_scalar)
    refused(r"test_tokens.py:\d+: in circuit 'of_matrix': .*argmax(.|\n)*must be a vector, got a matrix", of_matrix)
    refused(r"state 'w' is a token, but its new value is a vector. It is a token because it is used as one", no_token)
    circuit(token_as_a_vector)
    with pytest.raises(CircuitError, match="'w' of circuit 'writer' is a token, through which no gradient flows"):
        writer.adjoint("w")


def test_bad_tokens_and_masks_are_refused():
    net, noise = network("reference", torch.float32), gumbel(3, 4, 5)
    targets, mask = torch.randint(5, (3, 4)), torch.ones(3, 4, dtype=torch.bool)
    for match, call in {
        "tokens of state 'w' must be from 0 to 4, got 5": lambda: net(noise, state=State(w=torch.tensor([0, 5, 1]))),
        r"state 'w' takes tokens, integers \(rows,\), got torch.float32": lambda: net(
            noise, state=State(w=torch.rand(3))
        ),
        r"state 'w' must be \(3,\), got \(2,\)": lambda: net(noise, state=State(w=torch.tensor([0, 1]))),
        r"tokens of given\['w'\] must be from 0 to 4, got -1": lambda: net(noise, given={"w": targets * 0 - 1}),
        r"given\['w'\] takes tokens, integers \(batch, time\)": lambda: net(noise, given={"w": noise}),
        r"the mask in given\['w'\] must be booleans \(batch, time\)": lambda: net(noise, given={"w": (targets, noise)}),
        r"'mask of w': \(3, 3\)": lambda: net(noise, given={"w": (targets, mask[:, :3])}),
        r"given\['w'\] must be a series, or a pair \(series, mask\); got 3": lambda: net(noise, given={"w": (1, 2, 3)}),
        "Either all series must be, or none": lambda: net(noise, given={"w": (targets, Ragged(list(mask)))}),
    }.items():
        with pytest.raises(InputError, match=match):
            call()
    net(noise, state=State(w=torch.tensor([0, 1, 2]), v=torch.tensor([0, 1, 2]), h=torch.zeros(3, 4)))
    with pytest.raises(InputError, match="must be from 0 to 4, got 9"):  # also a call like one that was checked
        net(noise, state=State(w=torch.tensor([0, 9, 2]), v=torch.tensor([0, 1, 2]), h=torch.zeros(3, 4)))
