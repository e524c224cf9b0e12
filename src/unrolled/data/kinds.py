"""The kinds of data, by name and by what the files are."""

from __future__ import annotations

from pathlib import Path

from ..errors import DataError, UsageError, did_you_mean
from ..files.folder import visible
from ..files.read import no_such_file
from .documents import SUFFIX, text_files
from .forecast.kind import Forecast
from .kind import Kind
from .language import Language
from .midi import SUFFIXES as MIDI
from .music import Music, midi_files
from .pairs.content import is_folder_of_pairs
from .pairs.kind import Pairs
from .pairs.rows import are_pairs
from .recordings import COMMON, SUFFIXES
from .table import Table
from .tables.content import is_table
from .tables.parquet_folder import parquet_files
from .voice import Voice

KINDS: dict[str, type[Kind]] = {kind.name: kind for kind in (Language, Music, Voice, Table, Forecast, Pairs)}


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


def kind_for(path: Path, task: str | None, goal: str | None, field: str | None) -> type[Kind]:
    """The kind of data for a training.

    Args:
        path: of the data.
        task: the name of the kind, if it is given.
        goal: of a table.
        field: of JSON records, if they are texts.
    """
    if field and task is None:
        return Language
    return of_goal(kind_of(task) if task else recognise(path), goal)


def can_read(kind: Kind, recognised: type[Kind]) -> bool:
    """Whether a kind reads files that were recognised as another one. A text may have any name, and pairs may be in a
    table or a text."""
    if isinstance(kind, Pairs):
        return recognised in (Pairs, Table, Language)
    tables = Table if recognised is Pairs else recognised
    return isinstance(kind, (tables, Language)) or (isinstance(kind, Forecast) and tables is Table)


def recognise(path: Path) -> type[Kind]:
    """The kind of some data: a MATLAB file or MIDI files are music, a folder of recordings is voice, a folder of texts
    is language, a TSV file of two or three columns without numbers is pairs (or a folder of them), another TSV, CSV,
    Parquet, JSON lines or Excel file or a JSON array of records is a table (also packed: .gz, .zip; or a folder of
    Parquet files), any other file is a text.

    Raises:
        DataError: nothing is there, or it is a folder without recordings, MIDI files and texts.
    """
    if path.is_dir():
        if any(file.suffix.lower() in SUFFIXES for file in visible(path)):
            return Voice
        if midi_files(path):
            return Music
        if text_files(path):
            return Language
        if is_folder_of_pairs(path):
            return Pairs
        if parquet_files(path):
            return Table
        if text_files(path, field="any"):
            raise DataError(f"'{path}' has JSON records. If they are texts, name their field, such as: --field text")
        raise DataError(
            f"'{path}' is a folder without recordings ({COMMON}), without MIDI files ({', '.join(MIDI)}), without "
            f"texts ({SUFFIX}) and without pairs (.tsv)"
        )
    if not path.exists():
        raise no_such_file(
            path,
            "a text, a table (CSV, Parquet), pairs (TSV), a MATLAB file of music or a folder of recordings, MIDI "
            "files or texts",
        )
    suffix = path.suffix.lower()
    if are_pairs(path):
        return Pairs
    if suffix in SUFFIXES:
        return Voice
    return Music if suffix in (".mat", *MIDI) else Table if is_table(path) else Language
