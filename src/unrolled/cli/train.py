"""unrolled train"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import UsageError

if TYPE_CHECKING:
    from ..tasks.language_run import Job
    from ..train.recorded import Recorded


def train(
    data: Path | None = None,
    /,
    *,
    cell: str | None = None,
    hidden: int | None = None,
    layers: int | None = None,
    updates: int | None = None,
    minutes: float | None = None,
    batch: int | None = None,
    window: int | None = None,
    rate: float | None = None,
    seed: int | None = None,
    checkpoint_every: int | None = None,
    out: Path | None = None,
    overwrite: bool = False,
    resume: Path | None = None,
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
        The name of a cell (see: unrolled cells), or FILE.py:NAME for your own; gru unless given.
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
    checkpoint_every
        Updates between two checkpoints, beside those at each of the ten validations.
    out
        The folder for the model and what belongs to it; runs/DATA-CELL unless given.
    overwrite
        Replace a training that is already in that folder.
    resume
        The run folder of a training that was stopped, to go on with from its last checkpoint. Everything else is as
        it was; DATA need only be named when it has moved.
    threads
        Threads of the processor. One is best for small networks.
    json
        The log as JSON lines.
    """
    if threads < 1:
        raise UsageError(f"--threads must be a whole number from 1, got {threads}")
    given = {"hidden": hidden, "layers": layers, "batch": batch, "window": window, "seed": seed}
    given = {name: value for name, value in given.items() if value is not None}
    budget = {"updates": updates, "minutes": minutes, "rate": rate, "checkpoint_every": checkpoint_every}
    budget = {name: value for name, value in budget.items() if value is not None}
    if resume is None:
        job, recorded = _begin(data, cell, given, budget, out, overwrite)
    else:
        others = {"cell": cell, "out": out, "overwrite": overwrite or None}
        decided = [*given, *budget, *(name for name, value in others.items() if value is not None)]
        if decided:
            option = decided[0].replace("_", "-")
            raise UsageError(f"--{option} was decided when '{resume}' began; a resumed training goes on as it was")
        job, recorded = _resume(resume, data)

    from . import screen
    from .learn import learn

    with recorded.folder.locked():
        if resume is not None:
            recorded.resume(screen.warn)
        if not json:
            _tell(job, recorded)
        ended = learn(job, recorded, threads, json)
    if not json:
        _conclude(recorded, ended.updates, ended.seconds, ended.result)
    return ended.code


def _begin(
    data: Path | None,
    cell: str | None,
    given: dict[str, Any],
    budget: dict[str, Any],
    out: Path | None,
    overwrite: bool,
) -> tuple[Job, Recorded]:
    """A new training in a new run folder."""
    from .cell import find_cell

    if data is None:
        raise UsageError("name a text to learn from, or a training to go on with: unrolled train --resume RUN")
    if "updates" in budget and "minutes" in budget:
        raise UsageError("give --updates or --minutes, not both")
    circuit = find_cell(cell or "gru")

    from ..tasks.language_run import Choices, Job
    from ..tasks.text import read_text
    from ..train.recorded import Recorded
    from ..train.run_folder import RunFolder, free_folder
    from ..train.settings import Settings

    settings = Settings(**{"minutes": None if "updates" in budget else 1.0, **budget})
    job = Job(read_text(data), data, circuit, Choices(settings, **given))
    folder = RunFolder(out or free_folder(Path("runs"), f"{data.stem}-{circuit.name}"), overwrite)
    recorded = Recorded(job, settings, folder)
    recorded.begin(circuit, job.config())
    return job, recorded


def _resume(path: Path, data: Path | None) -> tuple[Job, Recorded]:
    """A training to go on with, as its folder describes it."""
    from ..tasks.language_run import Job
    from ..train.recorded import Recorded
    from ..train.run_folder import Config, RunFolder

    job = Job.again(Config(path), data)
    return job, Recorded(job, job.choices.settings, RunFolder(path, again=True))


def _tell(job: Job, recorded: Recorded) -> None:
    from . import screen

    sizes, net = job.sizes(), job.model.first
    screen.out(f"  text    {job.path.name}: {sizes['characters']:,} characters, {sizes['vocabulary']} different ones")
    screen.out(f"  model   {job.circuit.name}, {sizes['parameters']:,} parameters, engine {net.engine}")
    screen.out(f"  run     {recorded.folder.path}")
    if update := recorded.training.update:
        screen.out(f"  goes on after update {update:,}, {recorded.training.done:.0%} of the training")
    screen.out()


def _conclude(recorded: Recorded, updates: int, seconds: float, result: dict[str, float]) -> None:
    from . import screen

    path = recorded.folder.path
    if not result:
        screen.out(f"  stopped after {updates:,} updates in {seconds:.0f} s; nothing is lost. To go on:\n")
        screen.out(f"  unrolled train --resume {path}")
        return
    screen.out(f"  done after {updates:,} updates in {seconds:.0f} s. Held-out text:")
    screen.out(f"  [bold]{result['bits_per_character']:6.3f}[/] bits per character")
    screen.out(f"  {result['by_frequency_alone']:6.3f} when guessing letters by frequency alone\n")
    screen.out(f"  unrolled sample {path} --length 400")
