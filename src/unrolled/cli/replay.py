"""unrolled replay"""

from __future__ import annotations

from pathlib import Path


def replay(fault: Path, /) -> None:
    """Read a batch again whose numbers went wrong, and say where they did.

    Parameters
    ----------
    fault
        The folder that a training named when it stopped, such as RUN/faults/00000123.
    """
    from ..engines.threads import processor_threads
    from ..errors import UsageError
    from ..tasks.registry import replay_fault
    from .screen import out

    if fault.parent.name != "faults":
        raise UsageError(
            f"'{fault}' is no batch that went wrong. A training names one when it stops: RUN/faults/NUMBER"
        )
    with processor_threads():
        loss = replay_fault(fault)
    out(f"nothing goes wrong here: the loss is {loss:.6g} nats per step")
