"""A step as C: the struct of its state, the function that resets it, and the function of a step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from torch import Tensor

from ...engines.c.forms import indented
from ...engines.lowering.buffers import Buffer
from ..options import Options
from .parts import Part
from .signature import count, given, signature
from .spelling import lines_of


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
    yield from indented(_memory(part))
    yield from indented(lines_of(part.body.statements, part.say))
    yield "}"
    yield ""


def _memory(part: Part) -> Iterator[str]:
    """The declarations of the memory that the statements use."""
    say, body = part.say, part.body
    for b in body.states.values():
        yield f"{number(b)} *const {b.name} = state->{b.name};"
    if not body.states:
        yield "(void)state;"
    for a in body.inputs:
        if a.buffer.token:
            yield f"const int32_t {a.buffer.name}[1] = {{{given(a)}}};"
        elif a.rows:
            yield f"float {a.buffer.name}[{say.number(a.buffer.size)}]; /* rows that are not given are zero */"
    for b in body.local:
        yield f"{number(b)} {b.name}[{say.number(b.size)}];"
    for a in body.inputs:
        if a.rows:
            bound = f"{count(a.rows)} * {a.columns}" if a.columns != 1 else count(a.rows)
            yield (
                f"for (int j = 0; j < {say.number(a.buffer.size)}; j++) "
                f"{a.buffer.name}[j] = j < {bound} ? {given(a)}[j] : 0;"
            )
    for rows, b in body.masks.items():
        size = say.number(b.size)
        yield f"float {b.name}[{size}];"
        yield f"for (int j = 0; j < {size}; j++) {b.name}[j] = j < {count(rows)} ? 1 : 0;"
