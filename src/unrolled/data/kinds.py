"""The kinds of data, by name and by what the files are."""

from __future__ import annotations

from pathlib import Path

from ..errors import DataError, UsageError, did_you_mean
from ..files.read import no_such_file
from .documents import SUFFIX, text_files
from .forecast.kind import Forecast
from .kind import Kind
from .language import Language
from .music import Music
from .recordings import COMMON, SUFFIXES, visible
from .table import Table
from .tables.content import is_table
from .voice import Voice

KINDS: dict[str, type[Kind]] = {kind.name: kind for kind in (Language, Music, Voice, Table, Forecast)}


def kind_of(task: str) -> type[Kind]:
    """The kind of data of a task, by its name.

    Raises:
        UsageError: there is no such task.
    """
    if task not in KINDS:
        hint = did_you_mean(task, KINDS) or f". Choose from: {', '.join(KINDS)}"
        raise UsageError(f"there is no task '{task}'{hint}")
    return KINDS[task]


def of_goal(kind: type[Kind], goal: str | None) -> type[Kind]:
    """The kind of data for a goal: a table is for forecasts, unless the goal is to predict labels."""
    return Forecast if kind is Table and goal in (None, "forecast") else kind


def can_read(kind: Kind, recognised: type[Kind]) -> bool:
    """Whether a kind reads files that were recognised as another one. A text may have any name."""
    return isinstance(kind, (recognised, Language)) or (isinstance(kind, Forecast) and recognised is Table)


def recognise(path: Path) -> type[Kind]:
    """The kind of some data: a MATLAB file is music, a folder of recordings is voice, a folder of texts is language, a
    CSV, TSV, Parquet, JSON lines or Excel file is a table (also packed: .gz, .zip), any other file is a text.

    Raises:
        DataError: nothing is there, or it is a folder with neither recordings nor texts.
    """
    if path.is_dir():
        if any(file.suffix.lower() in SUFFIXES for file in visible(path)):
            return Voice
        if text_files(path):
            return Language
        raise DataError(f"'{path}' is a folder without recordings ({COMMON}) and without texts ({SUFFIX})")
    if not path.exists():
        raise no_such_file(
            path, "a text, a table (CSV, Parquet), a MATLAB file of music or a folder of recordings or texts"
        )
    suffix = path.suffix.lower()
    if suffix in SUFFIXES:
        return Voice
    return Music if suffix == ".mat" else Table if is_table(path) else Language
