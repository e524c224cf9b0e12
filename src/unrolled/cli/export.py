"""unrolled export"""

from __future__ import annotations

from pathlib import Path


def export(
    run: Path,
    file: Path,
    /,
    *,
    name: str = "model",
    header: bool = False,
    weights: str = "float32",
    static: bool = False,
    start: str = "zero",
    rows: int | None = None,
    longest: int | None = None,
    overwrite: bool = False,
    json: bool = False,
) -> None:
    """Write a trained model to a file that runs without this library, and check that it computes the same.

    Parameters
    ----------
    run
        Run folder of the trained model, or a network's file (.safetensors).
    file
        File to write: .c for one C99 file that needs no library, .onnx for ONNX.
    name
        C only: beginning of all names in the file.
    header
        C only: also write a header, NAME.h.
    weights
        C only: numbers that matrices are stored as, float32, bf16 or int8. The cost is measured on held-out data.
    static
        C only: plain loops of known size, for small machines, instead of vectors.
    start
        C only: state before the first step, zero or settled (the state after a long input of zeros).
    rows
        C only: largest number of rows of a memory that is fixed in time.
    longest
        C only: largest number of steps, for a model that reads in both directions.
    overwrite
        Replace the file if it exists.
    json
        Print one JSON object.
    """
    from ..export.exporting import export as exported
    from . import screen

    def tell(word: str, line: str) -> None:
        if not json:
            screen.plain(f"  {word:<10}{line}")

    options = {"name": name, "header": header, "weights": weights, "static": static}
    limits = {"start": start, "rows": rows, "longest": longest}
    report = exported(run, file, overwrite=overwrite, tell=tell, **options, **limits)
    if json:
        print(screen.as_json({"files": list(map(str, report.files)), **report.figures, "lines": dict(report.lines)}))
        return
    for word, line in report.lines:
        tell(word, line)
    for written in report.files:
        tell("wrote", str(written))
