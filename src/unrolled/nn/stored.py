"""A trained network in a file of its own (safetensors), with its circuit and sizes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor

from ..circuits.circuit import Circuit
from ..errors import DataError, InputError, UnrolledError
from ..files.read import read_bytes
from ..files.tensors import pack, unpack
from ..files.write import write_bytes
from ..graph.bind import bind
from ..graph.node import TOKEN
from ..graph.recurrence import Recurrence
from ..graph.stored import dump, load
from ..sources import LogMel
from .narrow_weights import refuse_narrow
from .recurrent import Recurrent

FORMAT, SUFFIX = 1, ".safetensors"
LARGEST = 1_000_000  # entries that a value may have, however few parameters there are


def save_network(net: Recurrent, path: Path | str, features: LogMel | None = None) -> None:
    """Write a network to a file with everything needed to run it on streams: parameters, circuit and sizes.

    >>> save_network(
    ...     net, "voice.safetensors", features=source
    ... )  # reads recordings: unrolled stream voice.safetensors a.flac
    >>> save_network(net, "rows.safetensors")  # reads rows of numbers

    Args:
        net: its circuit reads one vector per step. Inputs that only a loss needs may follow.
        path: ends in .safetensors.
        features: for a network trained on recordings, the features that it reads. Their parameters and sample rate are
            stored.

    Raises:
        InputError: the network reads tokens or several inputs, or the features have another size.
        DataError: the file cannot be written.
    """
    path = Path(path)
    if path.suffix != SUFFIX:
        raise InputError(f"the name of a network's file must end in {SUFFIX}, got '{path}'")
    remedy = "Store it with float32 weights, and round it once it is loaded: unrolled.narrow(net, 'int8')"
    refuse_narrow(net, "stored", remedy)
    size = _check_input(net)
    if features and features.mels != size:
        raise InputError(f"the network reads {size} numbers per step, but the features have {features.mels}")
    about: dict[str, Any] = {"format": FORMAT, "circuit": dump(net.circuit.recurrence), "sizes": net.sizes}
    about["audio"] = {"rate": features.audio.rate, "mel": features.parameters} if features else None
    write_bytes(path, pack(net.state_dict(), "network", about))


def load_network(path: Path | str) -> tuple[Recurrent, dict[str, Any] | None]:
    """Read a network, and for recordings their sample rate and the parameters of ``LogMel``. Executes no stored code.

    Raises:
        DataError: there is no such file, or it is damaged.
    """
    content = read_bytes(Path(path), "a network written by save_network")
    try:
        tensors, about = unpack(content, "network")
        if about["format"] != FORMAT:
            raise DataError(f"its format is {about['format']!r}; this version reads {FORMAT}")
        dtype = next(iter(tensors.values())).dtype if tensors else None
        circuit = Circuit.stored(load(about["circuit"]))
        sizes = _checked_sizes(circuit.recurrence, about["sizes"], tensors)
        net = Recurrent(circuit, device="meta", dtype=dtype, **sizes)
        _check_shapes(net, tensors)
        net = net.to_empty(device="cpu")
        net.load_state_dict(tensors)
        _check_input(net)
        audio: dict[str, Any] | None = about["audio"]
    except (
        SafetensorError,
        UnrolledError,
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
        RuntimeError,  # also too deep a recursion
    ) as problem:
        raise DataError(f"'{path}' is not a network, or is damaged ({_line(problem)}). Save it again") from None
    return net, audio


def _check_input(net: Recurrent) -> int:
    """The size of the vector that the network reads at each step."""
    name = next(iter(net.circuit.inputs), None)
    if name is None or net.circuit.recurrence.inputs[name].type.kind == TOKEN:
        raise InputError(f"'{net.circuit.name}' does not read vectors; only networks that do can run on streams")
    like = next(iter(net.initial_state(1).values()))
    try:
        with torch.no_grad():
            net(like.new_zeros(1, 1, net.sizes[name]))
    except UnrolledError as problem:
        raise InputError(f"'{net.circuit.name}' cannot run with its first input '{name}' alone: {problem}") from None
    return net.sizes[name]


def _checked_sizes(recurrence: Recurrence, sizes: Any, tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """Sizes by name. Refuses those that make a value far larger than the parameters, which would fill the memory."""
    largest = max([LARGEST, *(value.numel() for value in tensors.values())])
    known = bind(recurrence, sizes)
    for node in recurrence.nodes:
        entries = math.prod(dim.value(known) for dim in node.type.dims)
        if entries > largest:
            raise DataError(f"it has a value of {entries:,} entries; the limit for these parameters is {largest:,}")
    return dict(sizes)


def _check_shapes(net: Recurrent, tensors: Mapping[str, Tensor]) -> None:
    """Refuse parameters that do not fit a network, before memory is allocated for them."""
    needed = {name: tuple(value.shape) for name, value in net.state_dict().items()}
    for name in sorted({*needed, *tensors}):
        found = tuple(tensors[name].shape) if name in tensors else "missing"
        if found != needed.get(name):
            raise DataError(f"its parameter {name!a:.40} is {found}, expected {needed.get(name, 'no such parameter')}")


def _line(problem: Exception) -> str:
    return " ".join(str(problem).split())[:200] or type(problem).__name__
