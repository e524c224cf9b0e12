"""Curves of a training for TensorBoard."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..errors import UsageError

CURVES = ("train", "validation", "norm", "rate")


@contextmanager
def tracked(folder: Path | None) -> Iterator[Callable[[dict[str, Any]], None]]:
    """A function that writes the numbers of a record of the log to a folder for ``tensorboard --logdir``. Without a
    folder it does nothing.

    Raises:
        UsageError: TensorBoard is not installed.
    """
    if folder is None:
        yield lambda record: None
        return
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise UsageError("--track needs TensorBoard: pip install 'unrolled[track]'") from None
    with SummaryWriter(str(folder)) as writer:

        def note(record: dict[str, Any]) -> None:
            for name in CURVES:
                if record.get(name) is not None:
                    writer.add_scalar(name, record[name], record["update"])

        yield note
