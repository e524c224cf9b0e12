"""unrolled evaluate"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from ..run.trained import Trained


def evaluate(
    run: Path,
    data: Path,
    /,
    *,
    skip_unknown: bool = False,
    beam: int = 1,
    weights: Literal["float32", "bf16", "int8"] = "float32",
    json: bool = False,
) -> None:
    """Evaluate a trained model.

    Parameters
    ----------
    run
        Run folder of the trained model.
    data
        A text, a table, pairs, music or recordings. If the model was trained on them, only their test part is used.
    skip_unknown
        Text only: skip characters that the model has never seen.
    beam
        Pairs only: width of the search for the most probable answer.
    weights
        Numbers of the weights: as trained, or rounded to 16 or 8 bits. Then both are evaluated, and the result of the
        rounded ones comes first.
    json
        Print one JSON object.
    """
    from ..data.forecast.kind import Forecast
    from ..run.trained import Trained
    from . import screen
    from .reading import reading

    trained = Trained.load(run)
    with reading(quiet=json):
        score = trained.evaluate(data, skip_unknown, beam)
        if weights != "float32":
            small = trained.with_weights(weights)
            float32 = {**score, "bytes": trained.bytes}
            score = small.evaluate(data, skip_unknown, beam)
            score |= {"bytes": small.bytes, "weights": weights, "float32": float32}
    if json:
        print(screen.as_json({"run": str(run), "data": str(data), **score}))
        return
    report(trained, score)
    if wide := score.get("float32"):
        name = next(iter(score))
        difference = "" if isinstance(trained.kind, Forecast) else f", {score[name] - wide[name]:+.4f}"
        these = f"these are {weights} weights, {score['bytes']:,} bytes{difference}"
        screen.plain(f"{these}; with float32 weights, {wide['bytes']:,} bytes:")
        report(trained, wide)


def report(trained: Trained, score: dict[str, Any]) -> None:
    """Print the score of a model."""
    from ..data.forecast.kind import Forecast
    from . import screen

    which = "the test part of its own data" if score.get("held_out") else "all of the data"
    if isinstance(trained.kind, Forecast):
        screen.plain(f"{which}: {score['forecasts']:,} forecasts of {score['series']:,} series")
        for line in trained.kind.report(score):
            screen.plain(line)
        return
    (name, value), *others = score.items()
    hidden = ("held_out", "bytes")
    rest = ", ".join(
        f"{n.replace('_', ' ')} {v:,}" for n, v in others if n not in hidden and not isinstance(v, dict | str)
    )
    screen.out(f"[bold]{screen.figure(value)}[/] {name.replace('_', ' ')} ({which}; {rest})")
