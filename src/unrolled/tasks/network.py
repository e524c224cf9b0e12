"""A trained network in a file of its own, to be run over rows of numbers or recordings."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from ..circuits.circuit import Circuit
from ..errors import DataError, InputError, UnrolledError
from ..graph.bind import bind
from ..graph.node import TOKEN
from ..graph.recurrence import Recurrence
from ..graph.stored import dump, load
from ..nn.recurrent import Recurrent
from ..sequence.state import State
from ..train.checkpoint import from_json
from ..train.files import read_bytes, write_bytes
from ..train.sources import LogMel
from .stream_input import ByteStream, Frames, Pieces, Rows
from .stream_output import Table

FORMAT, SUFFIX = 1, ".safetensors"
LARGEST = 1_000_000  # entries of a value for which no parameter need be as large


def save_network(net: Recurrent, path: Path | str, features: LogMel | None = None) -> None:
    """Write a network with all it takes to run it over streams: parameters, circuit, sizes. No code is needed again.

    >>> save_network(
    ...     net, "voice.safetensors", features=source
    ... )  # reads recordings: unrolled stream voice.safetensors a.flac
    >>> save_network(net, "rows.safetensors")  # reads rows of numbers

    Args:
        net: its circuit reads one vector per step; inputs that only a loss needs may follow.
        path: ends in .safetensors.
        features: what it was trained on, if that were recordings; their sample rate and features are kept.

    Raises:
        InputError: a network that reads tokens or several inputs, or features of another size.
        DataError: the file cannot be written.
    """
    path = Path(path)
    if path.suffix != SUFFIX:
        raise InputError(f"a network is written to a file that ends in {SUFFIX}, got '{path}'")
    size = _check_input(net)
    if features and features.mels != size:
        raise InputError(f"the network reads {size} numbers a step, but the features have {features.mels}")
    about: dict[str, Any] = {"format": FORMAT, "circuit": dump(net.circuit.recurrence), "sizes": net.sizes}
    about["audio"] = {"rate": features.audio.rate, "mel": features.parameters} if features else None
    tensors = {name: value.detach().cpu().contiguous() for name, value in net.state_dict().items()}
    write_bytes(path, safetensors.torch.save(tensors, {"network": json.dumps(about, allow_nan=False)}))


def load_network(path: Path | str) -> tuple[Recurrent, dict[str, Any] | None]:
    """The network again, and what is known of recordings: their rate and the parameters of LogMel. Runs nobody's code.

    Raises:
        DataError: no such file, or a damaged one.
    """
    content = read_bytes(Path(path), "a network, as save_network writes it")
    try:
        about = from_json(metadata(content)["network"])
        if about["format"] != FORMAT:
            raise DataError(f"its format is {about['format']!r}; this version reads {FORMAT}")
        tensors = safetensors.torch.load(content)
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
        raise DataError(f"'{path}' is no network, or is damaged ({_line(problem)}). Save it again") from None
    return net, audio


def metadata(content: bytes) -> dict[str, str]:
    """What a file of tensors (safetensors) says beside them.

    Raises:
        ValueError: for a file that is none.
    """
    size = int.from_bytes(content[:8], "little")
    found = from_json(content[8 : 8 + size]).get("__metadata__")
    if not isinstance(found, dict):
        raise ValueError("it says nothing beside its tensors")
    return found


class NetworkStream:
    """What a network gives for each step: the outputs of its circuit, or its first state if it has none."""

    def __init__(self, net: Recurrent, audio: Mapping[str, Any] | None) -> None:
        self.model, self.audio = net, audio
        self.unit = "frames" if audio else "rows"

    def pieces(self, path: Path | None, stop: Callable[[], bool]) -> Pieces:
        if self.audio:
            return Frames(path, self.audio["rate"], self.audio["mel"])
        net = self.model
        like = next(iter(net.initial_state(1).values()))
        return Rows(ByteStream(path, "rows of numbers", stop), net.sizes[net.circuit.inputs[0]], like.dtype)

    def advance(self, piece: Tensor, begin: int, carried: dict[str, Tensor]) -> tuple[Table, dict[str, Tensor]]:
        net = self.model
        like = next(iter(net.initial_state(1).values()))
        out = net(piece.to(like)[None], state=State(**carried) if carried else None)
        shown = [name for name in net.circuit.outputs if name in out] or [net.circuit.states[0]]
        columns = {name: out[name][0].cpu() for name in shown}
        return {"step": torch.arange(begin, begin + len(piece)), **columns}, dict(out.state)


def open_network(path: Path) -> NetworkStream:
    """The network of a file, ready for streams."""
    return NetworkStream(*load_network(path))


def _check_input(net: Recurrent) -> int:
    """The size of the one vector that it reads at each step."""
    name = next(iter(net.circuit.inputs), None)
    if name is None or net.circuit.recurrence.inputs[name].type.kind == TOKEN:
        raise InputError(f"'{net.circuit.name}' reads no vectors, but only such networks can be run over streams")
    like = next(iter(net.initial_state(1).values()))
    try:
        with torch.no_grad():
            net(like.new_zeros(1, 1, net.sizes[name]))
    except UnrolledError as problem:
        raise InputError(f"'{net.circuit.name}' cannot be run with its first input '{name}' alone: {problem}") from None
    return net.sizes[name]


def _checked_sizes(recurrence: Recurrence, sizes: Any, tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """Sizes by name. None makes a value that is out of proportion to the parameters: it would fill the memory."""
    largest = max([LARGEST, *(value.numel() for value in tensors.values())])
    known = bind(recurrence, sizes)
    for node in recurrence.nodes:
        entries = math.prod(dim.value(known) for dim in node.type.dims)
        if entries > largest:
            raise DataError(f"it has a value of {entries:,} entries; with these parameters, {largest:,} are the most")
    return dict(sizes)


def _check_shapes(net: Recurrent, tensors: Mapping[str, Tensor]) -> None:
    """Refuse parameters that are not those of a network, before room is made for them."""
    needed = {name: tuple(value.shape) for name, value in net.state_dict().items()}
    for name in sorted({*needed, *tensors}):
        found = tuple(tensors[name].shape) if name in tensors else "missing"
        if found != needed.get(name):
            raise DataError(f"its parameter {name!a:.40} is {found}, expected {needed.get(name, 'none of that name')}")


def _line(problem: Exception) -> str:
    return " ".join(str(problem).split())[:200] or type(problem).__name__
