"""A network on a stream of rows of numbers, or of the frames of a recording."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..nn.narrow import narrow
from ..nn.narrow_weights import FLOAT32
from ..nn.recurrent import Recurrent
from ..nn.stored import load_network
from ..sequence.state import State
from .bytes import ByteStream
from .format import Columns
from .frames import Frames
from .pieces import Pieces
from .rows import Rows


class NetworkStream:
    """A network that writes the outputs of its circuit for each step, or its first state if there are no outputs."""

    def __init__(self, net: Recurrent, audio: Mapping[str, Any] | None) -> None:
        self.model, self.audio = net, audio
        self.unit = "frames" if audio else "rows"

    def pieces(self, path: Path | None, stop: Callable[[], bool]) -> Pieces:
        """See ``Streamed``."""
        if self.audio:
            return Frames(path, self.audio["rate"], self.audio["mel"])
        net = self.model
        like = next(iter(net.initial_state(1).values()))
        return Rows(ByteStream(path, "rows of numbers", stop), net.sizes[net.circuit.inputs[0]], like.dtype)

    def advance(self, piece: Tensor, begin: int, carried: dict[str, Tensor]) -> tuple[Columns, dict[str, Tensor]]:
        """See ``Streamed``. A piece is (steps, size); columns have (steps,) rows, and states the shapes (1, size)."""
        net = self.model
        like = next(iter(net.initial_state(1).values()))
        out = net(piece.to(like)[None], state=State(**carried) if carried else None)
        shown = [name for name in net.circuit.outputs if name in out] or [net.circuit.states[0]]
        columns = {name: out[name][0].cpu() for name in shown}
        return {"step": torch.arange(begin, begin + len(piece)), **columns}, dict(out.state)


def open_network(path: Path, weights: str = FLOAT32) -> NetworkStream:
    """The network of a file, for streams, with weights of this kind."""
    net, audio = load_network(path)
    return NetworkStream(net if weights == FLOAT32 else narrow(net, weights), audio)
