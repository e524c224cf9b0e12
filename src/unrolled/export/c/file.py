"""From a network to a C file: printed, compiled, run and compared with the reference, then written."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pathlib import Path

import torch
from torch import Tensor

from ...errors import UsageError
from ...files.write import write_text
from ...run.trained import Trained
from ..about import About
from ..network import Network
from ..options import Options
from ..report import Report
from ..scaled import scaled
from .parts import parts_of, rounded_network
from .reference import STEPS, proof, settled
from .text import File, header_of, text_of


def made(network: Network, about: About, options: Options) -> File:
    """The file of a network.

    Raises:
        UsageError: a limit is missing, or something cannot be exported.
    """
    if network.head is not None and options.longest is None:
        raise UsageError(
            f"'{network.name}' reads in both directions, so the whole sequence has to be in memory. Give the largest "
            "number of steps: --longest N"
        )
    if network.head is not None and options.start != "zero":
        raise UsageError(f"--start {options.start} is for networks that read in one direction")
    whole = scaled(network, about)
    stored = rounded_network(whole, options)
    start = _start(stored, options)
    scale = (torch.tensor(about.mean), torch.tensor(about.deviation)) if about.mean else None
    steps = min(STEPS, options.longest or STEPS)
    reference = proof(stored, start, options.rows, scale, steps)
    return File(whole, about, options, parts_of(stored, options), reference, start, parts_of(whole, options))


def _start(network: Network, options: Options) -> Mapping[str, Tensor] | None:
    if options.start == "zero":
        return None
    if options.start == "settled":
        return settled(network.layers[0][0])
    raise UsageError("--start trained: the network has no starting state among its parameters. Use zero or settled")


def write(
    network: Network,
    about: About,
    path: Path,
    options: Options,
    trained: Trained | None,
    tell: Callable[[str, str], None],
) -> Report:
    """Write a network as a C file.

    Args:
        network: what is exported.
        about: what its numbers mean.
        path: of the file.
        options: how it is written.
        trained: the run, whose own evaluation measures what rounded weights cost.
        tell: called with a word and a line for what is known before the file is written.
    """
    file = made(network, about, options)
    text = text_of(file)
    files = [path]
    write_text(path, text)
    if options.header:
        files.append(path.with_suffix(".h"))
        write_text(files[-1], header_of(file))
    return Report(tuple(files))


