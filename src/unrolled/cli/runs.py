"""unrolled runs"""

from __future__ import annotations

from pathlib import Path

from ..errors import UnrolledError, UsageError, command_line


def runs(folder: Path = Path("runs"), /, *, json: bool = False) -> None:
    """List trainings with their figures.

    Parameters
    ----------
    folder
        The folder that holds the run folders.
    json
        Print one JSON object.
    """
    from rich.markup import escape
    from rich.table import Table

    from ..run.about import about
    from ..run.config import is_run
    from . import screen

    if not folder.is_dir():
        raise UsageError(f"there is no folder '{folder}'. To make a run: {command_line('train', 'DATA')}")
    found, refused = [], {}
    for path in sorted(path for path in folder.iterdir() if is_run(path)):
        try:
            found.append(about(path))
        except UnrolledError as problem:
            refused[path] = str(problem)
    if json:
        print(screen.as_json({"runs": [run.values() for run in found], "refused": list(map(str, refused))}))
        return
    if not found and not refused:
        screen.out(f"  '{folder}' has no run. To make one: {command_line('train', 'DATA')}")
        return
    table = Table("run", "cell", "updates", "state", "validation", "test", box=None, padding=(0, 2, 0, 0))
    for run in found:
        validation = "" if run.validation is None else f"{run.validation:.3f} {run.kind.unit}"
        name, value = next(iter(run.result.items()), ("", None))
        test = "" if value is None else f"{value:.3f} {name.replace('_', ' ')}"
        table.add_row(*map(escape, (run.path.name, run.cell, f"{run.update:,}", run.state, validation, test)))
    screen.console().print(table)
    for path, why in refused.items():
        screen.warn(f"{path} was left out: {why}")
