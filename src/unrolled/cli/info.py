"""unrolled info"""

from __future__ import annotations

from pathlib import Path


def info(run: Path, /, *, json: bool = False) -> None:
    """Tell what a training was made from, how far it is, and how good its model is.

    Parameters
    ----------
    run
        Run folder.
    json
        Print one JSON object.
    """
    from rich.markup import escape

    from ..run.about import about
    from . import screen

    found = about(run)
    if json:
        print(screen.as_json(found.values()))
        return
    for word, text in found.lines():
        screen.out(escape(f"  {word:<10}{text}"))
    screen.out()
    screen.command(*found.next)
