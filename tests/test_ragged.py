"""Ragged: every conversion keeps the steps and the gradients, and padding is never read."""

from __future__ import annotations

import math
import pickle

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.utils.rnn import pack_padded_sequence, pack_sequence, pad_packed_sequence

from unrolled import InputError, Ragged
from unrolled.train import losses

LENGTHS = st.lists(st.integers(0, 7), min_size=1, max_size=6)
FEATURES = st.sampled_from([(), (3,), (2, 3)])


def sequences(lengths: list[int], feature: tuple[int, ...] = (3,)) -> list[Tensor]:
    """All entries of all steps are different numbers."""
    total, size = sum(lengths), math.prod(feature)
    return list((torch.arange(1.0, total * size + 1).reshape(total, *feature)).split(lengths))


def same(ragged: Ragged, expected: list[Tensor]) -> bool:
    return len(ragged) == len(expected) and all(map(torch.equal, ragged, expected))


@given(LENGTHS, FEATURES)
def test_a_batch_holds_its_sequences(lengths: list[int], feature: tuple[int, ...]):
    parts = sequences(lengths, feature)
    r = Ragged(parts)
    assert same(r, parts) and all(torch.equal(r[i], parts[i]) for i in range(-len(parts), len(parts)))
    assert r.lengths.tolist() == lengths and r.lengths.dtype == r.offsets.dtype == torch.int64
    assert r.offsets.tolist() == [sum(lengths[:i]) for i in range(len(lengths) + 1)]
    assert same(Ragged(values=r.values, lengths=lengths), parts)
    assert same(Ragged(values=torch.cat(parts), lengths=torch.tensor(lengths, dtype=torch.int32)), parts)
    assert r.sum() == torch.cat(parts).sum()
    assert all(r[i]._base is r.values for i in range(len(parts))), "views"


@given(LENGTHS, FEATURES, st.integers(0, 2))
def test_padded_there_and_back(lengths: list[int], feature: tuple[int, ...], spare: int):
    parts = sequences(lengths, feature)
    r = Ragged(parts)
    padded, given_lengths = r.to_padded(-1.0)
    assert given_lengths.tolist() == lengths and padded.shape == (len(lengths), max(lengths), *feature)
    assert torch.equal(padded[r.mask()], r.values) and (padded[~r.mask()] == -1).all()
    dirty = torch.full((len(lengths), max(lengths) + spare, *feature), math.nan)
    dirty[:, : max(lengths)] = torch.where(r.mask()[(..., *(None,) * len(feature))], padded, math.nan)
    mask = torch.arange(dirty.shape[1]) < given_lengths[:, None]
    for again in (Ragged.from_padded(dirty, lengths=lengths), Ragged.from_padded(dirty, mask=mask)):
        assert same(again, parts)


@given(LENGTHS)
def test_nan_in_padding_reaches_no_gradient(lengths: list[int]):
    r = Ragged(sequences(lengths))
    dirty = r.to_padded(math.nan)[0].requires_grad_()
    (Ragged.from_padded(dirty, mask=r.mask()).values ** 2).sum().backward()
    assert torch.equal(dirty.grad[r.mask()], 2 * r.values) and (dirty.grad[~r.mask()] == 0).all()
    values = r.values.clone().requires_grad_()
    padded, _ = Ragged(values=values, lengths=lengths).to_padded(math.nan)
    (padded**2).nansum().backward()
    assert torch.equal(values.grad, 2 * values)


@given(st.lists(st.integers(1, 7), min_size=1, max_size=6), FEATURES)
def test_packed_there_and_back(lengths: list[int], feature: tuple[int, ...]):
    parts = sequences(lengths, feature)
    packed = Ragged(parts).to_packed()
    expected = pack_sequence(parts, enforce_sorted=False)
    assert torch.equal(packed.batch_sizes, expected.batch_sizes)
    assert torch.equal(pad_packed_sequence(packed, True)[0], pad_packed_sequence(expected, True)[0])
    assert same(Ragged.from_packed(expected), parts) and same(Ragged.from_packed(packed), parts)
    in_order = sorted(parts, key=len, reverse=True)
    assert same(Ragged.from_packed(pack_sequence(in_order)), in_order), "without indices of the order"


@given(LENGTHS, FEATURES)
def test_nested_there_and_back(lengths: list[int], feature: tuple[int, ...]):
    parts = sequences(lengths, feature)
    nested = Ragged(parts).to_nested()
    assert all(map(torch.equal, nested.unbind(), parts)) and same(Ragged.from_nested(nested), parts)


