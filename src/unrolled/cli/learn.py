"""One training, watched, logged and ended cleanly: what ``train`` and ``demo`` have in common."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..engines.threads import processor_threads
from . import screen
from .interrupt import interruptible
from .progress import watch
from .track import tracked

if TYPE_CHECKING:
    from ..tasks.task import Task
    from ..train.recorded import Recorded


@dataclass(frozen=True)
class Ended:
    """How a training ended: after how many updates and seconds, with what exit code (0, or that of the signal that
    stopped it), how good the model is on held-out data (nothing when it was stopped), and which yardsticks are better
    than it: those of the result, and 'untrained' for the model before the training."""

    updates: int
    seconds: float
    code: int
    result: dict[str, float]
    worse_than: tuple[str, ...] = ()


def learn(
    task: Task, recorded: Recorded, threads: int = 1, for_programs: bool = False, track: Path | None = None
) -> Ended:
    """Train a task into its run folder. The first Ctrl-C or SIGTERM ends it after the update, with a checkpoint."""
    from ..diagnosis.run import regularly

    folder, training = recorded.folder, recorded.training
    diagnosed = regularly(task, recorded.settings.diagnose)

    from ..speed.machine import peak_memory

    def note(record: dict[str, Any]) -> None:
        folder.log(screen.finite(record))
        if for_programs:
            print(screen.as_json(record), flush=True)

    start = "resume" if training.update else "start"
    with (
        processor_threads(threads),
        interruptible() as interrupted,
        watch(for_programs, task, training) as seen,
        tracked(track) as curves,
    ):
        engine = engine_of(task)
        note({"event": start, "update": training.update, "run": str(folder.path), **task.sizes(), **engine})
        if not for_programs:
            times = engine["times_faster_than_reference"]
            screen.out(f"  engine '{task.model.first.engine}' is {times:g} times as fast here as the reference\n")
        for progress in recorded.run(interrupted):
            if record := seen.see(progress):
                note(record)
                curves(record)
            if diagnosis := diagnosed(progress.update):
                note(diagnosis)
        stopped = training.done < 1
        code, result = (interrupted.code, {}) if stopped else (0, task.result())
    last: dict[str, Any] = {
        "update": training.update,
        "seconds": round(training.seconds, 3),
        "stopped": stopped,
        **result,
    }
    worse = worse_than(result) + (() if training.improved else ("untrained",))
    if result:
        losses = {"validation": training.lowest, "untrained": training.untrained}
        last |= {name: loss * task.scale for name, loss in losses.items()} | {"worse_than": worse}
    last |= {"per_second": round(training.steps / max(training.seconds, 1e-9), 1), "memory": peak_memory()}
    note({"event": "stopped" if stopped else "result", **last})
    folder.sync_log()
    return Ended(training.update, training.seconds, code, result, worse)


def worse_than(result: dict[str, float]) -> tuple[str, ...]:
    """The yardsticks of a result, whose names begin with 'by', that are better than the model, whose figure is first.

    >>> worse_than({"bits_per_character": 5.1, "by_frequency_alone": 4.8})
    ('by_frequency_alone',)
    """
    name, value = next(iter(result.items()), ("", 0.0))
    sign = -1 if name == "accuracy" else 1
    return tuple(n for n, other in result.items() if n.startswith("by_") and sign * value > sign * other)


def engine_of(task: Task) -> dict[str, Any]:
    """Which engine runs the first layer, why, and how many times faster than the reference it is."""
    from ..speed.engine import times_faster

    model = task.model
    tokens = task.name == "language" and model.embedding is None
    times = times_faster(model.first, model.output if len(model.layers) == 1 else model.first.circuit.states[0], tokens)
    return {"engine": model.first.explain(), "times_faster_than_reference": round(times, 1)}


def follow(recorded: Recorded, threads: int) -> int:
    """Take part in a training that another process tells of and records; the exit code."""
    with processor_threads(threads), interruptible() as interrupted:
        for _ in recorded.run(interrupted):
            pass
    return interrupted.code if recorded.training.done < 1 else 0
