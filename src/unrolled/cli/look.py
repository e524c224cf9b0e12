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
    json: bool = False,
) -> None:
    """Look into a network while it reads: a page with the circuit, its unfolding, every value and gradient.

    Parameters
    ----------
    what
        The folder of a trained model; or the name of a cell, or FILE.py:NAME for your own, with random parameters.
    data
        What the network is to read: a text (UTF-8); or what the model of a run reads: a recording, a table, a MATLAB
        file of music.
    out
        The page to write, FILE.html. Without it, the page is opened in the browser.
    steps
        How many steps to show at most.
    first
        The step at which to begin: a character of the text, a frame of the recording, a row of the table.
    piece
        Which recording of a folder, piece of music or sequence of a table.
    layer
        Which layer to show, from 1. By default the last one.
    hidden
        How many hidden units a cell gets.
    seed
        The same seed gives a cell the same parameters.
    json
        One JSON object: the page, and what it shows.
    """
    from ..errors import UsageError
    from ..look.explore import explore
    from . import screen
    from .cell import find_cell

    for name, number in (("--steps", steps), ("--first", first), ("--piece", piece), ("--hidden", hidden)):
        if number < 1:
            raise UsageError(f"{name} must be a whole number from 1, got {number}")
    if out is not None and out.suffix != ".html":
        raise UsageError(f"--out names an HTML file, such as {out.with_suffix('.html').name}; got '{out}'")
    run = Path(what) if _is_folder(what) else None
    found = explore(
        run or find_cell(what), data, first=first, steps=steps, piece=piece, layer=layer, hidden=hidden, seed=seed
    )
    path = out or _somewhere(what)
    found.save(path)
    if json:
        print(screen.as_json({"page": str(path), "steps": found.steps, "loss": found.loss, "notes": found.notes}))
        return
    for line in (*found.notes, path):
        screen.plain(line)
    if out is None:
        import webbrowser

        webbrowser.open(path.resolve().as_uri())


def _is_folder(what: str) -> bool:
    """Whether it is meant as a run folder: it is one, or is spelled like a path."""
    return Path(what).is_dir() or (("/" in what or "\\" in what) and ".py" not in what)


def _somewhere(what: str) -> Path:
    from tempfile import mkdtemp

    return Path(mkdtemp(prefix="unrolled-")) / f"{Path(what.replace(':', '_')).stem}.html"
