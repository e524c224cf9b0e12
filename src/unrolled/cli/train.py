"""unrolled train"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from ..errors import UsageError, command_line
from ..tasks.defaults import in_words

if TYPE_CHECKING:
    from ..files.toml import Sections
    from ..tasks.task import Task
    from ..train.distributed import Ranks
    from ..train.recorded import Recorded
    from ..train.run_folder import RunFolder
    from .learn import Ended

RUNS = Path("runs")


def usual(section: str, key: str) -> Parameter:
    """An option whose default depends on the task, and is shown in the help."""
    return Parameter(show_default=lambda _: in_words(section, key))


def train(
    data: Path | None = None,
    /,
    *,
    cell: Annotated[str | None, usual("model", "cell")] = None,
    hidden: Annotated[int | None, usual("model", "hidden")] = None,
    layers: Annotated[int | None, usual("model", "layers")] = None,
    updates: int | None = None,
    minutes: Annotated[float | None, usual("training", "minutes")] = None,
    batch: Annotated[int | None, usual("reading", "batch")] = None,
    window: Annotated[int | None, usual("reading", "window")] = None,
    stride: int | None = None,
    rate: Annotated[float | None, usual("training", "rate")] = None,
    memory: str | None = None,
    seed: Annotated[int | None, usual("reading", "seed")] = None,
    checkpoint_every: int | None = None,
    out: Path | None = None,
    overwrite: bool = False,
    resume: Path | None = None,
    task: str | None = None,
    config: Path | None = None,
    set: list[str] | None = None,
    track: bool = False,
    threads: int = 1,
    json: bool = False,
) -> int:
    """Learn from a text, a table, music or recordings.

    Parameters
    ----------
    data
        A text file (UTF-8) or a folder of them, a table (CSV, TSV, Parquet), a MATLAB file of music, or a folder of
        recordings. A part is held out: one half of it chooses the best model, the other half tests it.
    cell
        The name of a cell (see: unrolled cells), or FILE.py:NAME for your own.
    hidden
        Size of the hidden state, where the equations leave it open.
    layers
        Number of layers. Each reads the output of the one below.
    updates
        Train for this many updates. The same seed then gives the same numbers.
    minutes
        Train for this many minutes, if --updates is not given.
    batch
        Number of sequences, or of pieces of a text, that are read side by side.
    window
        Number of steps that errors go back. Without a window they go back over the whole sequence.
    stride
        Errors go back from every stride-th step. Text only: new characters per update. The same as --window by default.
    rate
        The largest learning rate.
    memory
        Memory for the backward pass of each layer, such as '500 MB'. The rest is computed again; unlike with --window,
        the gradient stays exact.
    seed
        Seed of the initial parameters and of the order of the data.
    checkpoint_every
        Number of updates between checkpoints. There is also one after each validation.
    out
        The folder for the model, the log and the pictures. By default runs/DATA-CELL.
    overwrite
        Replace the training in that folder.
    resume
        The run folder of a stopped training, which is continued from its last checkpoint with the same options. DATA
        is only needed when the data have moved.
    task
        What to learn, if the data do not show it: language, table, music or voice.
    config
        A TOML file of options, such as the config.toml of another run.
    set
        One option as SECTION.KEY=VALUE, such as training.schedule=plateau. Can be repeated.
    track
        Also write curves for TensorBoard, to the folder track/ of the run.
    threads
        Number of CPU threads. One is best for small networks.
    json
        Print the log as JSON lines.
    """
    if threads < 1:
        raise UsageError(f"--threads must be a whole number from 1, got {threads}")
    flags: Sections = {
        "model": {"cell": cell, "hidden": hidden, "layers": layers},
        "reading": {"batch": batch, "window": window, "stride": stride, "seed": seed},
        "training": {
            "updates": updates,
            "minutes": minutes,
            "rate": rate,
            "memory": memory,
            "checkpoint_every": checkpoint_every,
        },
    }
    named = {name: {k: v for k, v in section.items() if v is not None} for name, section in flags.items()}
    named = {name: section for name, section in named.items() if section}
    if resume is None:
        if data is None:
            go_on = command_line("train", "--resume", "RUN")
            raise UsageError(f"name data to learn from, or a training to go on with: {go_on}")
        if {"updates", "minutes"} <= named.get("training", {}).keys():
            raise UsageError("give --updates or --minutes, not both")
    else:
        others = {"task": task, "config": config, "set": set, "out": out, "overwrite": overwrite or None}
        decided = [key for section in named.values() for key in section]
        decided += [name for name, value in others.items() if value is not None]
        if decided:
            option = decided[0].replace("_", "-")
            raise UsageError(f"--{option} was decided when '{resume}' began; a resumed training goes on as it was")

    from ..train.distributed import joined
    from ..train.run_folder import TRACK
    from . import screen
    from .learn import follow, learn

    with joined() as ranks, ExitStack() as locked:
        if resume is None and data is not None:
            learned = ranks.together(lambda: _read(data, task, config, named, set or []))
            resume = ranks.from_first(_interrupted(learned, out))
            recorded = None if resume else _begin(learned, out, overwrite, ranks, locked)
        if resume is not None:
            learned, recorded = _resume(resume, data, ranks, locked)
        assert recorded is not None
        if resume is not None:
            recorded.resume(screen.warn)
        if not ranks.first:
            return follow(recorded, threads)
        if not json:
            _tell(learned, recorded)
        ended = learn(learned, recorded, threads, json, recorded.folder.path / TRACK if track else None)
    if not json:
        _conclude(learned, recorded, ended)
    return ended.code


def _read(data: Path, task: str | None, config: Path | None, named: Sections, assignments: list[str]) -> Task:
    """What is to be learned, from data and all that was decided."""
    from ..files.toml import read_toml
    from ..tasks.options import override
    from ..tasks.registry import kind_of, options_for, recognise
    from .cell import find_cell

    sections = read_toml(config) if config else {}
    sections = {name: {**sections.get(name, {}), **named.get(name, {})} for name in {**sections, **named}}
    if "updates" in named.get("training", {}):
        sections["training"].pop("minutes", None)
    if "minutes" in named.get("training", {}):
        sections["training"].pop("updates", None)
    cell = override(sections, assignments).get("model", {}).get("cell")
    early = find_cell(str(cell)) if cell else None  # a wrong cell is told before the data are read
    kind = kind_of(task or recognise(data))
    options = options_for(kind.name, override(sections, assignments))
    circuit = early or find_cell(options.model.cell)

    return kind.read(data, circuit, options)


def _interrupted(task: Task, out: Path | None) -> Path | None:
    """The run folder of the same training if torchrun starts it again, after a process of it was killed."""
    from ..train.run_folder import is_taken, latest_folder

    if int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")) == 0:
        return None
    path = out or latest_folder(RUNS, _name(task))
    return path if path is not None and is_taken(path) else None


def _begin(task: Task, out: Path | None, overwrite: bool, ranks: Ranks, locked: ExitStack) -> Recorded:
    """A new training in a new run folder."""
    from ..train.recorded import Recorded
    from ..train.run_folder import free_folder

    folder = _locked(lambda: out or free_folder(RUNS, _name(task)), ranks, locked, overwrite=overwrite)
    recorded = Recorded(task, task.options.settings, folder, ranks)
    recorded.begin(task.circuit, task.config())
    return recorded


def _resume(path: Path, data: Path | None, ranks: Ranks, locked: ExitStack) -> tuple[Task, Recorded]:
    """The training of a run folder, to be continued."""
    from ..tasks.registry import resumed
    from ..train.recorded import Recorded
    from ..train.run_folder import Config

    folder = _locked(lambda: path, ranks, locked, again=True)
    task = ranks.together(lambda: resumed(Config(path), data))
    return task, Recorded(task, task.options.settings, folder, ranks)


def _locked(path: Callable[[], Path], ranks: Ranks, locked: ExitStack, **how: bool) -> RunFolder | None:
    """The run folder for the first process, which keeps others out of it until the stack is closed."""
    from ..train.run_folder import RunFolder

    return ranks.together(lambda: locked.enter_context(RunFolder(path(), **how)) if ranks.first else None)


def _name(task: Task) -> str:
    """What a run is called unless it is named."""
    return f"{Path(task.source['path']).stem}-{task.circuit.name}"


def _tell(task: Task, recorded: Recorded) -> None:
    from rich.markup import escape

    from . import screen

    name = Path(task.source["path"]).name
    for number, (word, text) in enumerate(task.summary()):
        screen.out(escape(f"  {word:<7} {name + ': ' if number == 0 else ''}{text}"))
    screen.out(f"  model   {task.circuit.name}, {task.parameters:,} parameters, engine {task.model.first.engine}")
    screen.out(escape(f"  run     {recorded.folder.path}"))
    if update := recorded.training.update:
        screen.out(f"  goes on after update {update:,}, {recorded.training.done:.0%} of the training")
    screen.out()


def _cost(task: Task, recorded: Recorded) -> str:
    """How fast it was, and the most memory that it took."""
    from ..speed.machine import peak_memory

    training = recorded.training
    speed = f": {training.steps / max(training.seconds, 1e-9):,.0f} {task.steps}/s"
    return speed + (f", {peak_memory() / 1e6:,.0f} MB of memory at most." if peak_memory() else ".")


def _conclude(task: Task, recorded: Recorded, ended: Ended) -> None:
    from . import screen

    path = recorded.folder.path
    if not ended.result:
        screen.out(f"  stopped after {ended.updates:,} updates in {ended.seconds:.0f} s; nothing is lost. To go on:\n")
        screen.command("train", "--resume", path)
        return
    done = "done" if recorded.training.improved else "diverged"
    screen.out(f"  {done} after {ended.updates:,} updates in {ended.seconds:.0f} s{_cost(task, recorded)}")
    screen.out("  On held-out data:")
    for number, (name, value) in enumerate(ended.result.items()):
        shown = f"{value:6.3f} {name.replace('_', ' ')}"
        screen.out(f"  [bold]{shown}[/]" if number == 0 else f"  {shown}")
    if ended.worse_than:
        screen.out(f"\n  {_advice(recorded, ended)}")
    screen.out()
    if task.name == "language":
        screen.command("sample", path, "--length", 400)
    else:
        screen.command("predict", path, task.source["path"])


def _advice(recorded: Recorded, ended: Ended) -> str:
    """What to do about a model that is worse than a yardstick."""
    training, rate = recorded.training, recorded.settings.rate
    if not training.improved:
        times = f"{training.lowest / training.untrained:,.3g} times that of the untrained model"
        return (
            f"The training diverged: its lowest validation loss is {times}. Try --rate {rate / 10:g} (it was {rate:g})"
        )
    names = " and ".join(name.replace("_", " ") for name in ended.worse_than)
    return f"The model is worse than {names}. Train it longer, or try another --rate (it was {rate:g})"
