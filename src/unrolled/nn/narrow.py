"""Copies of trained models with narrow weights."""

from __future__ import annotations

import copy
from typing import TypeVar

import torch
from torch import nn

from ..errors import InputError
from ..sequence.rounding import KINDS, check_kind
from .model import SequenceModel
from .narrow_linear import NarrowLinear
from .narrow_weights import make_narrow, narrow_weights
from .recurrent import Recurrent
from .torch_layers import GRU, LSTM, RNN, GRUCell, LSTMCell, RNNCell

M = TypeVar("M", bound=nn.Module)


def narrow(model: M, kind: str) -> M:
    """A copy of a model for inference, whose recurrent weights take 16 or 8 bits per number instead of 32.

    >>> net = unrolled.Recurrent(unrolled.cells.lstm, x=64, h=512)
    >>> small = unrolled.narrow(net, "int8")
    >>> small.step(torch.randn(1, 64)).h.shape, small.W.dtype
    (torch.Size([1, 512]), torch.int8)

    At batch 1 a step is as fast as its weights are read, so that it becomes faster, too. Narrow are the matrices that
    vectors are multiplied by, in every ``Recurrent`` and in the read-out of a ``SequenceModel``; inputs, states,
    biases and embeddings stay float32, and products are added up in float32. The copy runs on engine ``c``, and
    computes no gradients.

    Args:
        model: a Recurrent, or any module that contains some. It is not changed.
        kind: 'bf16', rounded to 8 bits of precision; or 'int8', integers with a scale for each row of a matrix.

    Raises:
        InputError: there is no such kind, the model contains no Recurrent, or contains layers that cannot be narrow.
        EngineError: engine ``c`` is not available, or another one was chosen.
    """
    check_kind(kind, KINDS)
    for name, module in model.named_modules():
        if isinstance(module, RNN | LSTM | GRU | RNNCell | LSTMCell | GRUCell):
            raise InputError(
                f"layer '{name}' is a {type(module).__name__} with torch's parameters, which cannot be narrow. Convert "
                "it first: unrolled.nn.interop.from_torch(layer)"
            )
    result = copy.deepcopy(model)
    networks = [m for m in result.modules() if isinstance(m, Recurrent)]
    if not networks:
        raise InputError(f"{type(model).__name__} contains no Recurrent, so that no weights become narrow")
    if any(net._narrow for net in networks):
        raise InputError("the model has narrow weights already")
    for net in networks:
        make_narrow(net, kind)
        net._choice()  # fail now if engine 'c' is not available
    for part in [m for m in result.modules() if isinstance(m, SequenceModel)]:
        _narrow_read_out(part, kind)
    return result.requires_grad_(False).eval()


def _narrow_read_out(model: SequenceModel, kind: str) -> None:
    """The read-out, and the embedding if it has the same weights: both then have the rounded values."""
    embedding, read_out = model.embedding, model.read_out
    tied = embedding is not None and isinstance(read_out, nn.Linear) and read_out.weight is embedding.weight
    for name in ("bridge", "read_out"):
        if isinstance(layer := getattr(model, name), nn.Linear):
            setattr(model, name, NarrowLinear(layer, kind))
    if tied and embedding is not None and isinstance(made := model.read_out, NarrowLinear):
        with torch.no_grad():
            embedding.weight.copy_(narrow_weights(made.net)["weight"].wide())
