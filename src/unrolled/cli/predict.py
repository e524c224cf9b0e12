"""unrolled predict"""

from __future__ import annotations

from pathlib import Path
from typing import Literal


def predict(
    run: Path, data: Path, /, *, out: Path | None = None, format: Literal["csv", "jsonl"] | None = None
) -> None:
    """Predict with a trained model: one row per answer, as CSV or JSON lines.

    Parameters
    ----------
    run
        The folder of the trained model.
    data
        Data like those it learned from: a table, a MATLAB file of music, a recording or a folder of recordings.
    out
        The file to write. By default the rows go to standard output.
    format
        By default jsonl if the name of the file ends in .jsonl, else csv.
    """
    import csv
    import io
    import json
    import sys

    from ..engines.threads import processor_threads
    from ..tasks.registry import check_readable, trained
    from ..train.files import write_text
    from . import screen

    chosen = format or ("jsonl" if out and out.suffix == ".jsonl" else "csv")
    task = trained(run)
    check_readable(task, data)
    with processor_threads():
        rows = list(task.predict(data))
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
