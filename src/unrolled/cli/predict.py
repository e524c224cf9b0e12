"""unrolled predict"""

from __future__ import annotations

from pathlib import Path
from typing import Literal


def predict(
    run: Path,
    data: Path,
    /,
    *,
    history: bool = False,
    beam: int = 1,
    weights: Literal["float32", "bf16", "int8"] = "float32",
    out: Path | None = None,
    format: Literal["csv", "jsonl"] | None = None,
) -> None:
    """Predict with a trained model. Prints one row per prediction, as CSV or JSON lines.

    Parameters
    ----------
    run
        Run folder of the trained model.
    data
        A table, pairs or sources alone, a MATLAB file of music, a recording or a folder of recordings: the kind that it
        was trained on.
    history
        Of a forecast: also what would have been forecast of the known values, beside them.
    beam
        Pairs only: number of answers, best first. The first is the most probable that a search of that width finds.
    weights
        Numbers of the weights: as trained, or rounded to 16 or 8 bits, which single steps read faster.
    out
        File to write (default: standard output).
    format
        Format (default: jsonl if the name of the file ends in .jsonl, else csv).
    """
    import csv
    import io
    import json
    import sys

    from ..engines.threads import processor_threads
    from ..files.write import write_text
    from ..run.trained import Trained
    from . import screen

    chosen = format or ("jsonl" if out and out.suffix == ".jsonl" else "csv")
    trained = Trained.load(run).with_weights(weights)
    with processor_threads():
        rows = list(trained.predict(data, history, beam))
    text = io.StringIO(newline="")
    if chosen == "csv" and rows:
        writer = csv.DictWriter(text, rows[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    else:
        text.writelines(json.dumps(screen.finite(row), ensure_ascii=False) + "\n" for row in rows)
    if out is None:
        sys.stdout.write(text.getvalue())
        return
    write_text(out, text.getvalue())
    screen.plain(f"{out}: {len(rows):,} rows")
