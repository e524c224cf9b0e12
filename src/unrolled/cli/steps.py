"""Long work in countable parts: a bar with rate and time left on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from .screen import console, out

if TYPE_CHECKING:
    from rich.progress import Progress, Task


@contextmanager
def counted(total: int, quiet: bool = False, what: str = "") -> Iterator[Callable[[str], None]]:
    """Gives a function to be called as each part is done, with a line about it, or an empty one. The bar is labelled
    ``what`` until the first part is done.

    >>> with counted(len(points)) as done:
    ...     for point in points:
    ...         done(str(measure(point)))
    """
    if quiet:
        yield lambda line: None
    elif console().is_terminal:
        with _bar() as bar:
            task = bar.add_task(what, total=total)

            def done(line: str) -> None:
                if line:
                    bar.console.print(line)
                bar.update(task, advance=1, description="")

            yield done
    else:
        yield _lines(total)


def _bar() -> Progress:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn
    from rich.text import Text

    class Rate(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(f"{task.speed:.1f}/s" if task.speed else "", "dim")

    columns = (TextColumn("{task.description}"), BarColumn(None), MofNCompleteColumn(), Rate(), TimeRemainingColumn())
    return Progress(*columns, console=console(), transient=True, expand=True)


def _lines(total: int) -> Callable[[str], None]:
    begin, number = time.monotonic(), 0

    def done(line: str) -> None:
        nonlocal number
        number += 1
        left = round((time.monotonic() - begin) * (total - number) / number)
        if line:
            out(f"{number}/{total}, {left // 60}:{left % 60:02} left   {line}")

    return done
