"""The points of the table and the contestants at each: enough for every aim in ``targets.py``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from unrolled.speed.point import Point
from unrolled.speed.timing import Effort

STANDARD = ("rnn", "gru", "lstm")
CUSTOM = ("jordan", "peephole_lstm", "layernorm_lstm", "mgu")
MATRIX = ("mlstm", "delta")
ONNX = (*STANDARD, "peephole_lstm")

# steps, batch, input size, hidden size
ALONE = [(500, 1, 40, 32), (500, 1, 40, 64), (500, 1, 40, 128), (500, 1, 40, 256), (100, 1, 256, 1024)]
MIDDLE = [(100, 20, 64, 128), (100, 32, 64, 128), (100, 32, 128, 256)]
WIDE = [(50, 64, 256, 512), (50, 16, 256, 1024)]
FEW = [(500, 1, 40, 128), (100, 32, 64, 128), (50, 16, 256, 1024)]
ANY_CELL = [(100, 1, 40, 128), (100, 32, 64, 128), (50, 64, 256, 512)]
ATTENTION = [(40, 32, 256, 256)]
MATRICES = [(512, 1, 64, 64), (128, 8, 64, 64)]
COMPILED = [
    (25, 1, 40, 128),
    (25, 32, 64, 128),
]  # torch.compile unrolls the loop: it compiles for about two seconds per step


@dataclass(frozen=True)
class Case:
    """A point of the table, and the names of the contestants there."""

    point: Point
    names: tuple[str, ...]


def _cases(cells: Iterable[str], shapes: Iterable[tuple[int, int, int, int]], *names: str, **how: int) -> list[Case]:
    return [
        Case(Point(cell, *shape, **how), tuple(n for n in names if n != "ONNX" or cell in ONNX))  # type: ignore[arg-type]
        for shape in shapes
        for cell in cells
    ]


FULL = [
    *_cases(STANDARD, ALONE + MIDDLE + WIDE, "unrolled", "torch.nn", "JAX"),
    *_cases(CUSTOM, ANY_CELL, "unrolled", "torch loop", "JAX"),
    *_cases(CUSTOM, COMPILED, "unrolled", "torch.compile"),
    *_cases(("bahdanau",), ATTENTION, "unrolled", "torch loop", "JAX"),
    *_cases(MATRIX, MATRICES, "unrolled", "torch loop", "JAX"),
    *_cases(STANDARD, FEW, "unrolled", "torch.nn", "torch loop", "JAX", "ONNX", training=False),
    *_cases(CUSTOM, [ANY_CELL[1]], "unrolled", "torch loop", "JAX", "ONNX", training=False),
    *_cases(STANDARD, [MIDDLE[1], *WIDE], "unrolled", "unrolled, 1 thread", "torch.nn", "JAX", threads=2),
    *_cases(("lstm",), [ALONE[-1]], "unrolled", "unrolled, 1 thread", "torch.nn", "JAX", threads=2),
]
FULL_EFFORT = Effort(turns=7, seconds=0.03)

QUICK = [
    *_cases(STANDARD, [(200, 1, 40, 128), (50, 32, 64, 128)], "unrolled", "torch.nn", "JAX"),
    *_cases(CUSTOM, [(50, 1, 40, 128), (50, 32, 64, 128)], "unrolled", "torch loop", "JAX"),
    *_cases(("rnn",), [(10, 1, 40, 128)], "unrolled", "torch.compile"),
    *_cases(("bahdanau",), ATTENTION, "unrolled", "torch loop", "JAX"),
    *_cases(MATRIX, [(100, 1, 64, 64)], "unrolled", "torch loop", "JAX"),
    *_cases(STANDARD, [(50, 32, 64, 128)], "unrolled", "torch.nn", "JAX", "ONNX", training=False),
    *_cases(("gru",), [(50, 32, 64, 128)], "unrolled", "unrolled, 1 thread", "torch.nn", "JAX", threads=2),
]
QUICK_EFFORT = Effort(turns=3, seconds=0.02)


def select(cases: list[Case], names: list[str] | None, **wanted: list[object] | None) -> list[Case]:
    """The cases whose points have one of the given values of each attribute, with only the named contestants."""
    kept = [c for c in cases if all(v is None or getattr(c.point, n) in v for n, v in wanted.items())]
    if names is None:
        return kept
    fewer = [replace(c, names=tuple(n for n in c.names if n in names)) for c in kept]
    return [c for c in fewer if c.names]
