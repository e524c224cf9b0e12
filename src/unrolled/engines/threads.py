"""The number of CPU threads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def processor_threads(number: int = 1) -> Iterator[None]:
    """Let torch use ``number`` CPU threads while the block runs.

    A step of a small network is too little work to divide: more threads gain nothing, and on a busy machine they mostly
    wait for each other.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)
