"""The progress of long work: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Self

from rich.console import Group
from rich.live import Live
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from .screen import console, out

EVERY = 5.0  # seconds between lines
REDRAWN = 0.1  # seconds between updates of the bar
MARGIN = 6  # columns beside the bar, where a terminal shows ^C
LEFT = 12  # columns for the time left
ALMOST = 0.99


class Bar:
    """A bar with the time left and a line of figures, which disappears at the end. Where the output is not a terminal,
    the figures are printed every few seconds; with ``quiet``, nothing is.

    >>> with Bar() as bar:
    ...     for number in range(100):
    ...         bar.show(number / 100, f"step {number}")
    """

    def __init__(self, quiet: bool = False) -> None:
        screen = console()
        self.quiet = quiet
        self.live = Live(console=screen, auto_refresh=False, transient=True) if screen.is_terminal else None
        self.begun = time.monotonic()
        self.last = -math.inf if self.live else self.begun  # on a terminal, even short work shows a bar
        self.first: float | None = None  # the fraction that was done at the beginning
        self.complete = False
        self.part = ""

    def __enter__(self) -> Self:
        if self.live and not self.quiet:
            self.live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.live and not self.quiet:
            self.live.stop()

    def show(self, done: float | None, figures: str) -> None:
        """Show the fraction that is done, None if it is not known, and a line of figures."""
        if self.first is None:
            self.first = done
        now, every = time.monotonic(), REDRAWN if self.live else EVERY
        if self.quiet or (now - self.last < every and (self.live or self.complete or done != 1)):
            return
        self.last, self.complete = now, done == 1  # elsewhere than on a terminal, the end is always printed
        if not self.live:
            out("   ".join([*([f"{done:4.0%}"] if done is not None else []), figures, self.left(done)]).rstrip())
            return
        row = Table.grid(padding=(0, 2))
        row.add_column(width=max(20, self.live.console.width - MARGIN) - LEFT - 2)
        row.add_column(justify="right", width=LEFT)
        bar = ProgressBar(total=None if done is None else 1.0, completed=done or 0.0)
        row.add_row(bar, f"[dim]{self.left(done)}[/]")
        line = Text(figures, "dim", no_wrap=True, overflow="ellipsis")
        self.live.update(Padding.indent(Group(row, line), 2), refresh=True)

    def show_part(self, done: float, what: str) -> None:
        """Show the fraction of one of several things to do, which take one after the other. Elsewhere than on a
        terminal, the end of one is not printed."""
        if self.part != what:
            self.part, self.first, self.begun = what, None, time.monotonic()
        self.show(done if self.live else min(done, ALMOST), what)

    def left(self, done: float | None) -> str:
        """The time left, as far as it can be estimated."""
        if done == 1:
            return "done"
        if done is None or self.first is None or done <= self.first:
            return ""
        return f"{clock((time.monotonic() - self.begun) * (1 - done) / (done - self.first))} left"

    def print(self, line: str) -> None:
        """Print a line above the bar."""
        if self.live and not self.quiet:
            self.live.console.print(line)


def clock(seconds: float) -> str:
    """Seconds as minutes, or hours and minutes.

    >>> clock(75), clock(3675)
    ('1:15', '1:01:15')
    """
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


@contextmanager
def counted(total: int, quiet: bool = False, what: str = "") -> Iterator[Callable[[str], None]]:
    """A bar for work in ``total`` parts, labelled ``what`` until the first one is done. The function is called after
    each part, with a line about it, which may be empty.

    >>> with counted(len(points)) as done:
    ...     for point in points:
    ...         done(str(measure(point)))
    """
    number, begun = 0, time.monotonic()
    with Bar(quiet) as bar:

        def done(line: str) -> None:
            nonlocal number
            number += 1
            spent = time.monotonic() - begun
            if bar.live:
                if line:
                    bar.print(line)
                bar.show(number / total, f"{number}/{total}   {number / max(spent, 1e-9):.1f}/s")
            elif line and not quiet:
                out(f"{number}/{total}, {clock(spent * (total - number) / number)} left   {line}")

        if bar.live:
            bar.show(0.0, what)
        yield done