def test_a_nested_tensor_with_holes():
    x = torch.arange(30.0).reshape(2, 5, 3)
    nested = torch.nested.narrow(x, 1, torch.tensor([0, 1]), torch.tensor([2, 3]), layout=torch.jagged)
    assert same(Ragged.from_nested(nested), [x[0, :2], x[1, 1:4]])


def test_an_lstm_of_torch_gives_the_same_through_every_layout():
    lstm = torch.nn.LSTM(3, 4, batch_first=True)
    parts = sequences([4, 1, 7, 2])
    packed, _ = lstm(Ragged(parts).to_packed())
    for out, part in zip(Ragged.from_packed(packed), parts, strict=True):
        torch.testing.assert_close(out, lstm(part[None])[0][0])


@pytest.mark.parametrize("through", ["list", "padded", "packed", "nested", "select", "map", "last", "flip"])
def test_gradients_flow_through_every_layout(through: str):
    """d/dx Σ w·x² in the order of the sequences, for every conversion."""
    lengths = [4, 1, 7, 2]
    parts = [p.double().requires_grad_() for p in sequences(lengths)]
    r = Ragged(parts)
    weights = torch.arange(1.0, 43.0, dtype=torch.float64).reshape(14, 3)
    if through == "padded":
        r = Ragged.from_padded(*r.to_padded())
    elif through == "packed":
        r = Ragged.from_packed(r.to_packed())
    elif through == "nested":
        r = Ragged.from_nested(r.to_nested())
    elif through == "select":
        r = r.select([3, 1, 0, 2]).select([2, 1, 3, 0])
    elif through == "map":
        r = r.map(lambda v: v * 1.0)
    elif through == "flip":
        r = r.flip().flip()
    elif through == "last":
        weights = torch.where(torch.arange(14)[:, None] == r.offsets[1:] - 1, 1.0, 0.0).sum(1, keepdim=True).double()
    loss = (r.last**2).sum() if through == "last" else (weights * r.values**2).sum()
    loss.backward()
    expected = 2 * weights * torch.cat([p.detach() for p in parts])
    assert torch.equal(torch.cat([p.grad for p in parts]), expected)


@given(LENGTHS, st.data())
def test_rows_are_selected_in_any_order(lengths: list[int], data: st.DataObject):
    parts = sequences(lengths)
    rows = data.draw(st.lists(st.integers(-len(lengths), len(lengths) - 1), max_size=8))
    assert same(Ragged(parts).select(rows), [parts[i] for i in rows])
    mask = torch.tensor(data.draw(st.lists(st.booleans(), min_size=len(lengths), max_size=len(lengths))))
    assert same(Ragged(parts).select(mask), [p for p, chosen in zip(parts, mask, strict=True) if chosen])


def test_last_map_and_mean():
    r = Ragged(sequences([2, 1, 3]))
    assert r.last.tolist() == [[4, 5, 6], [7, 8, 9], [16, 17, 18]]
    linear = torch.nn.Linear(3, 5)
    torch.testing.assert_close(r.map(linear)[2], linear(r[2]))
    per_step = r.map(lambda v: v.sum(1))
    assert per_step.values.shape == (6,) and per_step.mean() == r.values.sum() / 6 and r.mean() == r.values.mean()


def test_tokens_have_no_feature():
    r = Ragged([torch.tensor([1, 2, 3]), torch.tensor([], dtype=torch.long), torch.tensor([4])])
    assert r.dtype == torch.int64 and r.values.tolist() == [1, 2, 3, 4] and r[0].tolist() == [1, 2, 3]
    padded, lengths = r.to_padded(-1)
    assert padded.tolist() == [[1, 2, 3], [-1, -1, -1], [4, -1, -1]]
    assert same(Ragged.from_padded(padded, lengths), list(r))
    assert r.select([0, 2]).last.tolist() == [3, 4]
    assert same(Ragged.from_nested(r.to_nested()), list(r))


def test_batches_without_rows_or_steps():
    for r in (Ragged(values=torch.zeros(0, 3), lengths=[]), Ragged([torch.zeros(0, 3)] * 2)):
        assert list(r.mask().shape) == [len(r), 0] and r.to_padded()[0].shape == (len(r), 0, 3) and r.sum() == 0
        assert same(Ragged.from_padded(*r.to_padded()), list(r)) and same(r.select([]), [])
        assert r.map(torch.nn.Linear(3, 2)).values.shape == (0, 2)
        with pytest.raises(InputError, match="mean of no steps"):
            r.mean()


