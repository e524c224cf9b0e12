"""From a pass to statements, and from these to buffers: what needs no compiler."""

from __future__ import annotations

import random

import pytest

from cells_for_tests import CIRCUITS, SIZES
from listing import listing
from unrolled.engines.c.spelling import OPS, REDUCTIONS
from unrolled.engines.lowering import buffers
from unrolled.engines.lowering.fuse import OF_VECTORS
from unrolled.engines.lowering.lower import lower, obstacle
from unrolled.engines.lowering.place import Ahead, Begin, End, place
from unrolled.engines.lowering.refuse import REDUCTIONS as REDUCING
from unrolled.engines.lowering.schedule import ENTRYWISE
from unrolled.engines.lowering.statements import (
    Choose,
    Copy,
    Loop,
    Number,
    OneHot,
    Pick,
    Product,
    Reduction,
    RowProduct,
    Take,
    reads,
    writes,
)
from unrolled.graph.bind import bind
from unrolled.graph.size import Area
from unrolled.plan.plan import make_plan
from unrolled.testing.strategies import random_circuit
from unrolled.transform.hoist import hoisted


def passes(recurrence):
    """The passes of a training step forward and backward, each with the values that it stores."""
    parts = hoisted(recurrence)
    plan = make_plan(parts[1] if parts else recurrence)
    way = plan.backward(plan.step.returns, plan.step.parameters)
    return (plan.forward(keep=True), (*plan.step.returns.values(), *plan.kept)), (way, tuple(way.wanted))


@pytest.mark.parametrize("name", ["elman", "lstm", "gru", "layernorm_lstm"])
def test_statements(golden, name):
    """The statements of the passes as a person can read them beside the equations."""
    texts = [listing(way, lower(way, wanted)) for way, wanted in passes(CIRCUITS[name].recurrence)]
    golden(f"{name}.statements", "\n\n".join(texts) + "\n")


def test_c_spells_all_operations():
    assert set(OPS) == ENTRYWISE - {*OF_VECTORS} and [*REDUCTIONS] == [*REDUCING, "cumsum from the last"]


def parts(s):
    """Each part that a statement reads or writes, and how many entries of it."""
    for part in (*reads(s), *writes(s)):
        if not part.of.token:
            yield part, entries(s, part)


def entries(s, part):
    if isinstance(s, Loop):
        totals = {total.to: total.axis for total in s.totals}
        if isinstance(part, Number) or totals.get(part, 0) is None:
            return 1
        along = totals.get(part, part.along)
        whole = Area(s.size, s.columns) if s.columns else s.size
        return {None: whole, 0: s.columns, 1: s.size}[along]
    if isinstance(s, RowProduct):
        if part is s.by:
            return Area(s.rows, s.columns)
        return s.columns if s.turned is (part is s.to) else s.rows
    if isinstance(s, Reduction) and s.columns:
        if part is s.x or s.op == "softmax":
            return Area(s.size, s.columns)
        return s.size if s.axis else s.columns
    if isinstance(s, Product):
        return s.columns if part is s.x else s.rows
    if isinstance(s, Copy | OneHot | Take):
        return s.size
    if isinstance(s, Pick | Choose):
        return 1
    return s.size if part is s.x or s.op.startswith(("softmax", "cumsum")) else 1


def check(placement, sizes):
    """Every part is inside its buffer, and memory is read where it was written before."""

    def number(size):
        return size if isinstance(size, int) else size.value(sizes)

    written = {*placement.moving, *placement.previous, *placement.fixed, *placement.each}
    for k, stage in enumerate((placement.before, placement.step, placement.after)):
        for s in stage:
            if isinstance(s, Begin):
                written.update(s.states)
            if isinstance(s, Ahead | Begin | End):
                continue
            for part, count in parts(s):
                offset = 0 if isinstance(part, Number) else number(part.offset)
                assert offset + number(count) <= number(part.of.size), s
            for buffer in (part.of for part in reads(s)):
                assert buffer in written or (buffer.row_of and written.issuperset(buffer.row_of)), s
                assert k < 2 or buffer.kind != buffers.LANE, s
            if isinstance(s, Product):
                assert s.x.of.kind in buffers.REGULAR and s.to.of.kind in buffers.REGULAR
            written.update(part.of for part in writes(s))
    assert written.issuperset(placement.kept)


@pytest.mark.parametrize("name", CIRCUITS)
def test_every_part_is_inside_its_buffer(name):
    for way, wanted in passes(CIRCUITS[name].recurrence):
        check(place(lower(way, wanted)), bind(CIRCUITS[name].recurrence, SIZES[name]))


def test_every_part_of_random_circuits_is_inside_its_buffer():
    checked = 0
    for seed in range(190):
        drawn = random_circuit(random.Random(seed).choice, matrices=100 <= seed < 150, tokens=seed >= 150)
        both = passes(drawn.circuit.recurrence)
        if not any(obstacle(way) for way, _ in both):
            for way, wanted in both:
                check(place(lower(way, wanted)), bind(drawn.circuit.recurrence, drawn.sizes))
                checked += 1
    assert checked > 200
