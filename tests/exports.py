"""Random circuits as C files, through every compiler that this machine has: python tests/exports.py [CIRCUITS].

Each compiler warns strictly and fails on a warning; each program proves itself. Programs for Arm run in qemu.
"""

from __future__ import annotations

import importlib.util
import random
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from cells_for_tests import CIRCUITS, SIZES
from unrolled import Recurrent
from unrolled.export.about import About
from unrolled.export.c.file import made
from unrolled.export.c.text import text_of
from unrolled.export.network import network_of
from unrolled.export.options import Options
from unrolled.testing.strategies import random_circuit

STRICT = "-std=c99 -Wall -Wextra -Werror -pedantic -DMODEL_TEST"
CHECKED = "-O1 -fsanitize=address,undefined -fno-sanitize-recover=all"
BARE = Path(__file__).parent / "cortex_m"
M4 = "-mcpu=cortex-m4 -mthumb -mfloat-abi=hard -mfpu=fpv4-sp-d16 --specs=rdimon.specs"
BOARD = "qemu-system-arm -M mps2-an386 -nographic -monitor none -serial none -semihosting -kernel"


@dataclass(frozen=True)
class Compiler:
    """A way to compile and run: the command and its flags, and what runs the program; every ``each``-th circuit."""

    name: str
    command: str
    runner: str = ""
    each: int = 1

    def found(self) -> bool:
        """Whether this machine has it."""
        if self.command.startswith(sys.executable):
            return importlib.util.find_spec("ziglang") is not None
        return all(shutil.which(words.split()[0]) for words in (self.command, self.runner) if words)


COMPILERS = (
    Compiler("gcc with sanitizers", f"gcc {CHECKED}"),
    Compiler("gcc -O2", "gcc -O2", each=2),
    Compiler("gcc -O3 -march=native", "gcc -O3 -march=native", each=2),
    Compiler("clang -O2", "clang -O2", each=2),
    Compiler("zig cc", f"{sys.executable} -m ziglang cc -O2", each=4),
    Compiler("AArch64", "aarch64-linux-gnu-gcc -O2 -static", "qemu-aarch64", each=4),
    Compiler("Arm", "arm-linux-gnueabihf-gcc -O2 -static", "qemu-arm", each=8),
    Compiler("Cortex-M4", f"arm-none-eabi-gcc -O2 {M4} {BARE}/start.c -T {BARE}/board.ld", BOARD, each=8),
)


def files(circuits: int) -> Iterator[tuple[str, str]]:
    """Names and C texts: every cell of the library, then random circuits; every second one with loops of known size."""
    for name, circuit in CIRCUITS.items():
        for static in (False, True):
            torch.manual_seed(0)
            yield f"{name}, static={static}", _text(Recurrent(circuit, **SIZES[name]), static)
    for n in range(circuits):
        drawn = random_circuit(random.Random(n).choice, matrices=n % 3 == 2, tokens=n % 5 == 4)
        torch.manual_seed(n)
        yield f"circuit {n}\n{drawn.source}", _text(Recurrent(drawn.circuit, **drawn.sizes), bool(n % 2))


def _text(net: Recurrent, static: bool) -> str:
    return text_of(made(network_of(net), About(), Options(static=static, rows=7)))


def failure(compiler: Compiler, folder: Path) -> str:
    """Why a file does not compile or prove itself; empty if it does."""
    command, *flags = shlex.split(compiler.command)
    run = [*shlex.split(compiler.runner), "./program"]
    for words in ([command, *flags, *STRICT.split(), "model.c", "-o", "program"], run):
        result = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
        if result.returncode:
            return f"{shlex.join(words)}\n{(result.stdout + result.stderr)[-2000:]}"
    return "" if "passed" in result.stdout + result.stderr else f"it prints {result.stdout + result.stderr!r}"


def main(circuits: int) -> int:
    """Try all files with all compilers. Returns the number of failures."""
    found = [c for c in COMPILERS if c.found()]
    missing = [c.name for c in COMPILERS if not c.found()]
    print(f"compilers    {', '.join(c.name for c in found)}" + (f"; not here: {', '.join(missing)}" if missing else ""))
    passed, failed = Counter[str](), 0
    with tempfile.TemporaryDirectory() as place:
        for number, (name, text) in enumerate(files(circuits)):
            (Path(place) / "model.c").write_text(text)
            for compiler in found:
                if number % compiler.each == 0:
                    why = failure(compiler, Path(place))
                    passed[compiler.name] += not why
                    failed += bool(why)
                    print(f"{name}\n{why}\n" if why else "", end="", flush=True)
    for compiler in found:
        print(f"{compiler.name:<24} {passed[compiler.name]} files passed")
    print(f"{failed} failed")
    return failed


if __name__ == "__main__":
    sys.exit(min(main(int(sys.argv[1]) if len(sys.argv) > 1 else 200), 1))
