"""The equations as torch operations that torch sees one by one. Nothing is written in place, and the gradient is
torch's own. For tracing and transforming, and for tensors that stand for others (see ``border.py``)."""

from __future__ import annotations

from typing import NoReturn

from torch import Tensor

from .call import Call, Kept
from .reference import Reference


class Plain:
    """Step by step, op by op, as the reference engine goes forward. Torch differentiates what it sees."""

    name = "plain"

    def forward(self, call: Call, keep: bool) -> tuple[dict[str, Tensor], Kept]:
        return Reference().forward(call, keep=False)

    def backward(self, call: Call, kept: Kept, grads: dict[str, Tensor], wanted: set[str]) -> NoReturn:
        raise NotImplementedError("torch differentiates plain operations itself")


PLAIN = Plain()
