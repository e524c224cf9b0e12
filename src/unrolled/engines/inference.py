"""Narrow weights are for inference: what needs every operation, or a gradient, is refused."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from ..errors import EngineError
from .border import transformed
from .call import Call

REMEDY = "Use the network with float32 weights"


def check_inference(call: Call, leaves: Iterable[Tensor], plain: bool = False) -> None:
    """Refuse a call with narrow weights that is differentiated, transformed or traced.

    Args:
        call: the call.
        leaves: its inputs, states and other parameters.
        plain: whether torch sees every operation.

    Raises:
        EngineError: says what to do instead.
    """
    if not call.narrow:
        return
    if plain or transformed():
        raise EngineError(f"a network with narrow weights cannot be traced, or transformed by torch.func. {REMEDY}")
    if torch.is_grad_enabled() and any(t.requires_grad for t in leaves):
        raise EngineError(
            "a network with narrow weights computes no gradients, but an input, a state or a parameter requires one. "
            f"Call it under torch.no_grad(), or detach them. {REMEDY} to train"
        )
