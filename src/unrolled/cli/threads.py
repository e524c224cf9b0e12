"""How many threads of the processor torch uses."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def processor_threads(number: int = 1) -> Iterator[None]:
    """Use so many while the block runs.

    One step of a small network is too little work to divide: more threads gain nothing, and on a busy machine they
    wait for each other most of the time.
    """
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)
