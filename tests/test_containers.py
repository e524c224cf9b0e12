"""Results, states and Ragged as torch sees them: trees of tensors, and files that are read without executing code."""

from __future__ import annotations

import copy
import io
import pickle

import pytest
import torch
from torch.func import jvp, vmap
from torch.nn.parallel.distributed import _find_tensors
from torch.utils._pytree import tree_flatten, tree_leaves, tree_map, treespec_dumps, treespec_loads

import unrolled
from unrolled import Ragged, Recurrent, State
from unrolled.cells import lstm
from unrolled.nn.result import Result

X = torch.linspace(-1, 1, 2 * 5 * 3).view(2, 5, 3)


NET = Recurrent(lstm, x=3, h=4)


def held(value: object) -> list[torch.Tensor]:
    """The tensors of a container, one after another."""
    if isinstance(value, Ragged):
        return [value.values, value.lengths, value.offsets]
    values = [held(v) if isinstance(v, Ragged) else [v] for v in value.values()]
    state = held(value.state) if hasattr(value, "state") else []
    return [*(t for found in values for t in found), *state]


with torch.no_grad():
    KINDS = {
        "result": NET(X),
        "last": NET(X).last,
        "step": NET.step(X[:, 0]),
        "state": NET(X).state,
        "ragged": Ragged([X[0], X[1, :0], X[1]]),
        "ragged result": NET(Ragged([X[0], X[1, :0], X[1]])),
    }


def same(a: object, b: object) -> bool:
    return type(a) is type(b) and all(map(torch.equal, held(a), held(b))) and len(held(a)) == len(held(b))


@pytest.mark.parametrize("kind", KINDS)
def test_copies_and_files(kind: str):
    value = KINDS[kind]
    file = io.BytesIO()
    torch.save(value, file)
    file.seek(0)
    for again in (torch.load(file), pickle.loads(pickle.dumps(value)), copy.copy(value), copy.deepcopy(value)):
        assert same(again, value) and repr(again) == repr(value)


@pytest.mark.parametrize("kind", KINDS)
def test_torch_finds_the_tensors(kind: str):
    value = KINDS[kind]
    leaves, spec = tree_flatten(value)
    assert all(a is b for a, b in zip(leaves, held(value), strict=True))
    assert same(treespec_loads(treespec_dumps(spec)).unflatten(leaves), value)
    assert same(tree_map(lambda t: t.clone(), value), value)
    found = {id(t) for t in _find_tensors(value)}
    assert {id(t) for t in tree_leaves(dict(value) if isinstance(value, dict) else value)} <= found


def test_results_are_dicts():
    out = NET(X)
    assert isinstance(out, dict) and {**out}.keys() == {"h", "c"} and (out | {"o": 1})["o"] == 1
    assert [*out] == ["h", "c"] and dict(out)["h"] is out.h and out.get("o") is None


def test_networks_are_functions_for_torch_func():
    rows = torch.stack([X, X.flip(1)])
    out, parts = vmap(NET)(rows), [NET(x) for x in rows]
    assert isinstance(out, Result)
    torch.testing.assert_close(out.h, torch.stack([p.h for p in parts]))
    torch.testing.assert_close(out.state.c, torch.stack([p.state.c for p in parts]))
    values, moves = jvp(NET, (X,), (torch.ones_like(X),))
    expected = jvp(lambda x: NET(x).state.c, (X,), (torch.ones_like(X),))
    assert torch.equal(values.h, NET(X).h) and torch.equal(moves.state.c, expected[1])


def test_vmap_over_states():
    h, c = torch.randn(3, 2, 4), torch.randn(3, 2, 4)
    found = vmap(lambda h, c: NET(X, state=State(h=h, c=c)).state)(h, c)
    for i in range(3):
        torch.testing.assert_close(found.c[i], NET(X, state=State(h=h[i], c=c[i])).state.c)


def test_a_batch_of_ragged_is_refused():
    ragged = Ragged([X[0], X[1, :3]])
    h, c = torch.randn(3, 2, 4), torch.randn(3, 2, 4)
    with pytest.raises(unrolled.InputError, match="vmap cannot return a Ragged"):
        vmap(lambda h, c: NET(ragged, state=State(h=h, c=c)).h)(h, c)
    found = vmap(lambda h, c: NET(ragged, state=State(h=h, c=c)).h.values)(h, c)
    torch.testing.assert_close(found[1], NET(ragged, state=State(h=h[1], c=c[1])).h.values)


def test_states_are_compared_as_objects():
    state = NET(X).state
    assert state == state and state != NET(X).state and {state: 1}[state] == 1
    assert len(tree_leaves(state)) == 2
    with pytest.raises(unrolled.InputError, match=r"a state cannot be unpacked.*state.h, state.c"):
        _h, _c = state
