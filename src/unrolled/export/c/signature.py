"""The functions of a file as C declares them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from .parts import Part
from .step import Argument

if TYPE_CHECKING:
    from .text import File


def signature(part: Part, linkage: str) -> str:
    """The first line of a step."""
    given = ", ".join([f"{part.prefix}state *restrict state", *arguments(part, many=False)])
    return f"{linkage}void {part.prefix}step({given})"


def arguments(part: Part, many: bool) -> Iterator[str]:
    """The arguments of a step, or of many steps."""
    counted = set[str]()
    for a in part.body.inputs:
        if a.buffer.token:
            yield f"const int32_t *restrict {a.buffer.name}" if many else f"int32_t {given(a)}"
        elif a.rows:
            yield f"const float *restrict {given(a)}"
            if a.rows not in counted:
                yield f"int32_t {count(a.rows)}"
            counted.add(a.rows)
        else:
            yield f"const float *restrict {a.buffer.name}"
    for a in part.body.outputs:
        yield f"{'int32_t' if a.buffer.token else 'float'} *restrict {a.buffer.name}"


def given(a: Argument) -> str:
    """The name of an argument that a step copies to memory of its own."""
    return f"given_{a.buffer.name}"


def count(rows: str) -> str:
    """The name of the number of rows."""
    return f"number_of_{rows}"


def run_signature(file: File) -> str:
    """The first line of the function for many steps."""
    part = file.parts[-1]
    if file.network.head is None:
        whole = ", ".join([f"{part.prefix}state *restrict state", "int32_t n", *arguments(part, many=True)])
        return f"void {part.prefix}run({whole})"
    reads = "int32_t" if file.parts[0].body.inputs[0].buffer.token else "float"
    return (
        f"int {file.name}_run(int32_t n, const {reads} *restrict inputs, float *restrict outputs, float *restrict work)"
    )


def declared(file: File) -> Iterator[str]:
    """The declaration of the function for many steps."""
    if file.network.head is not None:
        last = " for the whole sequence" if file.network.answer == "last" else " per step"
        most = file.options.longest
        yield f"/* A whole sequence of n steps, at most {most}: inputs (n, {width(file)}),"
        yield f"   one output{last}."
        yield f"   work: {file.name.upper()}_WORK floats of the caller. Returns 0, or -1 for a number of steps"
        yield f"   that is not from 1 to {most}. */"
        yield f"#define {file.name.upper()}_WORK {work(file)}"
    yield f"{run_signature(file)};"


def width(file: File) -> int:
    """The size of what a step reads; 1 for a token."""
    part = file.parts[0]
    return part.say.number(part.body.inputs[0].buffer.size)


def wide(file: File) -> list[int]:
    """The size of what each layer passes on, of both directions."""
    sizes = [part.say.number(part.body.outputs[0].buffer.size) for part in file.parts[:-1]]
    return [a + b for a, b in zip(sizes[::2], sizes[1::2], strict=True)]


def work(file: File) -> int:
    """The numbers of the memory of the caller: the results of two layers, for all steps."""
    return 2 * max(wide(file)) * (file.options.longest or 1)
