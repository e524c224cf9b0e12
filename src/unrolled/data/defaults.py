"""What a training does unless told otherwise: in general, and for each task. Little is imported, so that
``unrolled train --help`` shows it at once."""

from __future__ import annotations

from typing import Any

USUAL: dict[str, dict[str, Any]] = {
    "model": {"cell": "gru", "hidden": 128, "layers": 1},
    "reading": {"batch": 16, "window": None, "seed": 0},
    "training": {"rate": 0.005, "minutes": 1.0},
}
BY_TASK: dict[str, dict[str, dict[str, Any]]] = {
    "language": {"model": {"hidden": 256, "embedding": 64}, "reading": {"window": 64}},
    "music": {"model": {"cell": "lstm"}, "reading": {"batch": 8}},
    "voice": {"model": {"hidden": 96}, "reading": {"batch": 32}, "training": {"rate": 0.003}},
    "table": {"model": {"hidden": 64}, "training": {"rate": 0.003}},
    "pairs": {
        "model": {"decoder": "bahdanau", "bidirectional": True},
        "reading": {"batch": 32},
        "training": {"rate": 0.002},
    },
    "forecast": {
        "model": {"hidden": 32},
        "training": {"rate": 0.0005, "warmup": 0.05, "validations": 60, "patience": 15},
    },
}
SHORT = 500_000  # bytes: a shorter text is read many times within a minute
SHORT_TEXT: dict[str, dict[str, Any]] = {"model": {"dropout": 0.3}}
MATRICES = ("fast_weights", "mlstm", "delta")  # cells whose memory grows with the square of the hidden size
BY_CELL: dict[str, dict[str, dict[str, dict[str, Any]]]] = {
    **{cell: {"language": {"model": {"hidden": 128}}} for cell in MATRICES},
    "es_rnn": {"forecast": {"data": {"reads": "values"}, "training": {"rate": 0.003}}},
}


def in_words(section: str, key: str) -> str:
    """A default as text, with the tasks that have another one.

    >>> in_words("model", "hidden")
    '128; language: 256, voice: 96, table: 64, forecast: 32'
    """
    others = [
        f"{task}: {_text(BY_TASK[task][section][key])}" for task in BY_TASK if key in BY_TASK[task].get(section, {})
    ]
    return "; ".join([_text(USUAL[section][key]), *([", ".join(others)] if others else [])])


def _text(value: object) -> str:
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