def test_what_is_given_can_change_without_the_batch():
    lengths = torch.tensor([2, 1])
    r = Ragged(values=torch.zeros(3, 2), lengths=lengths)
    lengths[0] = 9
    assert r.lengths.tolist() == [2, 1]
    strided = torch.zeros(2, 3).T
    assert Ragged(values=strided, lengths=[3]).values.is_contiguous()


def test_moved_converted_detached_copied():
    r = Ragged([p.requires_grad_() for p in sequences([2, 1])])
    assert r.values.requires_grad and not r.detach().values.requires_grad
    assert r.to(torch.float64).dtype == torch.float64 and r.to("meta").device.type == "meta"
    assert r.to("meta").lengths.device.type == "cpu"
    assert same(pickle.loads(pickle.dumps(r.detach())), list(r.detach()))
    assert repr(r) == "Ragged(2 sequences, 3 steps, 3, float32)"


# losses


@given(LENGTHS, st.sampled_from(["nll", "bce", "squared_error"]), st.sampled_from(["sum", "mean"]))
def test_losses_count_every_valid_step_once(lengths: list[int], name: str, reduction: str):
    torch.manual_seed(0)
    steps, loss = sum(lengths), getattr(losses, name)
    outputs = torch.randn(steps, 4, dtype=torch.float64, requires_grad=True)
    targets = torch.randint(4, (steps,)) if name == "nll" else torch.rand(steps, 4, dtype=torch.float64)
    ragged = Ragged(values=outputs, lengths=lengths), Ragged(values=targets, lengths=lengths)
    if reduction == "mean" and not steps:
        with pytest.raises(InputError, match="mean loss of no steps"):
            loss(*ragged, reduction=reduction)
        return
    found = loss(*ragged, reduction=reduction)
    one_by_one = sum((loss(o[None], y[None]) for o, y in zip(*ragged, strict=True) if len(o)), torch.tensor(0.0))
    torch.testing.assert_close(found, (one_by_one / (steps if reduction == "mean" else 1)).double())
    found.backward()
    (expected,) = torch.autograd.grad(one_by_one, outputs) if steps else (torch.zeros(0, 4),)
    torch.testing.assert_close(outputs.grad * (steps if reduction == "mean" else 1), expected.double())


def test_nan_behind_the_end_reaches_no_loss():
    dirty = torch.full((2, 5, 4), math.nan)
    dirty[0, :3], dirty[1, :5] = torch.randn(3, 4), torch.randn(5, 4)
    dirty.requires_grad_()
    targets = torch.randint(4, (2, 5))
    loss = losses.nll(Ragged.from_padded(dirty, [3, 5]), Ragged.from_padded(targets, [3, 5]), "mean")
    loss.backward()
    expected = losses.nll(torch.cat([dirty[0, :3], dirty[1]]).detach(), torch.cat([targets[0, :3], targets[1]])) / 8
    torch.testing.assert_close(loss.detach(), expected)
    assert dirty.grad.isfinite().all() and (dirty.grad[0, 3:] == 0).all()


# errors

