"""The proof of a file: a main that runs it on the inputs of the reference and compares the outputs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from torch import Tensor

from .numbers import array, doubles, floats
from .parts import Part
from .signature import wide

if TYPE_CHECKING:
    from .text import File

COMPARE = """\
static double u_larger(double a, double b) { return a > b || a != a ? a : b; } /* NaN wins */

/* The largest difference, relative to the largest exact number. */
static double u_error(const float *found, const double *exact, int size) {
    double error = 0, largest = 0;
    for (int j = 0; j < size; j++) {
        const double size_of = exact[j] < 0 ? -exact[j] : exact[j];
        const double apart = found[j] < exact[j] ? exact[j] - found[j] : found[j] - exact[j];
        largest = size_of > largest ? size_of : largest;
        error = u_larger(error, apart);
    }
    return largest > 0 ? error / largest : error;
}
"""


def proof_text(file: File) -> Iterator[str]:
    """The part of the file under #ifdef NAME_TEST."""
    yield f"#ifdef {file.name.upper()}_TEST"
    yield "#include <stdio.h>"
    yield ""
    part = file.parts[-1]
    inputs = file.parts[0].body.inputs
    for a in inputs:
        yield from _values(f"u_test_{a.buffer.name}", file.proof.inputs[a.name], file.name)
    for a in part.body.outputs:
        yield from _exact(f"u_exact_{a.buffer.name}", file.proof.outputs[a.name])
    yield ""
    if any(not a.buffer.token for a in part.body.outputs):
        yield COMPARE
    yield "int main(void) {"
    yield "    double error = 0;"
    yield from (_steps(file, part) if file.network.head is None else _sequence(file, part))
    yield f"    const int passed = error <= {file.proof.limit:.3g};"
    shown = "largest error %.2g of the largest output"
    yield (
        f'    printf("{file.name}: {file.proof.steps} steps, {shown} (limit {file.proof.limit:.2g}): %s\\n", error, '
        'passed ? "passed" : "FAILED");'
    )
    yield "    return passed ? 0 : 1;"
    yield "}"
    yield "#endif"


def _values(name: str, value: Tensor, file: str) -> Iterator[str]:
    if value.is_floating_point():
        yield from array(f"static const float {name}[{value.numel()}]", floats(value.numpy(), file))
    else:
        yield from array(f"static const int32_t {name}[{value.numel()}]", map(str, value.ravel().tolist()))


def _exact(name: str, value: Tensor) -> Iterator[str]:
    number = "double" if value.is_floating_point() else "int32_t"
    numbers = doubles(value.ravel().tolist()) if value.is_floating_point() else map(str, value.ravel().tolist())
    yield from array(f"static const {number} {name}[{value.numel()}]", numbers)


def _steps(file: File, part: Part) -> Iterator[str]:
    """Two runs, the second of which continues the first; and the same steps in one run."""
    answers = file.network.answer != "every"
    body, steps = part.body, file.proof.steps
    yield f"    {part.prefix}state state;"
    for a in body.outputs:
        number = "int32_t" if a.buffer.token else "float"
        yield f"    {number} {a.buffer.name}[{steps * part.say.number(a.buffer.size)}];"
    yield f"    {part.prefix}reset(&state);"
    half = steps // 2
    chunks = [(t, 1) for t in range(steps)] if answers else [(0, half), (half, steps - half)]
    if answers:
        yield f"    for (int t = 0; t < {steps}; t++) {{"
        yield f"        {part.prefix}run(&state, 1, {', '.join(_given(file, part, 't'))});"
        yield "    }"
    else:
        for first, count in chunks:
            yield f"    {part.prefix}run(&state, {count}, {', '.join(_given(file, part, str(first)))});"
    for a in body.outputs:
        size = steps * part.say.number(a.buffer.size)
        if a.buffer.token:
            same = f"{a.buffer.name}[j] == u_exact_{a.buffer.name}[j]"
            yield f"    for (int j = 0; j < {size}; j++) error = {same} ? error : 1;"
        else:
            yield f"    error = u_larger(error, u_error({a.buffer.name}, u_exact_{a.buffer.name}, {size}));"


def _given(file: File, part: Part, t: str) -> Iterator[str]:
    """The arguments of a run from step t on."""
    fixed, counted = set(part.body.recurrence.fixed), set[str]()
    for a in part.body.inputs:
        size = part.say.number(a.buffer.size)
        yield f"u_test_{a.buffer.name}" + ("" if a.name in fixed or t == "0" else f" + {t} * {size}")
        if a.rows and a.rows not in counted:
            yield str(len(file.proof.inputs[a.name]))
            counted.add(a.rows)
    for a in part.body.outputs:
        yield a.buffer.name + ("" if t == "0" else f" + {t} * {part.say.number(a.buffer.size)}")


def _sequence(file: File, head: Part) -> Iterator[str]:
    """The whole sequence at once."""
    out, read = head.body.outputs[0], file.parts[0].body.inputs[0]
    steps, answers = file.proof.steps, file.network.answer != "every"
    size = head.say.number(out.buffer.size) * (1 if answers else steps)
    yield f"    static float work[{2 * max(wide(file)) * (file.options.longest or 1)}], outputs[{size}];"
    yield f"    if ({file.name}_run({steps}, u_test_{read.buffer.name}, outputs, work)) return 2;"
    yield f"    error = u_larger(error, u_error(outputs, u_exact_{out.buffer.name}, {size}));"
