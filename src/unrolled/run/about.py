"""What a run folder holds, in short: for ``unrolled info`` and ``unrolled runs``."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ..data.defaults import BY_TASK, USUAL
from ..data.kind import Kind
from ..files.strict_json import from_json
from .checkpoint import PROGRESS, checkpoints, no_checkpoint
from .config import Config
from .history import History
from .spec import SECTIONS, Spec


@dataclass(frozen=True)
class About:
    """A run, without its model.

    >>> about(Path("runs/text-gru")).state
    'finished'
    """

    path: Path
    config: Config
    spec: Spec
    kind: Kind
    history: History
    progress: dict[str, Any]

    @property
    def cell(self) -> str:
        """The name of the circuit."""
        return str(self.config.values.get("cell", self.spec.model.cell))

    @property
    def update(self) -> int:
        """The number of updates, as of the last checkpoint."""
        return int(self.progress.get("update", 0))

    @property
    def state(self) -> str:
        """'finished', 'stopped' (it can be resumed), or 'unfinished' (it is running, or was killed)."""
        return {"result": "finished", "stopped": "stopped"}.get(self.history.ended.get("event", ""), "unfinished")

    @cached_property
    def parameters(self) -> int | None:
        """The number of parameters, if the log tells."""
        return next((r["parameters"] for r in self.history.records if "parameters" in r), None)

    @property
    def validation(self) -> float | None:
        """The lowest validation loss, in the unit of the kind."""
        lowest = self.progress.get("lowest")
        return None if lowest is None else lowest * self.kind.scale

    @cached_property
    def result(self) -> dict[str, float]:
        """The metric on the test data, and the same of the baselines; empty before the end."""
        ended = self.history.ended
        names = list(ended)
        if ended.get("event") != "result":
            return {}
        first = names.index("stopped") + 1
        return {n: ended[n] for n in names[first:] if n not in AFTER and isinstance(ended[n], int | float)}

    @cached_property
    def changed(self) -> dict[str, Any]:
        """The options that are not the defaults of the task, as SECTION.KEY."""
        usual = Spec.of(self.kind.name, USUAL, BY_TASK[self.kind.name]).sections()
        now = self.spec.sections()
        different = {f"{s}.{k}": v for s in SECTIONS for k, v in now[s].items() if v != usual[s].get(k)}
        return {name: value for name, value in different.items() if value is not None}

    @property
    def next(self) -> tuple[object, ...]:
        """The command that a person would want next."""
        if self.state != "finished":
            return "train", "--resume", self.path
        if self.kind.name == "language":
            return "sample", self.path, "--length", 400
        return "predict", self.path, self.config.get("source.path", str)

    def values(self) -> dict[str, Any]:
        """Everything as JSON."""
        return {
            "run": str(self.path),
            "task": self.kind.name,
            "cell": self.cell,
            "source": self.config.get("source", dict),
            "from": self.config.values.get("from"),
            "parameters": self.parameters,
            "inputs": self.kind.inputs,
            "outputs": self.kind.outputs,
            "options": self.spec.sections(),
            "changed": self.changed,
            "update": self.update,
            "seconds": self.progress.get("seconds"),
            "state": self.state,
            "unit": self.kind.unit,
            "validation": self.validation,
            "best": self.progress.get("best"),
            "result": self.result,
            "versions": self.config.values.get("versions", {}),
        }

    def lines(self) -> list[tuple[str, str]]:
        """The same for people, line by line, each with a word before it."""
        source, spec = self.config.get("source.path", str), self.spec.model
        layers = f"{spec.layers} layers" if spec.layers > 1 else "1 layer"
        size = f", {self.parameters:,} parameters" if self.parameters else ""
        found = [
            ("run", str(self.path)),
            ("data", f"{source} (task '{self.kind.name}')"),
            ("model", f"{self.cell}, {layers}{size}; it reads {self.kind.inputs} values and gives {self.kind.outputs}"),
        ]
        if "from" in self.config.values:
            found.append(("from", self.config.get("from", str)))
        if self.changed:
            found.append(("options", ", ".join(f"{name}={value}" for name, value in self.changed.items())))
        seconds = self.progress.get("seconds") or 0.0
        found.append(("training", f"{self.state} after {self.update:,} updates, {seconds:,.0f} s"))
        if self.validation is not None:
            best = f"{self.validation:.3f} {self.kind.unit} after update {self.progress.get('best') or 0:,}"
            found.append(("validated", best))
        if self.result:
            found.append(("tested", "; ".join(f"{v:.3f} {n.replace('_', ' ')}" for n, v in self.result.items())))
        versions = self.config.values.get("versions", {})
        found.append(("versions", ", ".join(f"{name} {version}" for name, version in versions.items()) or "unknown"))
        return found


AFTER = ("validation", "untrained", "per_second", "memory")  # what the log has after the result


def about(run: Path) -> About:
    """What a run folder holds. Its model is not read.

    Raises:
        DataError: the folder is not a run, has no checkpoint, or is damaged.
    """
    config = Config(run)
    spec = config.spec()
    if not (found := checkpoints(run)):
        raise no_checkpoint(run)
    path = found[-1] / PROGRESS
    try:
        progress = from_json(path.read_bytes())
    except (OSError, ValueError, RecursionError) as problem:
        config.refuse(f"its newest checkpoint cannot be read ({problem})")
    return About(run, config, spec, config.kind(spec), History.read(run), progress)
