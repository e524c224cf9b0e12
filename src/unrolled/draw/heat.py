"""Heat maps, time × unit, above the data that was read: a text, a waveform or columns of numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from . import labels
from .marks import Letters, Picture, Scene
from .numbers import short

COLD, WARM, STRANGE, INK = (40, 128, 196), (222, 110, 30), (230, 0, 180), (128, 128, 128)
ROWS, TALL = 9.0, 230.0  # the height of one unit, and the largest height of a map
LEAST = 22.0  # the height of a map of one row
LABEL, SIZE, PIECE = 15.0, 13.0, 14.0  # the size of letters in titles, on axes, and in the text that was read
WIDTH, CELL = 900.0, (3.0, 30.0)  # the width of a map, and the smallest and largest width of a step
WAVE = 64  # pixel rows of a waveform

Pixel = tuple[int, int, int, int]
Rows = Sequence[Sequence[float]]  # step by step: its units


@dataclass(frozen=True)
class Heat:
    """One map: its title, and its values (steps, units)."""

    title: labels.Label
    rows: Rows


@dataclass(frozen=True)
class Beside:
    """The data that was read: ``pieces`` of a text, one per step; or ``points`` (points, columns), ``per`` of them per
    step. Their ``kind`` is 'wave', with the smallest and largest sample of each point, or 'columns' with names."""

    pieces: Sequence[str] = ()
    kind: str = ""
    points: Rows = ()
    per: int = 1
    names: Sequence[str] = field(default_factory=tuple)


def shade(value: float, top: float) -> Pixel:
    """Blue for negative values, orange for positive ones, magenta for NaN and infinity; visible on any background."""
    if not math.isfinite(value):
        return (*STRANGE, 255)
    return (*(WARM if value > 0 else COLD), round(255 * min(1.0, abs(value) / top)) if top else 0)


def heat_scene(maps: Sequence[Heat], beside: Beside, first: int) -> Scene:
    """The maps one below another, and below them the data that was read and the times."""
    steps = len(maps[0].rows)
    cell = min(CELL[1], max(CELL[0], WIDTH / steps))
    if beside.pieces:
        widest = max(labels.width(labels.words(seen(p)), PIECE) for p in beside.pieces)
        cell = max(cell, min(widest, 60.0) + 1)
    scene, y, wide = Scene(), 0.0, cell * steps
    for heat in maps:
        y = _map(scene, heat, y, wide)
    if beside.pieces:
        for k, piece in enumerate(beside.pieces):
            scene.letters.append(Letters(labels.words(seen(piece)), ((k + 0.5) * cell, y + 4), PIECE, "mono"))
        y += 20
    elif beside.points:
        y = _track(scene, beside, y, wide)
    for k in _ticks(steps, cell):
        scene.letters.append(Letters(labels.words(str(first + k)), ((k + 0.5) * cell, y + 6), SIZE, "note"))
    scene.letters.append(Letters(labels.words("time"), (wide / 2, y + 26), LABEL, "note"))
    return scene


def _map(scene: Scene, heat: Heat, y: float, wide: float) -> float:
    """Add a map below y; returns the y where the next map begins."""
    units = len(heat.rows[0])
    high = min(TALL, max(LEAST, ROWS * units))
    finite = [abs(v) for row in heat.rows for v in row if math.isfinite(v)]
    top, bad = max(finite, default=0.0), sum(not math.isfinite(v) for row in heat.rows for v in row)
    size = f"  {units} units, at most" if units > 1 else "  at most"
    words = f"{size} {short(top)}" + f"; {bad} not finite, magenta" * bool(bad)
    label = (*heat.title, *labels.words(words))
    scene.letters.append(Letters(label, (labels.width(label, LABEL) / 2, y + 8), LABEL, "legend"))
    box = (0.0, y + 20, wide, y + 20 + high)
    scene.pictures.append(Picture(box, [[shade(row[u], top) for row in heat.rows] for u in range(units)]))
    for unit in (0, units - 1) if units > 1 else ():
        at = box[1] + high * (unit + 0.5) / units
        label = labels.words(str(unit + 1))
        scene.letters.append(Letters(label, (-8 - labels.width(label, SIZE) / 2, at), SIZE, "note"))
    return box[3] + 12


def _track(scene: Scene, beside: Beside, y: float, wide: float) -> float:
    """Add a waveform, or a row of pixels for each column, scaled from its minimum to its maximum."""
    if beside.kind == "wave":
        top = max((abs(v) for low, high in beside.points for v in (low, high)), default=0.0) or 1.0
        half = (WAVE - 1) / 2
        spans = [(round(half - half * high / top), round(half - half * low / top)) for low, high in beside.points]
        pixels = [[(*INK, 255 * (a <= r <= b)) for a, b in spans] for r in range(WAVE)]
        high = float(WAVE)
    else:
        columns = list(zip(*beside.points, strict=True))
        pixels, high = [_column(column) for column in columns], min(TALL, 14.0 * len(columns))
        for k, name in enumerate(beside.names if len(columns) <= 16 else ()):
            x, at = wide + 8, y + 14 * (k + 0.5)
            label = labels.words(name)
            scene.letters.append(Letters(label, (x + labels.width(label, SIZE) / 2, at), SIZE, "legend"))
    scene.pictures.append(Picture((0.0, y, wide, y + high), pixels))
    return y + high + 8


def _column(values: Sequence[float]) -> list[Pixel]:
    known = [v for v in values if math.isfinite(v)]
    low, high = min(known, default=0.0), max(known, default=0.0)
    wide = (high - low) or 1.0
    return [(*INK, round(255 * (v - low) / wide)) if math.isfinite(v) else (*STRANGE, 60) for v in values]


def _ticks(steps: int, cell: float) -> list[int]:
    """The steps that get a number: the first one, and then regular ones, at most as many as fit."""
    every = next(n for n in (1, 5, 10, 20, 50, 100, 200, 500, 1000, 10**9) if n * cell > 34)
    return [0, *(k for k in range(every - 1, steps, every) if k)]


def seen(piece: str) -> str:
    """A piece of a text with invisible characters replaced by symbols."""
    return "".join({" ": "␣", "\n": "⏎", "\t": "⇥"}.get(c, c if c.isprintable() else "·") for c in piece) or "·"
