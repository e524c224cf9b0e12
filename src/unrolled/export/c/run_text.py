"""The function for many steps: one after another, or for two directions the whole sequence layer by layer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from .parts import Part
from .signature import count, given, run_signature, wide, width

if TYPE_CHECKING:
    from .text import File


def run_text(file: File) -> Iterator[str]:
    """The function for many steps."""
    yield f"{run_signature(file)} {{"
    yield from (_one_by_one(file) if file.network.head is None else _both_directions(file))
    yield "}"


def _one_by_one(file: File) -> Iterator[str]:
    part = file.parts[0]
    yield "    for (int32_t t = 0; t < n; t++) {"
    yield f"        {part.prefix}step({', '.join(['state', *_at(part, file.network.answer == 'every')])});"
    yield "    }"


def _at(part: Part, every: bool) -> Iterator[str]:
    """The arguments of step t."""
    fixed, counted = set(part.body.recurrence.fixed), set[str]()
    for a in part.body.inputs:
        size = part.say.number(a.buffer.size)
        if a.buffer.token:
            yield f"{a.buffer.name}[t]"
        elif a.rows:
            yield given(a)
            if a.rows not in counted:
                yield count(a.rows)
            counted.add(a.rows)
        else:
            yield a.buffer.name if a.name in fixed else f"{a.buffer.name} + t * {size}"
    for a in part.body.outputs:
        yield f"{a.buffer.name} + t * {part.say.number(a.buffer.size)}" if every else a.buffer.name


def _both_directions(file: File) -> Iterator[str]:
    longest, head, sizes = file.options.longest, file.parts[-1], wide(file)
    yield f"    if (n < 1 || n > {longest}) return -1;"
    yield f"    float *const rows[2] = {{work, work + {max(sizes) * (longest or 1)}}};"
    for k, size in enumerate(sizes):
        sides = file.parts[2 * k : 2 * k + 2]
        half = file.parts[2 * k].say.number(sides[0].body.outputs[0].buffer.size)
        yield "    {"
        for part, side in zip(sides, ("forward", "backward"), strict=True):
            yield f"        {part.prefix}state {side};"
            yield f"        {part.prefix}reset(&{side});"
        for part, side, loop, offset in zip(
            sides, ("forward", "backward"), ("t = 0; t < n; t++", "t = n - 1; t >= 0; t--"), (0, half), strict=True
        ):
            reads = f"rows[{(k + 1) % 2}] + t * {sizes[k - 1]}" if k else _read(file)
            to = f"rows[{k % 2}] + t * {size}" + (f" + {offset}" if offset else "")
            yield f"        for (int32_t {loop}) {part.prefix}step(&{side}, {reads}, {to});"
        yield "    }"
    yield from _read_out(file, head, f"rows[{(len(sizes) - 1) % 2}]", sizes[-1])
    yield "    return 0;"


def _read(file: File) -> str:
    token = file.parts[0].body.inputs[0].buffer.token
    return "inputs[t]" if token else f"inputs + t * {width(file)}"


def _read_out(file: File, head: Part, rows: str, size: int) -> Iterator[str]:
    """What reads the results of the last layer: at every step; or once, the last result of each direction."""
    out = head.say.number(head.body.outputs[0].buffer.size)
    yield f"    {head.prefix}state state;"
    yield f"    {head.prefix}reset(&state);"
    if file.network.answer == "last" and not head.body.states:
        half = file.parts[-2].say.number(file.parts[-2].body.outputs[0].buffer.size)
        yield f"    float *const last = {rows} + (n - 1) * {size};"
        yield f"    for (int j = {size - half}; j < {size}; j++) last[j] = {rows}[j];"
        yield f"    {head.prefix}step(&state, last, outputs);"
        return
    to = f"outputs + t * {out}" if file.network.answer == "every" else "outputs"
    yield f"    for (int32_t t = 0; t < n; t++) {head.prefix}step(&state, {rows} + t * {size}, {to});"
