"""unrolled train"""

from __future__ import annotations

from pathlib import Path


def train(
    data: Path,
    /,
    *,
    cell: str = "gru",
    hidden: int | None = None,
    layers: int = 1,
    updates: int | None = None,
    minutes: float | None = None,
    batch: int = 16,
    window: int = 64,
    rate: float = 5e-3,
    seed: int = 0,
    out: Path | None = None,
    overwrite: bool = False,
    threads: int = 1,
    json: bool = False,
) -> int:
    """Learn to write like a text, one character at a time.

    Parameters
    ----------
    data
        A text file (UTF-8). Its last tenth is not learned from: one half chooses the best model, the other
        tests it.
    cell
        The name of a cell (see: unrolled cells), or FILE.py:NAME for your own.
    hidden
        Size of the state; 128 unless given.
    layers
        How many layers, each reading what the one below gives.
    updates
        Train for so many updates. Gives the same numbers again.
    minutes
        Train for so long; 1 unless --updates is given.
    batch
        How many pieces of the text are read side by side.
    window
        How many characters are read between two updates.
    rate
        Learning rate at its highest.
    seed
        Of the starting values.
    out
        The folder for the model and what belongs to it; runs/DATA-CELL unless given.
    overwrite
        Replace a model that is already in that folder.
    threads
        Threads of the processor. One is best for small networks.
    json
        The log as JSON lines.
    """
    from ..errors import UsageError
    from .cell import find_cell

    if updates is not None and minutes is not None:
        raise UsageError("give --updates or --minutes, not both")
    if threads < 1:
        raise UsageError(f"--threads must be a whole number from 1, got {threads}")
    circuit = find_cell(cell)

    from ..tasks.language_run import Choices, Job
    from ..tasks.text import read_text
    from ..train.loop import Settings
    from ..train.run_folder import RunFolder, free_folder
    from . import screen
    from .learn import learn

    minutes = 1.0 if updates is None and minutes is None else minutes
    choices = Choices(Settings(updates, minutes, rate), hidden, layers, batch, window, seed)
    job = Job(read_text(data), data.name, circuit, choices)
    run = RunFolder(out or free_folder(Path("runs"), f"{data.stem}-{circuit.name}"), overwrite)
    if not json:
        sizes, net = job.sizes(), job.model.first
        screen.out(f"  text    {data.name}: {sizes['characters']:,} characters, {sizes['vocabulary']} different ones")
        screen.out(f"  model   {circuit.name}, {sizes['parameters']:,} parameters, engine {net.engine}")
        screen.out(f"  run     {run.path}\n")
    result = learn(job, run, threads, json)
    if not json:
        ended = "stopped" if result.stopped else "done"
        screen.out(f"  {ended} after {result.updates:,} updates in {result.seconds:.0f} s. Held-out text:")
        screen.out(f"  [bold]{result.bits:6.3f}[/] bits per character")
        screen.out(f"  {result.frequency_bits:6.3f} when guessing letters by frequency alone\n")
        screen.out(f"  unrolled sample {run.path} --length 400")
    return 130 if result.stopped else 0
