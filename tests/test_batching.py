"""Batches by length, and documents as contiguous streams."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import unrolled
from unrolled import InputError, Ragged, State
from unrolled.cells import gru
from unrolled.sequence import batches, document_windows

LENGTHS = st.lists(st.integers(0, 50), max_size=40)


# by length


@given(LENGTHS, st.integers(0, 40), st.integers(0, 2**63 - 1))
def test_every_sequence_comes_once_and_no_batch_is_too_large(lengths: list[int], more: int, seed: int):
    steps = max(lengths, default=1) + more
    found = batches(lengths, steps, seed)
    assert sorted(i for batch in found for i in batch) == list(range(len(lengths)))
    assert all(batch and sum(lengths[i] for i in batch) <= steps for batch in found)
    assert found == batches(torch.tensor(lengths), steps, seed), "a seed gives the same batches again"


@given(LENGTHS, st.integers(0, 40))
def test_nothing_is_padded(lengths: list[int], seed: int):
    r = Ragged(values=torch.randn(sum(lengths)), lengths=lengths)
    touched = sum(len(r.select(batch).values) for batch in batches(r.lengths, steps=60, seed=seed))
    assert touched - sum(lengths) == 0


def test_batches_hold_neighbours_by_length_in_shuffled_order():
    lengths = (1 + 999 * torch.rand(2000, generator=torch.Generator().manual_seed(0)) ** 3).long()
    found = batches(lengths, steps=5000, seed=3)
    ranges = sorted((int(lengths[b].min()), int(lengths[b].max())) for b in found)
    assert all(high <= low for (_, high), (low, _) in pairwise(ranges)), "no batch reaches into another's lengths"
    assert [b for b in found] != sorted(found, key=lambda b: int(lengths[b].min()))
    assert len(found) <= int(lengths.sum()) / 5000 * 1.2 + 2, "batches are full, but for what a sequence does not fill"
    alive = [float(lengths[b].sum() / lengths[b].max()) / len(b) for b in found]
    assert sum(alive) / len(alive) > 0.8, "most rows live until the end"


def test_seeds_give_other_orders_other_borders_and_other_neighbours():
    lengths = [10] * 30 + list(range(1, 31))
    first, second = batches(lengths, 100, seed=0), batches(lengths, 100, seed=1)
    assert first != second
    assert {frozenset(b) for b in first} != {frozenset(b) for b in second}
    unlike = [{frozenset(b) for b in batches(range(1, 61), 100, seed)} for seed in range(3)]
    assert unlike[0] != unlike[1] != unlike[2], "where all lengths differ, the borders alone move"


def test_a_sequence_too_long_for_any_batch_is_refused():
    with pytest.raises(InputError, match=r"may have 10 steps, but sequence 2 alone has 11. Pass steps=11 or more"):
        batches([3, 10, 11], steps=10)
    with pytest.raises(InputError, match="sequence 1 has -4"):
        batches([3, -4], steps=10)
    assert batches([], steps=10) == []


# documents as streams


@given(st.lists(st.integers(0, 12), max_size=12), st.integers(1, 4), st.integers(1, 9))
def test_documents_run_side_by_side_without_a_break(lengths: list[int], rows: int, longest: int):
    documents = Ragged(values=torch.arange(sum(lengths)), lengths=lengths)
    which = torch.repeat_interleave(torch.arange(len(lengths)), documents.lengths)
    expected = [(i, i + 1) for i in range(sum(lengths) - 1) if which[i] == which[i + 1]]
    if len(expected) < rows:
        with pytest.raises(InputError, match=f"has too few steps for {rows} rows"):
            list(document_windows(documents, rows, longest))
        return
    found = list(document_windows(documents, rows, longest))
    for before, after in pairwise(found):
        assert before.x.shape[0] == after.x.shape[0] == rows
        same = which[after.x[:, 0]] == which[before.x[:, -1]]
        assert torch.equal(after.x[:, 0] == before.x[:, -1] + 1, same), "row i goes on where row i stopped"
        assert torch.equal(after.reset[:, 0], ~same)
    assert all(1 <= piece.x.shape[1] <= longest for piece in found)
    x, y, reset = (torch.cat(parts, 1) for parts in zip(*found, strict=True))
    pairs = list(zip(x.flatten().tolist(), y.flatten().tolist(), strict=True))
    assert pairs == expected[: len(pairs)] and len(expected) - len(pairs) < rows, "each step is predicted once"
    starts = torch.isin(x, documents.offsets[:-1][documents.lengths > 1])
    starts[:, 0] = True
    assert torch.equal(reset, starts), "reset where a document or a row begins, and nowhere else"


def test_a_state_that_is_reset_reads_every_document_as_if_alone():
    torch.manual_seed(0)
    net = unrolled.Recurrent(gru, x=3, h=5, dtype=torch.float64)
    documents = Ragged([torch.randn(n, 3, dtype=torch.float64) for n in (4, 2, 7, 1, 5)])
    state, given_out = State(h=torch.randn(1, 5, dtype=torch.float64)), []
    for piece in document_windows(documents, rows=1, longest=4):
        for t in range(piece.x.shape[1]):
            out = net.step(piece.x[:, t], state.reset(piece.reset[:, t]))
            state = out.state
            given_out.append(out.h)
    alone = [net(d[None, :-1]).h[0] for d in documents if len(d) > 1]
    torch.testing.assert_close(torch.cat(given_out), torch.cat(alone))


def test_documents_keep_their_features_and_refuse_no_rows():
    documents = Ragged([torch.randn(5, 3), torch.randn(3, 3)])
    (piece,) = document_windows(documents, rows=2, longest=9)
    assert torch.equal(piece.x[0], documents[0][:3]) and torch.equal(piece.y[1, 1:], documents[1][1 : 2 + 1][:2])
    for wrong, message in (
        ({"rows": 0, "longest": 3}, "rows must"),
        ({"rows": 1, "longest": 0}, "longest must be 1 or more"),
    ):
        with pytest.raises(InputError, match=message):
            list(document_windows(documents, **wrong))
