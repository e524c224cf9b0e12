"""unrolled look"""

from __future__ import annotations

from pathlib import Path


def look(
    what: str,
    /,
    *,
    data: Path | None = None,
    out: Path | None = None,
    steps: int = 200,
    first: int = 1,
    piece: int = 1,
    layer: int | None = None,
    hidden: int = 8,
    seed: int = 0,
    task: str | None = None,
    set: list[str] | None = None,
    json: bool = False,
) -> None:
    """Make a page that shows a network while it reads: its circuit, its unfolded graph, every value and gradient. Of
    data alone, the page shows what was understood of them: columns, series, parts, the first rows. Of a model of pairs,
    it shows where the model looks in the source while it writes.

    Parameters
    ----------
    what
        Run folder of a trained model; a cell with random parameters, by its name or as FILE.py:NAME; or data: a table,
        a text, a MATLAB file of music, or a folder of recordings or texts.
    data
        File for the network to read: a text (UTF-8), or for the model of a run the kind of data that it was trained
        on.
    out
        Page to write, FILE.html. Without it, the page opens in the browser.
    steps
        Maximum number of steps to show.
    first
        First step to show: a character of a text, a frame of a recording, a row of a table or of pairs.
    piece
        Number of the recording in a folder, piece of music or sequence of a table.
    layer
        Number of the layer to show, from 1 (default: the last one).
    hidden
        Number of hidden units of a cell.
    seed
        Random seed of the parameters of a cell.
    task
        Data only: language, table, pairs, music or voice. By default, it depends on the type of the file.
    set
        Data only: an option of a training, as SECTION.KEY=VALUE, such as data.sequence=shop. Can be repeated.
    json
        Print one JSON object: the name of the page, and what it shows.
    """
    from ..errors import UsageError
    from ..look.attention import look_at_attention
    from ..look.data_page import DataPage, look_at_data
    from ..look.explore import Page, explore
    from ..run.checkpoint import CONFIG
    from ..run.config import Config
    from ..run.spec import parsed
    from ..run.trained import Trained
    from . import screen
    from .cell import find_cell
    from .reading import reading

    for name, number in (("--steps", steps), ("--first", first), ("--piece", piece), ("--hidden", hidden)):
        if number < 1:
            raise UsageError(f"{name} must be a whole number from 1, got {number}")
    if out is not None and out.suffix != ".html":
        raise UsageError(f"--out must end in .html, such as {out.with_suffix('.html').name}; got '{out}'")
    found: Page | DataPage
    options = parsed(set or ())
    if _is_data(what, options.get("data", {}).get("field")):
        with reading(quiet=json):
            found = look_at_data(Path(what), task, options)
        shown: dict[str, object] = {}
    else:
        run = Path(what) if _is_folder(what) else None
        if run and (run / CONFIG).is_file() and Config(run).task == "pairs":
            found, shown = look_at_attention(Trained.load(run), data, first), {}
        else:
            shown_part = {"first": first, "steps": steps, "piece": piece}
            page = explore(run or find_cell(what), data, layer=layer, hidden=hidden, seed=seed, **shown_part)
            found, shown = page, {"steps": page.steps, "loss": page.loss}
    path = out or _somewhere(what)
    found.save(path)
    if json:
        print(screen.as_json({"page": str(path), **shown, "notes": found.notes}))
        return
    for line in (*found.notes, path):
        screen.plain(line)
    if out is None:
        import webbrowser

        webbrowser.open(path.resolve().as_uri())


def _is_data(what: str, field: str | None) -> bool:
    """Whether it is data: a file that is no Python file, or a folder that is no run and has recordings or texts."""
    from ..data.kinds import recognise
    from ..errors import DataError

    path = Path(what)
    if path.is_file():
        return path.suffix not in (".py", ".safetensors")
    if not path.is_dir() or (path / "config.json").exists():
        return False
    if field:
        return True
    try:
        recognise(path)
    except DataError:
        return False
    return True


def _is_folder(what: str) -> bool:
    """Whether it is meant as a run folder: it is one, or is spelled like a path."""
    return Path(what).is_dir() or (("/" in what or "\\" in what) and ".py" not in what)


def _somewhere(what: str) -> Path:
    from tempfile import mkdtemp

    return Path(mkdtemp(prefix="unrolled-")) / f"{Path(what.replace(':', '_')).stem}.html"
