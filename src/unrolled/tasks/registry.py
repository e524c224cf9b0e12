"""Which task a data set is for, and the way from data to a task and from a run folder to a trained one."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from ..errors import DataError, UnrolledError, UsageError, command_line, did_you_mean
from ..files.read import no_such_file
from ..files.toml import Sections
from ..train.checkpoint import read_checkpoint
from ..train.loop import Training
from ..train.recorded import replay
from ..train.run_folder import OLDEST, Config, check_fit, read_model
from .documents import SUFFIX, text_files
from .options import Options, resolve
from .task import Task

TASKS = {
    "language": "language_run.Language",
    "music": "music.Music",
    "voice": "voice.Voice",
    "table": "table.Table",
}
RECORDINGS = (".wav", ".flac", ".ogg")
TABLES = (".csv", ".tsv", ".parquet")


def kind_of(name: str) -> type[Task]:
    """The class of a task, by its name."""
    if name not in TASKS:
        hint = did_you_mean(name, TASKS) or f". There are {', '.join(TASKS)}"
        raise UsageError(f"there is no task '{name}'{hint}")
    module, _, cls = TASKS[name].partition(".")
    kind: type[Task] = getattr(import_module(f".{module}", __package__), cls)
    return kind


def recognise(path: Path) -> str:
    """The name of the task that data are for, by what they are: a MATLAB file is music, a folder of recordings is
    voice, a folder of texts is language, a CSV or Parquet file is a table, any other file is a text.

    Raises:
        DataError: nothing there, or a folder with neither recordings nor texts.
    """
    if path.is_dir():
        if any(file.suffix.lower() in RECORDINGS for file in path.rglob("*")):
            return "voice"
        if text_files(path):
            return "language"
        raise DataError(
            f"'{path}' is a folder without recordings ({', '.join(RECORDINGS)}) and without texts ({SUFFIX})"
        )
    if not path.exists():
        raise no_such_file(
            path, "a text, a table (CSV, Parquet), a MATLAB file of music or a folder of recordings or texts"
        )
    suffix = path.suffix.lower()
    if suffix in RECORDINGS:
        return "voice"
    return "music" if suffix == ".mat" else "table" if suffix in TABLES else "language"


def check_readable(task: Task, path: Path) -> None:
    """Refuse data of another kind than those that a model learned from. A text may have any name.

    Raises:
        DataError: nothing there, or data for another task.
    """
    kind = recognise(path)
    if kind != task.name and task.name != "language":
        raise DataError(f"'{path}' is data for the task '{kind}'; the model is one of the task '{task.name}'")


def options_for(task: str, sections: Sections) -> Options:
    """The options of a task, with its defaults."""
    kind = kind_of(task)
    return resolve(sections, kind.section, kind.defaults)


def resumed(config: Config, data: Path | None = None) -> Task:
    """The task of a run that is to be gone on with.

    data: where its data are now, if they have moved.

    Raises:
        DataError: a damaged description, data that are gone or that have changed since.
    """
    kind = _kind(config)
    path = data or Path(config.get("source.path", str))
    try:
        options = resolve(config.get("options", dict), kind.section)
        task = kind.read(path, config.circuit(), options)
    except UsageError as problem:
        config.refuse(str(problem))
    _check_answer(config, task)
    if task.source["sha256"] != config.get("source.sha256", str) or task.description() != config.get(
        "description", dict
    ):
        raise DataError(
            f"'{path}' is not what '{config.run}' was learning from, or has changed since. Name the right data: "
            f"{command_line('train', 'DATA', '--resume', config.run)}"
        )
    return task


def trained(run: Path) -> Task:
    """The task of a run folder with its best model. Runs nobody's code, and needs no file but those of the folder.

    Raises:
        DataError: no run folder, or a damaged one.
    """
    import torch

    config, tensors = read_model(run)
    kind = _kind(config)
    largest = max((*config.sizes(), 0))
    if largest > max(sum(v.numel() for v in tensors.values()), 1000):
        config.refuse(f"it names a size of {largest}, more than there are parameters")
    try:
        with torch.device("meta"):
            task = kind.stored(config)
    except UnrolledError as problem:
        raise problem if isinstance(problem, DataError) else _refused(config, str(problem)) from None
    except Exception as problem:  # the file may say anything
        config.refuse(f"no model can be made of it ({type(problem).__name__}: {problem})")
    _check_answer(config, task)
    check_fit(config, task.model, tensors)
    task.model.to_empty(device="cpu")
    task.model.load_state_dict(dict(tensors))
    task.model.eval()
    try:
        task.model(torch.zeros(1, 1, dtype=torch.long))
    except Exception as problem:  # one step shows whether it is a circuit that runs
        config.refuse(f"its circuit does not run ({type(problem).__name__}: {problem})")
    return task


def replay_fault(folder: Path) -> float:
    """Read again a batch that went wrong: see ``recorded.replay``.

    Raises:
        NumberError: it goes wrong again.
        DataError: the folder is no such batch.
    """
    checkpoint, task = read_checkpoint(folder), trained(folder)
    return replay(checkpoint, Training(task, task.options.settings), task.batch_type)


def sha256_of(files: Mapping[str, bytes]) -> str:
    """One fingerprint of some files, names and all."""
    digest = hashlib.sha256()
    for name, content in sorted(files.items()):
        digest.update(f"{len(name)} {name} {len(content)} ".encode("utf-8", "surrogatepass") + content)
    return digest.hexdigest()


def _kind(config: Config) -> type[Task]:
    name: Any = config.get("task", str)
    if name not in TASKS:
        config.refuse(f"it is a run of the task '{name}', which this version does not know")
    return kind_of(name)


def _check_answer(config: Config, task: Task) -> None:
    """Refuse a model that would now answer from another state than the one it was trained with."""
    if config.values["format"] == OLDEST and task.model.backward_layers and task.model.answer == "last":
        config.refuse(
            "this model reads in two directions and answers once, and an earlier version trained it to answer from the "
            "backward direction's state at the last step. The answer is now that direction's last state"
        )


def _refused(config: Config, why: str) -> DataError:
    try:
        config.refuse(why)
    except DataError as problem:
        return problem
