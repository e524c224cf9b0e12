"""What log.jsonl says about a training, and its picture."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ..draw.curve import Point
from ..draw.drawing import Drawing
from ..draw.marks import Scene
from ..draw.panel import DASHES, Line, Panel, add_panel, ticks
from ..files.read import read_bytes
from .folder import LOG

WIDE, HIGH, GAP = 420.0, 190.0, 78.0


@dataclass(frozen=True)
class History:
    """The log of a run, record by record. Incomplete lines are left out.

    >>> History.read(Path("runs/text-gru")).ended["event"]
    'result'
    """

    records: Sequence[Mapping[str, Any]]

    @staticmethod
    def read(run: Path) -> History:
        """The log of a run folder; without one, an empty history."""
        path = run / LOG
        content = read_bytes(path, "the log of a training").decode("utf-8", "replace") if path.exists() else ""
        return History([record for line in content.splitlines() if (record := _parsed(line))])

    @cached_property
    def progress(self) -> list[Mapping[str, Any]]:
        """The records of losses, in order."""
        return [record for record in self.records if record.get("event") == "progress"]

    @cached_property
    def ended(self) -> Mapping[str, Any]:
        """The last record, if it is the end of the training: a 'result', or 'stopped'. Else nothing."""
        last = next((r for r in reversed(self.records) if r.get("event") in ("result", "stopped", "progress")), None)
        return last if last and last["event"] != "progress" else {}

    def series(self, name: str) -> list[Point]:
        """(update, value) of a figure, where it is known."""
        return [
            (float(record["update"]), float(value))
            for record in self.progress
            if isinstance(value := record.get(name), int | float) and math.isfinite(value)
        ]

    def draw(self, title: str, unit: str) -> Drawing | None:
        """The losses and the learning rate against updates; None if fewer than two losses are known.

        Args:
            title: above the picture.
            unit: of the losses, such as 'bits per character'.
        """
        train, validation = self.series("train"), self.series("validation")
        if len(train) < 2:
            return None
        losses = [
            Line("training (running mean)", train, "quiet"),
            Line("validation", validation, "parameter"),
        ]
        values = [y for loss in losses for _, y in loss.points]
        values = [y for y in values if y <= 4 * sorted(values)[len(values) // 2]]  # a high start would flatten the rest
        rate = self.series("rate")
        end = train[-1][0]
        updates = [tick for tick in ticks(0.0, end) if tick[0] <= end]
        scene = Scene()
        add_panel(
            scene, Panel(unit, losses, ticks(min(values), max(values)), updates, end, "updates"), (0, 0), WIDE, HIGH
        )
        rates = Panel(
            "learning rate",
            [Line("learning rate", rate, "gradient", DASHES[0])],
            ticks(0.0, max(y for _, y in rate)),
            updates,
            end,
            "updates",
        )
        add_panel(scene, rates, (WIDE + GAP, 0), WIDE / 2, HIGH)
        text = f"{title}: {unit} from {train[0][1]:.3g} to {train[-1][1]:.3g} in {end:,.0f} updates"
        if validation:
            text += f", lowest on the validation data {min(y for _, y in validation):.3g}"
        return Drawing(scene, title, text)


def _parsed(line: str) -> Mapping[str, Any] | None:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) and isinstance(record.get("update", 0), int) else None
