"""The whole text of a C file: what it is, its weights, its functions, and its proof."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy
from torch import Tensor

from ... import __version__
from ...graph.equations import equations
from ..about import About
from ..network import Network
from ..options import Options
from .functions import needed
from .narrow import KINDS, stored
from .numbers import array, comment, floats, length, string
from .parts import Part
from .products import in_panels, products
from .proof_text import proof_text
from .reference import Proof
from .run_text import run_text
from .signature import declared, signature
from .spelling import named
from .step import Argument, Constant
from .step_text import reset_text, state_text, step_text


@dataclass(frozen=True, eq=False)
class File:
    """A file before it is written.

    parts: the steps. exact: the network before its weights were rounded. start: the state before the first step; zero
    without it. header: the name of the header.
    """

    network: Network
    about: About
    options: Options
    parts: tuple[Part, ...]
    proof: Proof
    start: Mapping[str, Tensor] | None
    exact: tuple[Part, ...]
    header: str

    @property
    def name(self) -> str:
        return self.options.name


def text_of(file: File) -> str:
    """The C file."""
    code = [line for part in file.parts for line in step_text(part, file.options, alone(file))]
    functions = _functions(file, "\n".join(code))
    own = f'#include "{file.header}"' if file.options.header else "\n".join(declarations(file))
    sections = [
        "\n".join(head(file)),
        "\n".join(_begin(file)),
        own,
        "\n".join(_texts(file)),
        "\n".join(_weights(file)),
        functions,
        "\n".join(code),
        "\n".join(_resets(file)),
        "\n".join(run_text(file)),
        "\n".join(proof_text(file)),
    ]
    whole = "\n\n".join(text for text in sections if text) + "\n"
    return _with_infinity(named(whole, file.name), file.name)


def header_of(file: File) -> str:
    """The header."""
    guard = f"{file.name.upper()}_H"
    lines = [f"/* See {file.header[:-1]}c. */", f"#ifndef {guard}", f"#define {guard}", "", "#include <stdint.h>", ""]
    lines += ["#ifdef __cplusplus", 'extern "C" {', "#endif", "", *declarations(file), ""]
    lines += ["#ifdef __cplusplus", "}", "#endif", "", "#endif", ""]
    text = "\n".join(lines)
    return text.replace("restrict ", "")


def alone(file: File) -> bool:
    """Whether the network is one step, which users call."""
    return file.network.head is None


def head(file: File) -> Iterator[str]:
    """The comment that says what the file is."""
    name, about, parts = file.name, file.about, file.parts
    yield f"/* {name}: {comment(file.network.name)}, exported by unrolled {__version__}."
    yield ""
    if about.reads:
        yield f"   Reads {comment(about.reads)}; writes {comment(about.writes)}."
    yield f"   Weights: {sum(p.weight_bytes() for p in parts):,} bytes ({file.options.weights})."
    if alone(file):
        yield f"   State: {parts[0].state_bytes():,} bytes, and {parts[0].local_bytes():,} bytes of the stack."
    yield f"   Multiply-adds per step: {sum(p.multiply_adds() for p in parts):,}."
    if alone(file) and file.network.answer != "every":
        yield "   The output after the last step is that of the whole sequence."
    for sentence in about.lacks:
        yield f"   {comment(sentence)}"
    yield ""
    for part in parts:
        if not alone(file):
            yield f"   {part.prefix.rstrip('_')}:"
        yield from (f"   {comment(line)}" for line in equations(part.body.recurrence).split("\n"))
        yield ""
    yield "   The file needs no library and no memory of its own. Its proof, 32 steps of the float64 reference:"
    yield f"   cc -O2 -D{name.upper()}_TEST {name}.c -o {name}_test && ./{name}_test"
    yield "   It is fastest with -O3, and -march=native where it stays on one machine. */"


def declarations(file: File) -> Iterator[str]:
    """What a user of the file reads."""
    if alone(file):
        yield from state_text(file.parts[0])
        yield ""
        yield f"/* The state before the first step: {_start(file)}. */"
        yield f"void {file.name}_reset({file.name}_state *state);"
        yield ""
        yield from _arguments(file)
        yield f"{signature(file.parts[0], '')};"
        yield ""
        yield (
            "/* n steps, one after another. */"
            if file.network.answer == "every"
            else ("/* n steps, one after another; the output is that of the last one. */")
        )
    yield from declared(file)
    if any(_lists(file.about)):
        yield ""
        yield "/* A text in UTF-8, which may contain zeros. */"
        yield f"typedef struct {{ const char *text; int32_t bytes; }} {file.name}_text;"
        for what, texts in _lists(file.about):
            yield f"extern const {file.name}_text {file.name}_{what}[{len(texts)}];"


def _start(file: File) -> str:
    return "zero" if file.start is None else "that after a long input of zeros"


def _arguments(file: File) -> Iterator[str]:
    """What a step reads and writes."""
    yield "/* One step."
    about, body = file.about, file.parts[0].body
    for a in body.inputs:
        rows = f", at most {file.options.rows} rows of {a.columns} numbers" if a.rows else ""
        what = about.reads or "read"
        yield f"   {a.buffer.name}, {_size(file, a)}{rows}: {comment(what)}"
    for a in body.outputs:
        yield f"   {a.buffer.name}, {_size(file, a)}: {comment(about.writes or 'written')}"
    yield "   No two of these may share memory. */"


def _size(file: File, a: Argument) -> str:
    """The size of an argument, in words."""
    size = file.parts[0].say.number(a.buffer.size)
    return "a token" if a.buffer.token else f"{size} number{'s' * (size != 1)}"


def _lists(about: About) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The lists of texts."""
    for what, texts in (("symbols", about.symbols), ("classes", about.classes), ("columns", about.columns)):
        if texts:
            yield what, texts


