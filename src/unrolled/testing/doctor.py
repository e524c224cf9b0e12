"""Every engine against the float64 reference, on the machine at hand: all values forward, and all gradients."""

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

SIZES = {"x": 5, "h": 21, "s": 21, "o": 3}  # no multiples of any vector
SHAPES = ((1, 1, 1), (80, 1, 1), (7, 19, 2))  # steps, batch, threads
# All circuits in both precisions would take longer to compile than one waits.
WITHIN = ("rnn", "irnn")  # left out: elman and many_operations do what they do, and more
IN_FLOAT64 = ("gru", "many_operations")
UNCOMPILED = ("reference", "torch")  # engines of torch's operations
TOLERANCE = {torch.float32: "engines, float32", torch.float64: "engines, float64"}


@dataclass(frozen=True, eq=False)
class Case:
    """A circuit at a shape, with random values that float32 can hold, so that all precisions start from the same."""

    circuit: Circuit
    steps: int
    batch: int
    threads: int

    @cached_property
    def sizes(self) -> dict[str, int]:
        known = (*self.circuit.inputs, *self.circuit.states, *self.circuit.outputs)
        return bind(self.circuit.recurrence, {n: SIZES[n] for n in known if n in SIZES})

    @cached_property
    def leaves(self) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Values of all leaves, and the weights of a random linear loss: float64, rounded to float32. Matrices are half
        of what keeps a state at its size: at the edge of chaos a step amplifies the rounding of those before it, and
        one would measure the circuit's condition, not the engine."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            recurrence = self.circuit.recurrence
            values = random_leaves(recurrence, self.sizes, self.steps, self.batch)
            values |= {n: values[n] / 2 for n in recurrence.parameters if values[n].ndim == 2}
            weights = random_weights(recurrence, self.sizes, self.steps, self.batch)
        return _cast(_cast(values, torch.float32), torch.float64), _cast(_cast(weights, torch.float32), torch.float64)

    @cached_property
    def expected(self) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        return self.run("reference", torch.float64)

    def run(self, engine: str, dtype: torch.dtype) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """What an engine gives: every returned value, and every gradient. Torch's own operations get one thread: at
        these sizes more gain nothing, and on a busy machine they wait for each other."""
        values, weights = (_cast(v, dtype) for v in self.leaves)
        with processor_threads(1 if engine in UNCOMPILED else self.threads):
            return values_and_gradients(self.circuit.recurrence, self.sizes, values, weights, engine)

    def ways(self, engines: Iterable[str]) -> list[tuple[str, torch.dtype]]:
        """The engines and precisions that are compared; the reference in float64 is what they are compared with."""
        dtypes = TOLERANCE if self.circuit.name in IN_FLOAT64 else (torch.float32,)
        return [(e, d) for e in engines for d in dtypes if (e, d) != ("reference", torch.float64)]

    def __str__(self) -> str:
        threads = "1 thread" if self.threads == 1 else f"{self.threads} threads"
        return f"{self.circuit.name}, {self.steps} steps, batch {self.batch}, {threads}"


@dataclass(frozen=True)
class Finding:
    """What came out of one comparison. error: the largest of all relative errors, and which value it belongs to;
    problem: why there is none."""

    engine: str
    precision: str
    case: str
    error: float
    allowed: float
    value: str
    problem: str = ""

    @property
    def agrees(self) -> bool:
        return not self.problem and self.error <= self.allowed

    def __str__(self) -> str:
        what = self.problem or f"{self.value} is off by {self.error:.1e}, allowed {self.allowed:.0e}"
        return f"engine '{self.engine}', {self.precision}, {self.case}: {what}"


def cases(circuits: Iterable[Circuit] = ()) -> list[Case]:
    """The circuits at all shapes, threads no more than there are."""
    circuits = circuits or [*(c for name, c in ALL.items() if name not in WITHIN), many_operations]
    most = os.cpu_count() or 1
    return [Case(c, steps, batch, min(threads, most)) for c in circuits for steps, batch, threads in SHAPES]


def available(engines: Iterable[str] = ()) -> tuple[list[str], dict[str, str]]:
    """The engines that run here, and why the others do not."""
    found, missing = [], {}
    for name in engines or ENGINES:
        try:
            choose(name, many_operations.recurrence)
            found.append(name)
        except EngineError as reason:
            missing[name] = str(reason)
    return found, missing


def build(these: Iterable[Case], engines: Iterable[str]) -> None:
    """Compile what the cases need, as many at once as there are processors. What fails will fail again when it is
    compared, and is told then."""

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
    """Compare every engine with the reference, in float32 and in float64, case by case."""
    for case in these:
        for engine, dtype in case.ways(engines):
            yield compare(case, engine, dtype)


def compare(case: Case, engine: str, dtype: torch.dtype) -> Finding:
    """One engine, in one precision, on one case. Values are relative to their largest, gradients to the largest of all
    and of the loss's weights, for some are zero but for rounding."""
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
