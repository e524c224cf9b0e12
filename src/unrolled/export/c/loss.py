"""What rounded weights cost, measured by the evaluation of the run itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from ...errors import UnrolledError
from ...run.trained import Trained
from ..network import Network, Step
from .parts import rounded_network
from .text import File


def lost(file: File, network: Network, trained: Trained | None) -> str:
    """The metric on held-out data with the weights as they are and as they are stored, in words.

    Args:
        file: the file.
        network: of the run, before its columns were scaled.
        trained: the run.
    """
    kind = file.options.weights
    if trained is None:
        return f"{kind}: the loss of accuracy was not measured, because a network alone has no data"
    if not trained.path.exists():
        return f"{kind}: the loss of accuracy was not measured: '{trained.path}', the data of the run, is not there"
    try:
        exact = trained.evaluate(trained.path)
        with _rounded(network, file):
            narrow = trained.evaluate(trained.path)
    except UnrolledError as problem:
        return f"{kind}: the loss of accuracy was not measured: {problem}"
    name = next(iter(exact))
    which = "held-out" if exact.get("held_out") else "all"
    return f"{kind}: {exact[name]:.4f} becomes {narrow[name]:.4f} {name.replace('_', ' ')} on {which} data"


@contextmanager
def _rounded(network: Network, file: File) -> Iterator[None]:
    """The weights of the model as they are stored, until the end of the block. The network shares their memory."""
    stored = rounded_network(network, file.options)
    before = []
    with torch.no_grad():
        for step, other in zip(_steps(network), _steps(stored), strict=True):
            for n, weight in step.weights.items():
                before.append((weight, weight.clone()))
                weight.copy_(other.weights[n])
    try:
        yield
    finally:
        with torch.no_grad():
            for weight, value in before:
                weight.copy_(value)


def _steps(network: Network) -> Iterator[Step]:
    for layer in network.layers:
        yield from layer
    if network.head:
        yield network.head
