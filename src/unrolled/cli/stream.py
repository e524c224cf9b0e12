"""unrolled stream"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter


def stream(
    run: Path,
    input: Annotated[Path, Parameter(allow_leading_hyphen=True)],
    /,
    *,
    out: Path | None = None,
    format: Literal["jsonl", "csv"] = "jsonl",
    chunk: int = 1000,
    each: bool = False,
    skip_unknown: bool = False,
    resume: bool = False,
    overwrite: bool = False,
    json: bool = False,
) -> int:
    """Run a trained model over a file or a pipe of any length, and write what it gives as it goes.

    Memory does not grow. Ctrl-C stops it with its state kept beside the output; --resume goes on from there, and the
    output is the same as without the stop.

    Parameters
    ----------
    run
        The folder of a trained model (reads text, gives bits per character), or a network that was saved in a file
        (reads rows of numbers or a recording, gives its outputs).
    input
        A file, or - for standard input: text (UTF-8), rows of numbers with commas or blanks between them, or a
        recording.
    out
        The file to write. By default the results go to standard output. While it runs, its state is in OUT.state.
    format
        JSON lines or CSV.
    chunk
        Number of steps that are read at a time. Larger is faster, smaller answers sooner.
    each
        Text only: one line per character instead of one per chunk.
    skip_unknown
        Text only: skip characters that the model has never seen.
    resume
        Continue where it was stopped. The input must be the same from its beginning, also if it comes by a pipe.
    overwrite
        Replace an existing output.
    json
        At the end, print one JSON object that says how far it came. Needs --out.
    """
    from ..engines.threads import processor_threads
    from ..errors import UsageError
    from ..tasks.stream import Streaming, open_streamed
    from ..tasks.way import Way
    from . import screen
    from .interrupt import interruptible
    from .meter import meter

    if json and out is None:
        raise UsageError("--json is about the run, and standard output has its results. Write these to a file: --out")
    way = Way(chunk, format, each, skip_unknown)
    with processor_threads(), interruptible() as interrupted:
        source = None if str(input) == "-" else input
        streaming = Streaming(open_streamed(run, way), source, out, way, resume, overwrite, interrupted)
        unit = streaming.streamed.unit
        with meter(unit, streaming.steps, quiet=json or out is None) as show:
            for steps in streaming.run():
                show(steps, streaming.pieces.done)
    if json:
        print(screen.as_json({"steps": streaming.steps, "unit": unit, "finished": streaming.finished, "out": str(out)}))
    elif out:
        screen.out(f"  {streaming.steps:,} {unit} read{'' if streaming.finished else '; to go on:'}")
        if not streaming.finished:
            screen.command("stream", run, input, "--out", out, *str(way).split(), "--resume")
    return 0 if streaming.finished else 130
