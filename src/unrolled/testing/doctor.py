"""Comparison of every engine with the float64 reference on this machine: all values and all gradients."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from ..cells import ALL
from ..circuits import Circuit
from ..engines.registry import ENGINES, choose
from ..engines.threads import processor_threads
from ..errors import EngineError
from ..graph.bind import bind
from .compare import TOLERANCES, largest, relative_error
from .gradients import random_leaves, random_weights, values_and_gradients
from .many_operations import many_operations

SIZES = {"x": 5, "h": 21, "s": 21, "o": 3}  # not multiples of a vector's width, so that remainders are tested
SHAPES = ((1, 1, 1), (80, 1, 1), (7, 19, 2))  # steps, batch, threads
WITHIN = ("rnn", "irnn")  # left out, since elman and many_operations cover them
IN_FLOAT64 = ("gru", "many_operations")  # compiling all circuits in both precisions would take too long
UNCOMPILED = ("reference", "torch")  # engines that run torch operations
TOLERANCE = {torch.float32: "engines, float32", torch.float64: "engines, float64"}


@dataclass(frozen=True, eq=False)
class Case:
    """A circuit at one shape. Its random values are exact in float32, so that all precisions start from the same."""

    circuit: Circuit
    steps: int
    batch: int
    threads: int

    @cached_property
    def sizes(self) -> dict[str, int]:
        """All sizes of the circuit, by name."""
        known = (*self.circuit.inputs, *self.circuit.states, *self.circuit.outputs)
        return bind(self.circuit.recurrence, {n: SIZES[n] for n in known if n in SIZES})

    @cached_property
    def leaves(self) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Values of all leaves and weights of a random linear loss, in float64 but rounded to float32.

        Matrices are half as large as those that preserve the norm of a state. At the edge of chaos each step amplifies
        earlier rounding errors, and the comparison would measure the circuit's condition instead of the engine.
        """
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            recurrence = self.circuit.recurrence
            values = random_leaves(recurrence, self.sizes, self.steps, self.batch)
            values |= {n: values[n] / 2 for n in recurrence.parameters if values[n].ndim == 2}
            weights = random_weights(recurrence, self.sizes, self.steps, self.batch)
        return _cast(_cast(values, torch.float32), torch.float64), _cast(_cast(weights, torch.float32), torch.float64)

    @cached_property
    def expected(self) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Values and gradients of the reference in float64."""
        return self.run("reference", torch.float64)

    def run(self, engine: str, dtype: torch.dtype) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """All returned values and all gradients of an engine. Torch's own operations get one thread."""
        values, weights = (_cast(v, dtype) for v in self.leaves)
        with processor_threads(1 if engine in UNCOMPILED else self.threads):
            return values_and_gradients(self.circuit.recurrence, self.sizes, values, weights, engine)

    def ways(self, engines: Iterable[str]) -> list[tuple[str, torch.dtype]]:
        """The pairs of engine and precision to compare with the reference in float64."""
        dtypes = TOLERANCE if self.circuit.name in IN_FLOAT64 else (torch.float32,)
        return [(e, d) for e in engines for d in dtypes if (e, d) != ("reference", torch.float64)]

    def __str__(self) -> str:
        threads = "1 thread" if self.threads == 1 else f"{self.threads} threads"
        return f"{self.circuit.name}, {self.steps} steps, batch {self.batch}, {threads}"


@dataclass(frozen=True)
class Finding:
    """The result of one comparison.

    Attributes:
        engine: the engine.
        precision: 'float32' or 'float64'.
        case: the case, in words.
        error: the largest of all relative errors.
        allowed: the tolerance.
        value: the value or gradient with the largest error.
        problem: why the engine could not run, if so.
    """

    engine: str
    precision: str
    case: str
    error: float
    allowed: float
    value: str
    problem: str = ""

    @property
    def agrees(self) -> bool:
        """Whether the engine ran, and its error is within the tolerance."""
        return not self.problem and self.error <= self.allowed

    def __str__(self) -> str:
        what = self.problem or f"{self.value} is off by {self.error:.1e}, allowed {self.allowed:.0e}"
        return f"engine '{self.engine}', {self.precision}, {self.case}: {what}"


def cases(circuits: Iterable[Circuit] = ()) -> list[Case]:
    """Cases for some circuits (by default most published ones) at all shapes, with at most the threads available."""
    circuits = circuits or [*(c for name, c in ALL.items() if name not in WITHIN), many_operations]
    most = os.cpu_count() or 1
    return [Case(c, steps, batch, min(threads, most)) for c in circuits for steps, batch, threads in SHAPES]


def available(engines: Iterable[str] = ()) -> tuple[list[str], dict[str, str]]:
    """The engines that can run on this machine, and for the others the reason why not."""
    found, missing = [], {}
    for name in engines or ENGINES:
        try:
            choose(name, many_operations.recurrence)
            found.append(name)
        except EngineError as reason:
            missing[name] = str(reason)
    return found, missing


def build(these: Iterable[Case], engines: Iterable[str]) -> None:
    """Compile the kernels of the cases, in parallel. Failures are ignored here, since ``compare`` reports them."""

    def run(case: Case, engine: str, dtype: torch.dtype) -> None:
        with suppress(Exception):
            case.run(engine, dtype)

    smallest = {c.circuit: c for c in sorted(these, key=lambda c: -c.steps * c.batch)}.values()
    with processor_threads(torch.get_num_threads()), ThreadPoolExecutor(os.cpu_count()) as pool:
        for case in smallest:
            for engine, dtype in case.ways(engines):
                if engine not in UNCOMPILED:
                    pool.submit(run, case, engine, dtype)


def examine(these: Iterable[Case], engines: Iterable[str]) -> Iterator[Finding]:
    """Compare every engine with the reference, in float32 and float64, case by case."""
    for case in these:
        for engine, dtype in case.ways(engines):
            yield compare(case, engine, dtype)


def compare(case: Case, engine: str, dtype: torch.dtype) -> Finding:
    """Compare one engine in one precision on one case.

    The error of a value is relative to its largest entry. The error of a gradient is relative to the largest entry of
    all gradients and of the loss's weights, since some gradients are zero up to rounding.
    """
    precision, allowed = str(dtype).removeprefix("torch."), TOLERANCES[TOLERANCE[dtype]]
    try:
        values, gradients = case.run(engine, dtype)
    except Exception as problem:
        return Finding(engine, precision, str(case), float("inf"), allowed, "", f"{type(problem).__name__}: {problem}")
    expected, slopes = case.expected
    scale = largest([*slopes.values(), *case.leaves[1].values()])
    errors = {n: relative_error(values[n].double(), v) for n, v in expected.items()}
    errors |= {f"the gradient of {n}": relative_error(gradients[n].double(), g, scale) for n, g in slopes.items()}
    worst = max(errors, key=errors.__getitem__)
    return Finding(engine, precision, str(case), errors[worst], allowed, worst)


def _cast(values: dict[str, Tensor], dtype: torch.dtype) -> dict[str, Tensor]:
    return {n: v.to(dtype) if v.is_floating_point() else v for n, v in values.items()}