X = torch.zeros(3, 4, 2)
STEPS = torch.zeros(4, 2)
HOLE = torch.tensor([[True, True, False, False], [True, False, False, True], [True, True, True, True]])
LATE = torch.tensor([[True] * 4, [False, False, True, True], [True] * 4])
WRONG = {
    "nothing": lambda: Ragged(),
    "list and lengths": lambda: Ragged([STEPS], lengths=[4]),
    "values without lengths": lambda: Ragged(values=STEPS),
    "one tensor": lambda: Ragged(X),
    "no sequences": lambda: Ragged([]),
    "a number for a sequence": lambda: Ragged([STEPS, 3.0]),
    "a scalar for a sequence": lambda: Ragged([STEPS, torch.tensor(1.0)]),
    "mixed feature sizes": lambda: Ragged([STEPS, torch.zeros(3, 5)]),
    "tokens among vectors": lambda: Ragged([STEPS, torch.zeros(0)]),
    "mixed dtypes": lambda: Ragged([STEPS, STEPS.double()]),
    "mixed devices": lambda: Ragged([STEPS, STEPS.to("meta")]),
    "lengths with a wrong sum": lambda: Ragged(values=STEPS, lengths=[2, 3]),
    "negative length": lambda: Ragged(values=STEPS, lengths=[5, -1]),
    "lengths that are no whole numbers": lambda: Ragged(values=STEPS, lengths=[1.5, 2.5]),
    "lengths that are words": lambda: Ragged(values=STEPS, lengths=["1", "3"]),
    "lengths in a table": lambda: Ragged(values=STEPS, lengths=[[1, 3]]),
    "padded without a time": lambda: Ragged.from_padded(torch.zeros(3), lengths=[1, 1, 1]),
    "padded without lengths": lambda: Ragged.from_padded(X),
    "padded with both": lambda: Ragged.from_padded(X, [1, 1, 1], torch.ones(3, 4) > 0),
    "too few lengths": lambda: Ragged.from_padded(X, [1, 2]),
    "too long length": lambda: Ragged.from_padded(X, [4, 5, 1]),
    "negative length of a padded row": lambda: Ragged.from_padded(X, [4, -2, 1]),
    "mask of numbers": lambda: Ragged.from_padded(X, mask=torch.ones(3, 4)),
    "mask of another shape": lambda: Ragged.from_padded(X, mask=torch.ones(4, 3) > 0),
    "mask with a hole": lambda: Ragged.from_padded(X, mask=HOLE),
    "mask that starts late": lambda: Ragged.from_padded(X, mask=LATE),
    "last of nothing": lambda: Ragged([STEPS, STEPS[:0], STEPS, STEPS[:0]]).last,
    "packed without steps": lambda: Ragged([STEPS, STEPS[:0]]).to_packed(),
    "packed without sequences": lambda: Ragged(values=STEPS[:0], lengths=[]).to_packed(),
    "packed from something else": lambda: Ragged.from_packed(X),
    "nested from a plain tensor": lambda: Ragged.from_nested(X),
    "nested and transposed": lambda: Ragged.from_nested(Ragged([STEPS]).to_nested().transpose(1, 2)),
    "padding that tokens cannot hold": lambda: Ragged([torch.tensor([1, 2]), torch.tensor([1])]).to_padded(0.5),
    "no such row": lambda: Ragged([STEPS]).select([0, 1]),
    "rows that are no numbers": lambda: Ragged([STEPS]).select([0.5]),
    "mask over other rows": lambda: Ragged([STEPS]).select([True, False]),
    "several rows by index": lambda: Ragged([STEPS])[[0]],
    "map that loses steps": lambda: Ragged([STEPS]).map(lambda v: v.mean(0)),
    "loss of ragged and plain": lambda: losses.squared_error(Ragged([STEPS]), STEPS[None]),
    "loss of plain and ragged": lambda: losses.nll(STEPS[None], Ragged([STEPS[:, 0].long()])),
    "loss of other lengths": lambda: losses.bce(Ragged([STEPS, STEPS[:2]]), Ragged([STEPS, STEPS[:1]])),
    "loss of other sequences": lambda: losses.bce(Ragged([STEPS, STEPS[:2]]), Ragged([STEPS])),
    "mean loss of no steps": lambda: losses.bce(Ragged([STEPS[:0]]), Ragged([STEPS[:0]]), "mean"),
    "map that gives a number": lambda: Ragged([STEPS]).map(lambda v: v.sum().item()),
}


def test_every_misuse_gets_one_clear_message(golden):
    told = []
    for name, use in WRONG.items():
        with pytest.raises(InputError) as caught:
            use()
        told.append(f"{name}\n  {caught.value}\n")
    golden("ragged_errors.txt", "".join(told))


def test_no_such_sequence_is_an_index_error():
    with pytest.raises(IndexError, match="no sequence 2 in a batch of 2"):
        Ragged(sequences([1, 2]))[2]


def test_pack_padded_sequence_of_torch_is_understood():
    r = Ragged(sequences([2, 5, 1]))
    padded, lengths = r.to_padded()
    packed = pack_padded_sequence(padded, lengths, batch_first=True, enforce_sorted=False)
    assert same(Ragged.from_packed(packed), list(r))


@given(st.lists(st.integers(1, 6), min_size=1, max_size=5))
def test_means_and_flipped_sequences_are_those_of_each_alone(lengths: list[int]):
    r = Ragged(sequences(lengths))
    assert torch.equal(r.means, torch.stack([part.mean(0) for part in r]))
    assert same(r.flip(), [part.flip(0) for part in r]) and same(r.flip().flip(), list(r))


def test_what_has_no_steps_flips_but_has_no_mean():
    r = Ragged(sequences([2, 0, 1]))
    assert r.flip().lengths.tolist() == [2, 0, 1]
    with pytest.raises(InputError, match=r"a sequence of length 0 has no mean; empty sequences: 1\. Remove them"):
        _ = r.means
    assert Ragged(values=torch.zeros(0, 3), lengths=[]).means.shape == (0, 3)
