"""unrolled train"""

from __future__ import annotations

import os
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from ..data.defaults import in_words
from ..errors import UsageError, command_line

if TYPE_CHECKING:
    from ..circuits.circuit import Circuit
    from ..data.kind import Kind
    from ..files.toml import Sections
    from ..run.run import Run
    from ..run.spec import Spec
    from ..run.trained import Trained
    from .learn import Ended

RUNS = Path("runs")
PARTS = ("train", "validation", "test", "split", "skip_unreadable")  # options of data that fine-tuning can change


def default(section: str, key: str) -> Parameter:
    """An option whose default depends on the task; the help shows it."""
    return Parameter(show_default=lambda _: in_words(section, key))


def train(
    data: Path | None = None,
    /,
    *,
    target: str | None = None,
    time: str | None = None,
    sequence: list[str] | None = None,
    goal: Literal["forecast", "steps", "sequences"] | None = None,
    inputs: list[str] | None = None,
    future: list[str] | None = None,
    ahead: int | None = None,
    split: Literal["time", "sequence"] | None = None,
    field: str | None = None,
    validation: str | None = None,
    test: str | None = None,
    cell: Annotated[str | None, default("model", "cell")] = None,
    hidden: Annotated[int | None, default("model", "hidden")] = None,
    layers: Annotated[int | None, default("model", "layers")] = None,
    updates: int | None = None,
    minutes: Annotated[float | None, default("training", "minutes")] = None,
    batch: Annotated[int | None, default("reading", "batch")] = None,
    window: Annotated[int | None, default("reading", "window")] = None,
    stride: int | None = None,
    rate: Annotated[float | None, default("training", "rate")] = None,
    memory: str | None = None,
    seed: Annotated[int | None, default("reading", "seed")] = None,
    checkpoint_every: int | None = None,
    out: Path | None = None,
    overwrite: bool = False,
    resume: Path | None = None,
    from_: Annotated[Path | None, Parameter(name="--from")] = None,
    task: str | None = None,
    config: Path | None = None,
    set: list[str] | None = None,
    track: bool = False,
    threads: int = 1,
    json: bool = False,
) -> int:
    """Train a model on a text, a table, pairs, music or recordings.

    Parameters
    ----------
    data
        A text file (UTF-8) or a folder of them, a table (CSV, TSV, Parquet or a folder of it, JSON, Excel), pairs of a
        source and a target (TSV), music (a folder of MIDI files, or a MATLAB file), or a folder of recordings. It is
        divided into training, validation and test data.
    target
        Table only: the column to predict (default: the last one).
    time
        Table only: the column of the time, or 'rows' to keep the order of the rows (default: the only column of dates).
    sequence
        Table only: the column that tells sequences apart. Can be repeated, or have commas between names.
    goal
        Table only: forecast a later value, or label the steps or the sequences (default: forecast).
    inputs
        Table only: a column to read (default: all columns of numbers). Can be repeated, or have commas between names.
    future
        Table only: an input that is known beyond the end. Can be repeated, or have commas between names.
    ahead
        Table only: number of steps to forecast (default: 1).
    split
        Table only: hold out the end of each sequence, or whole sequences (default: the end for a forecast).
    field
        Text only: the field of JSON records that has the texts; each record is a document.
    validation
        Data for validation: a file or folder, or a share such as 0.1 (default: a part of DATA).
    test
        Data for testing: a file or folder, a share, or a pattern of recordings such as 'test/*' (default: a part of
        DATA).
    cell
        The name of a cell (see: unrolled cells), or FILE.py:NAME for your own.
    hidden
        Size of the hidden state.
    layers
        Number of layers.
    updates
        Number of updates to train for (more updates, with --resume). With the same seed, the result is the same.
    minutes
        Minutes to train for, if --updates is not given.
    batch
        Number of sequences per batch.
    window
        Number of steps that gradients reach back. By default, a table, music and recordings have no limit.
    stride
        Text only: new steps per update (default: --window). With a smaller stride, windows overlap and gradients reach
        further back.
    rate
        Maximum learning rate.
    memory
        Memory limit for the backward pass of each layer, such as '500 MB'. Values are recomputed as needed; the
        gradient stays exact.
    seed
        Random seed of the initial parameters and of the order of the data.
    checkpoint_every
        Number of updates between checkpoints. A checkpoint is also saved after each validation.
    out
        Folder for the model, the log and the pictures (default: runs/DATA-CELL).
    overwrite
        Replace an existing training in that folder.
    resume
        Run folder of a stopped training, to continue from its last checkpoint with the same options. DATA is only
        needed if the data have moved. With --updates or --minutes, a finished training continues for that many more.
    from_
        Run folder of a trained model to start from (fine-tuning), for example with recordings of your own voice: its
        cell, sizes, and what it knows (characters, classes, scales) stay; --rate and other options of the training can
        change.
    task
        language, forecast, table, pairs, music or voice. By default, it depends on the type of the file.
    config
        TOML file of options, such as the config.toml of another run.
    set
        Any option, as SECTION.KEY=VALUE, such as training.schedule=plateau. Can be repeated.
    track
        Also write curves for TensorBoard, to the folder track/ of the run.
    threads
        Number of CPU threads. One is best for small networks.
    json
        Print the log as JSON lines.
    """
    if threads < 1:
        raise UsageError(f"--threads must be a whole number from 1, got {threads}")
    columns = {"target": target, "time": time, "goal": goal, "split": split, "field": field}
    columns |= {"sequence": sequence, "inputs": inputs, "future": future}  # type: ignore[dict-item]
    files, parts = _brought(validation=validation, test=test)
    flags: Sections = {
        "data": {**columns, "ahead": ahead, **parts},
        "model": {"cell": cell, "hidden": hidden, "layers": layers},
        "reading": {"batch": batch, "window": window, "stride": stride, "seed": seed, **files},
        "training": {
            "updates": updates,
            "minutes": minutes,
            "rate": rate,
            "memory": memory,
            "checkpoint_every": checkpoint_every,
        },
    }
    length = {"updates": updates, "minutes": minutes}
    if resume is not None:
        given = {key: value for of in flags.values() for key, value in of.items() if key not in length}
        fixed = {"task": task, "config": config, "set": set, "out": out, "overwrite": overwrite or None, "from": from_}
        _refuse_options(resume, {**fixed, **given})
    elif data is None:
        again = command_line("train", "--resume", "RUN")
        raise UsageError(f"name the data to train on, or a training to resume: {again}")

    from ..files.toml import read_toml
    from ..run.folder import free_folder
    from ..run.run import Run
    from ..run.trained import Trained, begin
    from ..train.distributed import joined
    from . import screen
    from .reading import reading

    more = resume is not None and any(length.values())
    with joined() as ranks:
        if resume is None and data is not None:
            with ranks.together():
                made_from = Trained.load(from_) if from_ else None
                options = read_toml(config) if config else {}
                spec, circuit, decoder = _decide(data, task, made_from, options, flags, set or [])
            name = f"{data.absolute().stem}-{circuit.name}"
            resume = ranks.from_first(_interrupted(name, out))
        with reading(threads, quiet=json or not ranks.first):
            if resume is None and data is not None:
                with ranks.together():
                    learned, model = begin(spec, circuit, data, made_from, decoder)
                opened = Run.open(out or free_folder(RUNS, name), spec, learned, model, ranks, overwrite, from_)
            elif resume is not None:
                opened = Run.resume(resume, data, ranks, screen.warn)
        with opened as run:
            if more and not (_restarted() and run.training.done < 1):
                _extend(run, resume, updates, minutes)
            return _fit(run, threads, track, json)


