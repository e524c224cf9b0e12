"""unrolled evaluate"""

from __future__ import annotations

import json as _json
from pathlib import Path


def evaluate(run: Path, data: Path, /, *, skip_unknown: bool = False, json: bool = False) -> None:
    """Measure a trained model on a text, in bits per character.

    Parameters
    ----------
    run
        The folder of the trained model.
    data
        A text file (UTF-8). Of the text that the model learned from, only the held-out part is read.
    skip_unknown
        Leave out characters that the model has never seen.
    json
        One JSON object.
    """
    from dataclasses import asdict

    from ..tasks.language_run import load
    from .screen import out
    from .threads import processor_threads

    with processor_threads():
        score = load(run).evaluate(data, skip_unknown)
    if json:
        print(_json.dumps({"run": str(run), "data": str(data), **asdict(score)}))
        return
    which = "the held-out part of the text it learned from" if score.held_out else "the whole text"
    out(f"[bold]{score.bits:.3f}[/] bits per character on {score.characters:,} characters: {which}")
    if score.skipped:
        out(f"{score.skipped:,} characters that the model has never seen were left out")
