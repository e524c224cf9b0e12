"""The results of one run of the benchmark, and the file that keeps the latest run of each machine."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from once import FirstUse, Streaming
from targets import Target, targets

from unrolled.speed.floor import Floor
from unrolled.speed.machine import Machine
from unrolled.speed.point import Point
from unrolled.speed.timing import Effort, Row, Time


@dataclass(frozen=True)
class Results:
    """One run on one machine. ``note`` is a remark to be printed below its tables."""

    date: str
    machine: Machine
    effort: Effort
    rows: list[Row]
    first_use: list[FirstUse]
    streaming: Streaming | None
    note: str = ""

    @property
    def targets(self) -> list[Target]:
        """All aims, with the figures of this run."""
        return targets(self.rows, self.first_use, self.streaming)

    def as_dict(self) -> dict[str, Any]:
        """The run as plain values, for JSON."""
        return asdict(self) | {"targets": [asdict(t) | {"reached": t.reached} for t in self.targets]}

    @staticmethod
    def of_dict(found: dict[str, Any]) -> Results:
        """The run that ``as_dict`` gave."""
        return Results(
            found["date"],
            Machine(**found["machine"]),
            Effort(**found["effort"]),
            [_row(r) for r in found["rows"]],
            [FirstUse(**f) for f in found["first_use"]],
            Streaming(**found["streaming"]) if found["streaming"] else None,
            found["note"],
        )


def _row(found: dict[str, Any]) -> Row:
    times = {name: Time(**t) for name, t in found["times"].items()}
    return Row(**found | {"point": Point(**found["point"]), "times": times, "floor": Floor(**found["floor"])})


def merged(path: Path, new: Results) -> list[Results]:
    """The runs in a results file, newest first, where ``new`` replaces the run of the same kind of machine."""
    known = json.loads(path.read_text(encoding="utf-8"))["runs"] if path.exists() else []
    kind = (new.machine.processor, new.machine.vectors)
    others = [r for r in map(Results.of_dict, known) if (r.machine.processor, r.machine.vectors) != kind]
    return sorted([new, *others], key=lambda r: r.date, reverse=True)
