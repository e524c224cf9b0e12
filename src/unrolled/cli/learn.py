"""A training with progress on the screen, a log, and a clean end: what ``train`` and ``demo`` share."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..engines.threads import processor_threads
from . import screen
from .interrupt import interruptible
from .progress import Bar
from .track import tracked

if TYPE_CHECKING:
    from ..nn.encoder_decoder import Model
    from ..run.run import Run
    from ..train.lesson import Progress
    from ..train.loop import Training

CLEARLY = 1.1  # a validation loss that is this many times that of the untrained model is higher by more than chance


@dataclass(frozen=True)
class Ended:
    """How a training ended.

    code: the exit code: 0, or that of the signal that stopped it.
    result: the metric on the test data and baselines; empty if the training was stopped.
    worse_than: the baselines that are better than the model, by some metric, and 'untrained' if the untrained model is.
    """

    updates: int
    seconds: float
    code: int
    result: dict[str, float]
    worse_than: tuple[str, ...] = ()


def learn(run: Run, threads: int = 1, for_programs: bool = False, track: Path | None = None) -> Ended:
    """Train the model of a run. The first Ctrl-C or SIGTERM stops it after the update, with a checkpoint.

    Args:
        run: new or resumed.
        threads: the number of CPU threads.
        for_programs: print the log as JSON lines instead of a bar.
        track: a folder for TensorBoard.
    """
    from ..diagnosis.run import regularly
    from ..files.write import write_text
    from ..run.folder import CURVES
    from ..run.history import History
    from ..speed.machine import peak_memory

    folder, training, model, data = run.folder, run.training, run.model, run.data
    assert folder is not None, "only the first process has a folder"
    diagnosed = regularly(model, data, training.settings.diagnose)
    report = Report(run)

    def note(record: dict[str, Any]) -> None:
        folder.log(screen.finite(record))
        if for_programs:
            print(screen.as_json(record), flush=True)

    with (
        processor_threads(threads),
        interruptible() as interrupted,
        Bar(quiet=for_programs) as bar,
        tracked(track) as curves,
    ):
        about = {**data.sizes(), "parameters": parameters(model), "engine": model.first.explain()}
        event = "resume" if training.update else "start"
        if training.done >= 1:
            folder.cut_log(training.update, result=False)
        note({"event": event, "update": training.update, "run": str(folder.path), **about})
        for progress in run.fit(interrupted):
            if record := report.record(progress):
                note(record)
                curves(record)
            bar.show(progress.done, report.figures(progress))
            if diagnosis := diagnosed(progress.update):
                note(diagnosis)
        stopped = training.done < 1
        code, result = (interrupted.code, {}) if stopped else (0, data.result(model))
        for name, picture in ({} if stopped else data.pictures(model)).items():
            write_text(folder.path / name, picture)
    seconds = round(training.seconds, 3)
    last: dict[str, Any] = {"update": training.update, "seconds": seconds, "stopped": stopped, **result}
    worse = worse_than(result) + (() if training.improved else ("untrained",))
    if result:
        losses = {"validation": training.lowest, "untrained": training.untrained}
        last |= {name: loss * data.kind.scale for name, loss in losses.items()} | {"worse_than": worse}
    if baselines := [name for name in worse if name != "untrained"]:
        last["warning"] = data.kind.advice(baselines, training.settings.rate)
        folder.warn(last["warning"])
    last |= {"per_second": round(training.steps / max(training.seconds, 1e-9), 1), "memory": peak_memory()}
    note({"event": "stopped" if stopped else "result", **last})
    folder.sync_log()
    if drawing := History.read(folder.path).draw(f"Training of {folder.path.name}", data.kind.unit):
        drawing.save(folder.path / CURVES)
    return Ended(training.update, training.seconds, code, result, worse)


class Report:
    """What is logged and shown of a training."""

    def __init__(self, run: Run) -> None:
        self.kind, self.validation = run.data.kind, math.nan
        self.percent = int(run.training.done * 100)
        self.begun = run.training.steps, run.training.seconds

    def record(self, progress: Progress) -> dict[str, Any] | None:
        """A record for the log with every percent of the training and every validation; else None."""
        from ..speed.machine import peak_memory

        if progress.validation is not None:
            self.validation = progress.validation * self.kind.scale
        percent = int(progress.done * 100)
        if percent == self.percent and progress.validation is None:
            return None
        self.percent = percent
        return {
            "event": "progress",
            "update": progress.update,
            "done": round(progress.done, 4),
            "seconds": round(progress.seconds, 3),
            self.kind.steps: progress.steps,
            "train": progress.mean * self.kind.scale,
            "validation": self.validation if progress.validation is not None else None,
            "per_second": round(self.speed(progress), 1),
            "memory": peak_memory(),
            "norm": progress.norm,
            "rate": progress.rate,
        }

    def speed(self, progress: Progress) -> float:
        """Steps per second since the training began or was resumed."""
        return (progress.steps - self.begun[0]) / max(progress.seconds - self.begun[1], 1e-9)

    def figures(self, progress: Progress) -> str:
        """The training in one line of less than 80 columns."""
        mean = f"{self.kind.unit} {progress.mean * self.kind.scale:.2f}"
        line = f"update {progress.update:,}   {self.speed(progress):,.0f} {self.kind.steps}/s   {mean}"
        return line if math.isnan(self.validation) else f"{line}, validation {self.validation:.2f}"


def worse_than(result: dict[str, float]) -> tuple[str, ...]:
    """The baselines of a result that are better than the model. The model's figure comes first; the names of baselines
    begin with 'by_'. Those by another metric, as 'smape_by_the_last_value', must be better by 1 %.

    >>> worse_than({"bits_per_character": 5.1, "by_frequency_alone": 4.8})
    ('by_frequency_alone',)
    >>> worse_than({"mase": 0.8, "by_the_drift": 0.9, "smape": 11.3, "smape_by_the_drift": 11.1})
    ('smape_by_the_drift',)
    """
    first = next(iter(result), "")
    found = []
    for name, other in result.items():
        metric = first if name.startswith("by_") else name.partition("_by_")[0]
        if name in (first, metric) or metric not in result:
            continue
        sign, margin = -1 if metric == "accuracy" else 1, 1.0 if metric == first else 1.01
        if sign * result[metric] > sign * other * margin:
            found.append(name)
    return tuple(found)


def parameters(model: Model) -> int:
    """The number of parameters of a model."""
    return sum(p.numel() for p in model.parameters())


def follow(run: Run, threads: int) -> int:
    """Take part in a training that another process reports and records. Returns the exit code."""
    with processor_threads(threads), interruptible() as interrupted:
        for _ in run.fit(interrupted):
            pass
    return interrupted.code if run.training.done < 1 else 0


def diverged(training: Training) -> bool:
    """Whether all validation losses were clearly higher than that of the untrained model."""
    return not training.improved and not training.lowest < CLEARLY * training.untrained


def without_gain(training: Training) -> str:
    """What to do about a training that never improved the model; '' if it did."""
    if training.improved:
        return ""
    rate, untrained = training.settings.rate, "that of the untrained model"
    if diverged(training):
        times = f"{training.lowest / training.untrained:,.3g} times {untrained}"
        return (
            f"The training diverged: its lowest validation loss is {times}. Try --rate {rate / 10:g} (it was {rate:g})"
        )
    return (
        f"No validation loss is lower than {untrained}, so nothing was learned that holds for other data. Give more "
        f"data, train longer, or try another --rate (it was {rate:g})"
    )
