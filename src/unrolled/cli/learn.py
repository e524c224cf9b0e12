"""One training, watched, logged and ended cleanly: what ``train`` and ``demo`` have in common."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from .interrupt import interruptible
from .progress import watch
from .threads import processor_threads

if TYPE_CHECKING:
    from ..tasks.language_run import Job, Result
    from ..train.run_folder import RunFolder


def learn(job: Job, run: RunFolder, threads: int = 1, for_programs: bool = False) -> Result:
    """Train a job into its run folder. Ctrl-C ends it as if its time were up."""

    def note(record: dict[str, Any]) -> None:
        run.log(record)
        if for_programs:
            print(json.dumps(record), flush=True)

    with processor_threads(threads), interruptible() as interrupted, watch(for_programs) as seen:
        note({"event": "start", "run": str(run.path), **job.sizes()})
        for progress in job.train(run, interrupted):
            if record := seen.see(progress):
                note(record)
    result = job.result
    note(
        {
            "event": "result",
            "updates": result.updates,
            "seconds": round(result.seconds, 3),
            "stopped": result.stopped,
            "bits_per_character": result.bits,
            "by_frequency_alone": result.frequency_bits,
        }
    )
    return result
