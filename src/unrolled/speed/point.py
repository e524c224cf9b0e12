"""What is timed: one cell at one size, and the numbers that every contestant is given. Needs numpy alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Point:
    """A place in the table of results. ``training`` is forward and backward, else the pass forward alone."""

    cell: str
    steps: int
    batch: int
    inputs: int
    hidden: int
    threads: int = 1
    training: bool = True

    @property
    def sizes(self) -> dict[str, int]:
        """By the names of the circuit. The output of the cell jordan is as large as its input."""
        return {"x": self.inputs, "h": self.hidden, **({"o": self.inputs} if self.cell == "jordan" else {})}

    @property
    def way(self) -> str:
        return "training" if self.training else "forward"

    def __str__(self) -> str:
        threads = "1 thread" if self.threads == 1 else f"{self.threads} threads"
        shape = f"T={self.steps} B={self.batch} I={self.inputs} H={self.hidden}"
        return f"{self.cell} {shape}, {threads}, {self.way}"


@dataclass(frozen=True, eq=False)
class Problem:
    """x: (batch, steps, inputs). weight: (batch, steps, size), the gradient that arrives at the output. All
    float32; the state starts at zero, and x needs no gradient."""

    cell: str
    parameters: Arrays
    x: np.ndarray
    weight: np.ndarray

    def save(self, path: Path) -> None:
        leaves = {f"parameter {n}": p for n, p in self.parameters.items()}
        np.savez(path, x=self.x, weight=self.weight, cell=np.array(self.cell), **leaves)  # type: ignore[arg-type]

    @staticmethod
    def load(path: Path) -> Problem:
        with np.load(path) as found:
            parameters = {n.removeprefix("parameter "): found[n] for n in found if n.startswith("parameter ")}
            return Problem(str(found["cell"]), parameters, found["x"], found["weight"])
