"""What is timed: one cell at one size, and the numbers that every contestant gets. Needs only numpy."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Point:
    """One row of the table of results. ``training`` times forward and backward, otherwise only forward."""

    cell: str
    steps: int
    batch: int
    inputs: int
    hidden: int
    threads: int = 1
    training: bool = True

    @property
    def sizes(self) -> dict[str, int]:
        """Sizes by their names in the circuit. The output of the cell jordan is as large as its input."""
        return {"x": self.inputs, "h": self.hidden, **({"o": self.inputs} if self.cell == "jordan" else {})}

    @property
    def way(self) -> str:
        """'training' or 'forward'."""
        return "training" if self.training else "forward"

    def __str__(self) -> str:
        threads = "1 thread" if self.threads == 1 else f"{self.threads} threads"
        shape = f"T={self.steps} B={self.batch} I={self.inputs} H={self.hidden}"
        return f"{self.cell} {shape}, {threads}, {self.way}"


@dataclass(frozen=True, eq=False)
class Problem:
    """The numbers of a point, all float32. The state starts at zero, and x needs no gradient.

    Attributes:
        cell: the name of the cell.
        parameters: by name.
        x: the input (batch, steps, inputs).
        weight: the gradient of the loss with respect to the output (batch, steps, size).
    """

    cell: str
    parameters: Arrays
    x: np.ndarray
    weight: np.ndarray

    def save(self, path: Path) -> None:
        """Write the problem to an .npz file."""
        leaves = {f"parameter {n}": p for n, p in self.parameters.items()}
        np.savez(path, x=self.x, weight=self.weight, cell=np.array(self.cell), **leaves)  # type: ignore[arg-type]

    @staticmethod
    def load(path: Path) -> Problem:
        """Read a problem that ``save`` wrote."""
        with np.load(path) as found:
            parameters = {n.removeprefix("parameter "): found[n] for n in found if n.startswith("parameter ")}
            return Problem(str(found["cell"]), parameters, found["x"], found["weight"])
