"""How a training is watched: a bar on a terminal, a line every few seconds elsewhere, JSON for programs."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

from rich.console import Group
from rich.live import Live
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from .screen import console, out

if TYPE_CHECKING:
    from ..tasks.task import Task
    from ..train.loop import Progress, Training

EVERY = 5.0  # seconds between plain lines
MARGIN = 6  # columns left free beside the bar, where a terminal shows ^C


class Watch:
    """Follows a training: ``see`` each progress; it gives a record for the log now and then."""

    def __init__(self, task: Task, training: Training) -> None:
        self.task, self.validation = task, math.nan
        self.percent = int(training.done * 100)
        self.begun = training.steps, training.seconds

    def see(self, progress: Progress) -> dict[str, Any] | None:
        """Take it in. A record is due with every hundredth of the training and with every validation."""
        from ..speed.machine import peak_memory

        if progress.validation is not None:
            self.validation = progress.validation * self.task.scale
        percent = int(progress.done * 100)
        self.show(progress)
        if percent == self.percent and progress.validation is None:
            return None
        self.percent = percent
        return {
            "event": "progress",
            "update": progress.update,
            "done": round(progress.done, 4),
            "seconds": round(progress.seconds, 3),
            self.task.steps: progress.steps,
            "train": progress.mean * self.task.scale,
            "validation": self.validation if progress.validation is not None else None,
            "per_second": round(self.speed(progress), 1),
            "memory": peak_memory(),
            "norm": progress.norm,
            "rate": progress.rate,
        }

    def show(self, progress: Progress) -> None:
        """Nothing: for programs, which read the records."""

    def __enter__(self) -> Watch:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to clean up."""

    def speed(self, progress: Progress) -> float:
        """Steps per second, since it was begun or gone on with."""
        return (progress.steps - self.begun[0]) / max(progress.seconds - self.begun[1], 1e-9)

    def figures(self, progress: Progress) -> str:
        """Where the training stands, in one line of less than 80 columns."""
        mean = f"{self.task.unit} {progress.mean * self.task.scale:.2f}"
        line = f"update {progress.update:,}   {self.speed(progress):,.0f} {self.task.steps}/s   {mean}"
        return line if math.isnan(self.validation) else f"{line}, validation {self.validation:.2f}"


class Lines(Watch):
    """A line every few seconds, for a file or a pipe."""

    def __init__(self, task: Task, training: Training) -> None:
        super().__init__(task, training)
        self.last = time.monotonic()

    def show(self, progress: Progress) -> None:
        if progress.done == 1 or time.monotonic() - self.last >= EVERY:
            self.last = time.monotonic()
            out(f"{progress.done:4.0%}   {self.figures(progress)}   {_left(progress)}")


class Bar(Watch):
    """A bar and the figures under it, drawn anew in their place, and gone at the end."""

    def __init__(self, task: Task, training: Training) -> None:
        super().__init__(task, training)
        self.live = Live(console=console(), auto_refresh=False, transient=True)
        self.last = -math.inf  # however short the training, the bar is seen

    def __enter__(self) -> Watch:
        self.live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.live.stop()

    def show(self, progress: Progress) -> None:
        if time.monotonic() - self.last < 0.1:
            return
        self.last = time.monotonic()
        width = max(20, self.live.console.width - MARGIN)
        row = Table.grid(padding=(0, 2))
        row.add_column(width=width - 14)
        row.add_column(justify="right", width=12)
        row.add_row(ProgressBar(total=1, completed=progress.done), f"[dim]{_left(progress)}[/]")
        figures = Text(self.figures(progress), "dim", no_wrap=True, overflow="ellipsis")
        self.live.update(Padding.indent(Group(row, figures), 2), refresh=True)


def watch(for_programs: bool, task: Task, training: Training) -> Watch:
    """The right one for where the output goes."""
    return (Watch if for_programs else Bar if console().is_terminal else Lines)(task, training)


def _left(progress: Progress) -> str:
    if progress.done == 1:
        return "done"
    seconds = progress.seconds * (1 - progress.done) / max(progress.done, 1e-9)
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return (f"{hours}:{minutes:02}" if hours else f"{minutes}") + f":{seconds:02} left"
