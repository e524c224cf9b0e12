"""The equations as single torch operations, for tracing and transforms, and for tensors that only represent others
(see ``border.py``). Nothing is written in place, and torch computes the gradient."""

from __future__ import annotations

from typing import NoReturn

from torch import Tensor

from .call import Call, Kept
from .reference import Reference


class Plain:
    """The forward pass of the reference engine, differentiated by torch."""

    name = "plain"

    def forward(self, call: Call, keep: bool) -> tuple[dict[str, Tensor], Kept]:
        """See ``Engine.forward``. Nothing is stored."""
        return Reference().forward(call, keep=False)

    def backward(self, call: Call, kept: Kept, grads: dict[str, Tensor], wanted: set[str]) -> NoReturn:
        """Never called, since torch differentiates the operations of ``forward``."""
        raise NotImplementedError("torch differentiates plain operations itself")


PLAIN = Plain()