def _fit(run: Run, threads: int, track: bool, for_programs: bool) -> int:
    """Train, and report. Returns the exit code."""
    from ..run.folder import TRACK
    from .learn import follow, learn

    if run.folder is None:
        return follow(run, threads)
    if not for_programs:
        _describe(run, run.folder.path)
    ended = learn(run, threads, for_programs, run.folder.path / TRACK if track else None)
    if not for_programs:
        _conclude(run, run.folder.path, ended)
    return ended.code


def _brought(**given: str | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """The files that are given for parts of the data, with their absolute paths; and shares or patterns.

    Raises:
        DataError: there is no such file.
    """
    from ..files.read import no_such_file

    files: dict[str, Any] = {}
    parts: dict[str, Any] = {}
    for name, value in given.items():
        if value is None:
            continue
        if Path(value).exists():
            files[name] = str(Path(value).absolute())
        elif any(mark in value for mark in "*?["):
            parts[name] = value
        else:
            try:
                parts[name] = float(value)
            except ValueError:
                raise no_such_file(Path(value), f"data for --{name}: a file, a folder, or a share") from None
    return files, parts


def _extend(run: Run, path: Path | None, updates: int | None, minutes: float | None) -> None:
    """Go on with a finished training for more updates or minutes."""
    if run.training.done < 1:
        again = command_line("train", "--resume", path)
        raise UsageError(
            f"'{path}' is {run.training.done:.0%} done; more --updates or --minutes are for a finished training. To "
            f"finish it first: {again}"
        )
    run.training.extend(updates, minutes)


def _refuse_options(run: Path, options: dict[str, object]) -> None:
    """Refuse options of a training that is resumed."""
    for name, value in options.items():
        if value is not None:
            raise UsageError(
                f"--{name.replace('_', '-')} cannot change when '{run}' is resumed; it continues with its own options"
            )


def _decide(
    data: Path, task: str | None, source: Trained | None, config: Sections, flags: Sections, assignments: list[str]
) -> tuple[Spec, Circuit, Circuit | None]:
    """The options of a training, its circuit, and the one that writes. ``source``: the trained model to start from."""
    from ..data.kinds import kind_for
    from ..run.run import decoder_of
    from ..run.spec import Spec, parsed
    from .cell import find_cell

    def named(section: str, key: str) -> str | None:
        layers = (parsed(assignments), flags, config)
        return next((str(v) for layer in layers if (v := layer.get(section, {}).get(key))), None)

    if source is not None:
        again = _decide_again(data, task, source, config, flags, parsed(assignments))
        return again, source.model.circuit, decoder_of(source.model)
    cell = named("model", "cell")
    circuit = find_cell(cell) if cell else None  # an unknown cell is refused before missing data
    kind = kind_for(data, task, named("data", "goal"), named("data", "field"))
    _check_flags(data, kind, flags["data"])
    spec = Spec.read(kind.name, config, flags, assignments, circuit, kind.suited(data))
    return spec, circuit or find_cell(spec.model.cell), find_cell(spec.model.decoder) if kind.writes else None


def _decide_again(data: Path, task: str | None, source: Trained, *layers: Sections | None) -> Spec:
    """The options of a training that starts from a trained model: those of its run, overridden by ``layers``."""
    from ..run.spec import Spec

    source.check(data)
    spec = Spec.of(source.kind.name, source.spec.sections(), *(layer or {} for layer in layers))
    before, now = source.spec.sections(), spec.sections()
    changed = [f"model.{key}" for key, value in now["model"].items() if value != before["model"][key]]
    changed += [
        f"data.{key}" for key, value in now["data"].items() if value != before["data"][key] and key not in PARTS
    ]
    if task not in (None, source.kind.name):
        changed.append("--task")
    if changed:
        raise UsageError(f"{changed[0]} cannot change with --from '{source.run}': the trained model keeps its own")
    return spec


def _check_flags(data: Path, kind: type[Kind], flags: dict[str, Any]) -> None:
    """Refuse flags about columns for data that have none.

    Raises:
        UsageError: the name of the flag.
    """
    known = {field.name for field in fields(kind.Options)}
    for name, value in flags.items():
        if value is not None and name not in known:
            raise UsageError(f"--{name} is not an option of the task '{kind.name}'; '{data}' is data for that task")


def _restarted() -> bool:
    """Whether torchrun starts this process again, after one was killed."""
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")) > 0


def _interrupted(name: str, out: Path | None) -> Path | None:
    """The run folder of the same training if torchrun restarts it, after one of its processes was killed."""
    from ..run.config import is_run
    from ..run.folder import latest_folder

    if not _restarted():
        return None
    path = out or latest_folder(RUNS, name)
    return path if path is not None and is_run(path) else None


def _describe(run: Run, path: Path) -> None:
    from ..run.run import decoder_of
    from . import screen
    from .learn import parameters

    data, model = run.data, run.model
    for number, (word, text) in enumerate(data.describe()):
        screen.entry(word, f"{data.path.name}: {text}" if number == 0 else text)
    decoder = decoder_of(model)
    cells = f"{model.circuit.name} reads, {decoder.name} writes" if decoder else model.circuit.name
    dropout = f", dropout {model.dropout.p:g}" if model.dropout.p else ""
    screen.entry("model", f"{cells}, {parameters(model):,} parameters{dropout}, engine {model.first.engine}")
    screen.entry("run", str(path))
    if update := run.training.update:
        screen.out(f"  resumed after update {update:,}, {run.training.done:.0%} done")
    screen.out()


def _conclude(run: Run, path: Path, ended: Ended) -> None:
    from rich.markup import escape

    from ..speed.machine import peak_memory
    from . import screen
    from .learn import diverged

    data, training = run.data, run.training
    if not ended.result:
        screen.out(f"  stopped after {ended.updates:,} updates in {ended.seconds:.0f} s; nothing is lost. To resume:\n")
        screen.command("train", "--resume", path)
        return
    done = "diverged" if diverged(training) else "done"
    speed = f"{training.steps / max(training.seconds, 1e-9):,.0f} {data.kind.steps}/s"
    memory = f", peak memory {peak_memory() / 1e6:,.0f} MB" if peak_memory() else ""
    screen.out(f"  {done} after {ended.updates:,} updates in {ended.seconds:.0f} s: {speed}{memory}.")
    screen.out("  On the test data:")
    one_by_one = [f"{screen.figure(value):>6} {name.replace('_', ' ')}" for name, value in ended.result.items()]
    for number, line in enumerate(data.kind.report(ended.result) or one_by_one):
        screen.out(f"  [bold]{escape(line)}[/]" if number == 0 else escape(f"  {line}"))
    if training.best == 0:
        screen.out("\n  The validation data support no change to the untrained model, which is kept.")
    if ended.worse_than:
        screen.out(f"\n  {_advice(run, ended)}")
    screen.out()
    if data.kind.name == "language":
        screen.command("sample", path, "--length", 400)
    else:
        screen.command("predict", path, data.path)


def _advice(run: Run, ended: Ended) -> str:
    """What to do about a model that is worse than a baseline."""
    from .learn import without_gain

    rate = run.training.settings.rate
    return without_gain(run.training) or run.data.kind.advice(ended.worse_than, rate)