def _begin(file: File) -> Iterator[str]:
    yield "#include <stdint.h>"
    yield ""
    inline = "static inline"
    if file.options.static:
        yield f"#define {file.name.upper()}_INLINE {inline}"
        return
    yield "#if defined(__GNUC__)"
    yield f"#define {file.name.upper()}_INLINE {inline} __attribute__((always_inline))"
    yield "#else"
    yield f"#define {file.name.upper()}_INLINE {inline}"
    yield "#endif"


def _texts(file: File) -> Iterator[str]:
    for what, texts in _lists(file.about):
        yield f"const {file.name}_text {file.name}_{what}[{len(texts)}] = {{"
        yield from (f"    {{{string(text)}, {length(text)}}}," for text in texts)
        yield "};"


def _weights(file: File) -> Iterator[str]:
    for part, exact in zip(file.parts, file.exact, strict=True):
        values = {c.name: c for c in exact.body.constants.values()}
        for c in part.body.constants.values():
            yield from _constant(values[c.name], part, file.name)
            yield ""
        if file.start is not None:
            for n, b in part.body.states.items():
                number = "int32_t" if b.token else "float"
                numbers = (
                    [str(int(v)) for v in file.start[n].ravel()]
                    if b.token
                    else floats(file.start[n].float().numpy(), file.name)
                )
                yield from array(f"static const {number} {part.prefix}start_{b.name}[{len(numbers)}]", numbers)
                yield ""


def _constant(c: Constant, part: Part, name: str) -> Iterator[str]:
    """A constant and what it is."""
    kind, shape = part.kind(c), tuple(c.value.shape)
    what = " x ".join(map(str, shape)) or "1"
    panels = part.in_panels(c)
    layout = ", in panels of 16 rows: see the product" if panels else ""
    equation = f" = {comment(c.comment)}" if c.comment else ""
    yield f"/* {comment(c.name.removeprefix(part.prefix))}{equation}, {what}{layout} */"
    values, scale = stored(c.value, kind)
    if scale is not None:
        yield from array(f"static const float {c.name}_scale[{len(scale)}]", floats(scale, name))
    values = in_panels(values) if panels else values
    numbers = floats(values.astype(numpy.float32), name) if kind == "float32" else map(str, values.ravel().tolist())
    yield from array(f"static const {KINDS[kind].type} {c.name}[{values.size}]", numbers)


def _functions(file: File, code: str) -> str:
    """The functions that the code calls."""
    kinds = {p.kind(c) for p in file.parts for c in p.body.constants.values() if p.in_panels(c)}
    panels = products([kind for kind in KINDS if kind in kinds])
    scalars = "\n".join(needed(code + panels))
    return "\n".join(text for text in (scalars, panels) if text).rstrip("\n")


def _resets(file: File) -> Iterator[str]:
    for part in file.parts:
        yield from reset_text(part, alone(file), file.start)
        yield ""


def _with_infinity(text: str, name: str) -> str:
    """The text with the definition of infinity, if it is used."""
    macro = f"{name.upper()}_INFINITY"
    if macro not in text:
        return text
    lines = ("#if defined(__GNUC__)", f"#define {macro} __builtin_inff()", "#else", "#include <math.h>")
    defined = "\n".join((*lines, f"#define {macro} HUGE_VALF", "#endif", ""))
    return text.replace("#include <stdint.h>\n", f"#include <stdint.h>\n\n{defined}", 1)
