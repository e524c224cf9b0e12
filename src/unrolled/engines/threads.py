"""The number of threads that torch's own operations use."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def processor_threads(number: int = 1) -> Iterator[None]:
    """Set the number of torch's threads while the block runs.

    One step of a small network is too little work to divide: more threads gain nothing, and on a busy machine they
    spend most of their time waiting for each other.

    Args:
        number: threads; the previous number is restored afterwards.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)
