"""What is timed: one cell at one size, and the numbers that every contestant gets. Needs only numpy."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

Arrays = dict[str, np.ndarray]
Sizes = dict[str, int]
ROWS = (20, 60)  # the least and the most rows of a memory


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
    def sizes(self) -> Sizes:
        """Sizes by their names in the circuit. The output of the cell jordan is as large as its input, and the rows of
        memories are as large as h."""
        more: dict[str, Sizes] = {
            "jordan": {"o": self.inputs},
            "bahdanau": {"q": self.hidden, "M": self.hidden},
            "mlstm": {"k": self.hidden},
            "delta": {"k": self.hidden},
        }
        return {"x": self.inputs, "h": self.hidden, **more.get(self.cell, {})}

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
        sizes: by their names in the circuit.
        parameters: by name.
        x: the input (batch, steps, inputs).
        weight: the gradient of the loss with respect to the output (batch, steps, size).
        memory: what a cell with attention looks at, padded with zeros (batch, rows, size); no rows for other cells.
        rows: of each memory that are not padding (batch,).
    """

    cell: str
    sizes: Sizes
    parameters: Arrays
    x: np.ndarray
    weight: np.ndarray
    memory: np.ndarray
    rows: np.ndarray

    @property
    def valid(self) -> np.ndarray:
        """Which rows of the memories are not padding (batch, rows)."""
        found: np.ndarray = np.arange(self.memory.shape[1]) < self.rows[:, None]
        return found

    def save(self, path: Path) -> None:
        """Write the problem to an .npz file."""
        leaves = {f"parameter {n}": p for n, p in self.parameters.items()}
        series = {"x": self.x, "weight": self.weight, "memory": self.memory, "rows": self.rows}
        about = np.array(json.dumps([self.cell, self.sizes]))
        np.savez(path, about=about, **series, **leaves)  # type: ignore[arg-type]

    @staticmethod
    def load(path: Path) -> Problem:
        """Read a problem that ``save`` wrote."""
        with np.load(path) as found:
            parameters = {n.removeprefix("parameter "): found[n] for n in found if n.startswith("parameter ")}
            cell, sizes = json.loads(str(found["about"]))
            series = (found[n] for n in ("x", "weight", "memory", "rows"))
            return Problem(cell, sizes, parameters, *series)
