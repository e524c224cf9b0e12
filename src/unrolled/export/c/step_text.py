"""A step as C: the struct of its state, the function that resets it, and the function of a step."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from torch import Tensor

from ...engines.c.forms import indented
from ...engines.lowering.buffers import Buffer
from ..options import Options
from .parts import Part
from .signature import count, given, signature
from .spelling import lines_of
from .step import Argument


def number(buffer: Buffer) -> str:
    """The type of a buffer's numbers."""
    return "int32_t" if buffer.token else "float"


def state_text(part: Part) -> Iterator[str]:
    """The struct of the state."""
    yield "typedef struct {"
    for b in part.body.states.values():
        yield f"    {number(b)} {b.name}[{part.say.number(b.size)}];"
    if not part.body.states:
        yield "    char unused; /* the network has no state */"
    yield f"}} {part.prefix}state;"


def reset_text(part: Part, alone: bool, start: Mapping[str, Tensor] | None) -> Iterator[str]:
    """The function that sets the state before the first step."""
    yield f"{'' if alone else 'static '}void {part.prefix}reset({part.prefix}state *state) {{"
    for n, b in part.body.states.items():
        value = f"{part.prefix}start_{b.name}[j]" if start is not None and n in start else "0"
        yield f"    for (int j = 0; j < {part.say.number(b.size)}; j++) state->{b.name}[j] = {value};"
    if not part.body.states:
        yield "    state->unused = 0;"
    yield "}"


def step_text(part: Part, options: Options, alone: bool) -> Iterator[str]:
    """The function of a step."""
    if not alone:
        yield from state_text(part)
        yield ""
    yield f"{signature(part, '' if alone else 'static ')} {{"
    lines = lines_of(part.body.statements, part.say)
    yield from indented(_memory(part, set(re.findall(r"\w+", "\n".join(lines)))))
    yield from indented(lines)
    yield "}"
    yield ""


def _memory(part: Part, used: set[str]) -> Iterator[str]:
    """The declarations of the memory that the statements use, and a mention of every argument that they do not."""
    say, body = part.say, part.body
    states = [b for b in body.states.values() if b.name in used]
    yield from (f"{number(b)} *const {b.name} = state->{b.name};" for b in states)
    if not states:
        yield "(void)state;"
    yield from (f"(void){a.buffer.name};" for a in body.inputs if a.buffer.name not in used and not _copied(a))
    for a in body.inputs:
        if a.buffer.name not in used and _copied(a):
            yield f"(void){given(a)};"
        elif a.buffer.token:
            yield f"const int32_t {a.buffer.name}[1] = {{{given(a)}}};"
        elif a.rows:
            yield f"float {a.buffer.name}[{say.number(a.buffer.size)}]; /* rows that are not given are zero */"
    for b in (b for b in body.local if b.name in used):
        yield f"{number(b)} {b.name}[{say.number(b.size)}];"
    for a in body.inputs:
        if a.rows and a.buffer.name in used:
            bound = f"{count(a.rows)} * {a.columns}" if a.columns != 1 else count(a.rows)
            yield (
                f"for (int j = 0; j < {say.number(a.buffer.size)}; j++) "
                f"{a.buffer.name}[j] = j < {bound} ? {given(a)}[j] : 0;"
            )
    for rows, b in body.masks.items():
        if b.name not in used:
            yield f"(void){count(rows)};"
            continue
        size = say.number(b.size)
        yield f"float {b.name}[{size}];"
        yield f"for (int j = 0; j < {size}; j++) {b.name}[j] = j < {count(rows)} ? 1 : 0;"


def _copied(a: Argument) -> bool:
    """Whether a step copies an argument to memory of its own."""
    return a.buffer.token or bool(a.rows)
