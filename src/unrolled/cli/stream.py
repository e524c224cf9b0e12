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
    weights: Literal["float32", "bf16", "int8"] = "float32",
    resume: bool = False,
    overwrite: bool = False,
    json: bool = False,
) -> int:
    """Run a trained model on a file or a pipe of any length, and write results as they are computed.

    Memory use is constant. Ctrl-C stops it and saves its state beside the output. With --resume it continues from
    there, and the output is the same as without the stop.

    Parameters
    ----------
    run
        Run folder of a model of text (writes bits per character), or file of a saved network (reads rows of numbers or
        a recording, and writes its outputs).
    input
        File, or - for standard input: text (UTF-8), rows of numbers separated by commas or blanks, or a recording. A
        model that was trained with --field reads JSON lines, and starts each record with a new state.
    out
        File to write (default: standard output). Until the end, the state is saved in OUT.state.
    format
        JSON lines or CSV.
    chunk
        Number of steps to read at a time. Larger chunks are faster; with smaller ones, results come sooner.
    each
        Text only: one line per character instead of one per chunk.
    skip_unknown
        Text only: skip characters that the model has never seen.
    weights
        Numbers of the weights: as trained, or rounded to 16 or 8 bits, which single steps read faster.
    resume
        Continue where it was stopped. The input must be the same from its beginning, even if it is a pipe.
    overwrite
        Replace an existing output file.
    json
        Print one JSON object with the number of steps at the end. Needs --out.
    """
    import time

    from ..engines.threads import processor_threads
    from ..errors import UsageError
    from ..stream.options import StreamOptions
    from ..stream.streaming import Streaming, open_streamed
    from . import screen
    from .interrupt import interruptible
    from .progress import Bar

    if json and out is None:
        raise UsageError("--json needs --out: without it, the results go to standard output")
    options = StreamOptions(chunk, format, each, skip_unknown, weights)
    with processor_threads(), interruptible() as interrupted:
        source = None if str(input) == "-" else input
        streaming = Streaming(open_streamed(run, options), source, out, options, resume, overwrite, interrupted)
        unit, begin, begun = streaming.streamed.unit, streaming.steps, time.monotonic()
        with Bar(quiet=json or out is None) as bar:
            for steps in streaming.run():
                speed = (steps - begin) / max(time.monotonic() - begun, 1e-9)
                bar.show(streaming.pieces.done, f"{steps:,} {unit}   {speed:,.0f} {unit}/s")
    if json:
        print(screen.as_json({"steps": streaming.steps, "unit": unit, "finished": streaming.finished, "out": str(out)}))
    elif out:
        screen.out(f"  {streaming.steps:,} {unit} read{'' if streaming.finished else '; to resume:'}")
        if not streaming.finished:
            screen.command("stream", run, input, "--out", out, *str(options).split(), "--resume")
    return 0 if streaming.finished else 130
