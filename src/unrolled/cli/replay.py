"""unrolled replay"""

from __future__ import annotations

from pathlib import Path


def replay(fault: Path, /) -> None:
    """Read a faulty batch again, and find where its numbers became NaN or infinite.

    Parameters
    ----------
    fault
        The folder that the training named when it stopped, such as RUN/faults/00000123.
    """
    from ..engines.threads import processor_threads
    from ..errors import UsageError
    from ..run import run
    from .screen import out

    if fault.parent.name != "faults":
        raise UsageError(
            f"'{fault}' is not a faulty batch. A training names its folder when it stops: RUN/faults/NUMBER"
        )
    with processor_threads():
        loss = run.replay(fault)
    out(f"all numbers are finite here: the loss is {loss:.6g} nats per step")
