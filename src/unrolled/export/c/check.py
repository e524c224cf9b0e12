"""Compiling and running a C file: its proof, and the time of a step."""

from __future__ import annotations

import shlex
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from ...engines.c.build import compiler, missing
from ...errors import EngineError
from .text import File, header_of, text_of

FLAGS = ("-O3", "-march=native")
SECONDS = 600

TIMING = """\
#include "{name}.c"
#include <stdio.h>
#include <time.h>

int main(void) {{
    static {name}_state state;
    {memory}
    {name}_reset(&state);
    for (long n = 16;; n *= 2) {{
        const clock_t begin = clock();
        for (long t = 0; t < n; t++) {name}_step({arguments});
        const double seconds = (double)(clock() - begin) / CLOCKS_PER_SEC;
        if (seconds > 0.05) return printf("%.4g\\n", seconds / (double)n) < 0;
    }}
}}
"""


def checked(file: File) -> tuple[str, float | None]:
    """Compile and run the proof of a file, and measure a step.

    Returns:
        what the proof said, or why there was none; and the seconds of a step, if it was measured.

    Raises:
        EngineError: the file does not compile, or does not compute what the reference computes.
    """
    command = compiler()
    if command is None:
        return f"not run: {missing()}", None
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / f"{file.name}.c").write_text(text_of(file), encoding="utf-8")
        if file.options.header:
            (folder / file.header).write_text(header_of(file), encoding="utf-8")
        said = run(command, folder, f"{file.name}.c", (f"-D{file.name.upper()}_TEST",))
        if file.network.head is not None:
            return said, None
        (folder / "timing.c").write_text(timing(file), encoding="utf-8")
        return said, float(run(command, folder, "timing.c"))


def run(command: Sequence[str], folder: Path, source: str, more: Sequence[str] = ()) -> str:
    """Compile a file and run the program. Returns what it printed.

    Raises:
        EngineError: one of the two failed.
    """
    program = folder / "program"
    words = [*command, *FLAGS, *more, source, "-o", str(program)]
    for step in (words, [str(program)]):
        try:
            result = subprocess.run(step, cwd=folder, capture_output=True, text=True, timeout=SECONDS, check=False)
        except (OSError, subprocess.TimeoutExpired) as problem:
            raise EngineError(f"'{shlex.join(step)}' could not be run: {problem}. Nothing was written") from None
        if result.returncode:
            output = (result.stderr or result.stdout)[-2000:].strip()
            raise EngineError(
                f"the exported program failed (exit status {result.returncode} of: {shlex.join(step)}), so nothing was "
                f"written:\n{output}\n  Name another compiler with $CC"
            )
    return result.stdout.strip()


def timing(file: File) -> str:
    """A program that measures a step."""
    return TIMING.format(name=file.name, memory="\n    ".join(_memory(file)), arguments=", ".join(_arguments(file)))


def _memory(file: File) -> Iterator[str]:
    part = file.parts[0]
    for a in (*part.body.inputs, *part.body.outputs):
        if not (a in part.body.inputs and a.buffer.token):
            number = "int32_t" if a.buffer.token else "float"
            yield f"static {number} memory_{a.buffer.name}[{part.say.number(a.buffer.size)}];"


def _arguments(file: File) -> Iterator[str]:
    part, counted = file.parts[0], set[str]()
    yield "&state"
    for a in part.body.inputs:
        yield "0" if a.buffer.token else f"memory_{a.buffer.name}"
        if a.rows and a.rows not in counted:
            yield f"{file.options.rows}"
            counted.add(a.rows)
    yield from (f"memory_{a.buffer.name}" for a in part.body.outputs)
