"""From a network to a C file: printed, compiled, run and compared with the reference, then written."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
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
from .check import checked
from .loss import lost
from .parts import parts_of, rounded_network
from .reference import STEPS, proof, settled
from .text import File, header_of, text_of


def made(network: Network, about: About, options: Options, header: str = "model.h") -> File:
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
    return File(whole, about, options, parts_of(stored, options), reference, start, parts_of(whole, options), header)


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
    file = made(network, about, options, path.with_suffix(".h").name)
    if options.weights != "float32":
        tell("weights", lost(file, network, trained))
    said, seconds = checked(file)
    texts = {path: text_of(file)}
    if options.header:
        texts[path.with_suffix(".h")] = header_of(file)
    for where, text in texts.items():
        write_text(where, text)
    return Report(tuple(texts), tuple(_lines(file, said, seconds)), _figures(file, seconds))


def _lines(file: File, said: str, seconds: float | None) -> Iterator[tuple[str, str]]:
    figures = _figures(file, seconds)
    yield "proof", said.removeprefix(f"{file.name}: ")
    yield "weights", f"{figures['weight_bytes']:,} bytes ({file.options.weights})"
    yield "state", f"{figures['state_bytes']:,} bytes, and {figures['stack_bytes']:,} bytes of the stack"
    time = f", {seconds * 1e6:.3g} µs" if seconds is not None else ""
    yield "step", f"{figures['multiply_adds']:,} multiply-adds{time}"
    for sentence in file.about.lacks:
        yield "note", sentence


def _figures(file: File, seconds: float | None) -> dict[str, float]:
    parts = file.parts
    figures: dict[str, float] = {
        "weight_bytes": sum(p.weight_bytes() for p in parts),
        "state_bytes": sum(p.state_bytes() for p in parts),
        "stack_bytes": max(p.local_bytes() for p in parts),
        "multiply_adds": sum(p.multiply_adds() for p in parts),
    }
    return figures | ({"seconds": seconds} if seconds is not None else {})
