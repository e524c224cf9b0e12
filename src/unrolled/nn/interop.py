"""Networks with the weights of torch.nn.RNN, LSTM and GRU, and back."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ..errors import InputError
from .narrow_weights import refuse_narrow
from .recurrent import Recurrent
from .stack import Stack
from .torch_layout import CELLS, from_cell, to_cell
from .torch_operators import with_biases


def from_torch(module: nn.RNNBase) -> Recurrent | Stack:
    """A network with the weights of a torch module: a Recurrent for one layer in one direction, else a Stack of them.

    >>> net = from_torch(torch.nn.GRU(7, 11, batch_first=True))
    >>> net(torch.randn(2, 5, 7)).h.shape
    torch.Size([2, 5, 11])

    Args:
        module: a torch.nn.RNN, LSTM or GRU.

    Returns:
        a network with the same sizes, dtype and device. Its layout is (batch, time, feature) whatever ``batch_first``
        is.

    Raises:
        InputError: for other modules.
    """
    if not isinstance(module, nn.RNN | nn.LSTM | nn.GRU):
        raise InputError(f"from_torch takes torch.nn.RNN, LSTM or GRU, got {type(module).__name__}")
    kind = module.mode.lower() + ("_projected" if module.proj_size else "")
    layers = [
        [_network(module, kind, f"_l{number}{suffix}") for suffix in ("", "_reverse")[: 1 + module.bidirectional]]
        for number in range(module.num_layers)
    ]
    return Stack(layers, module.dropout) if module.num_layers > 1 or module.bidirectional else layers[0][0]


def _network(module: nn.RNNBase, kind: str, suffix: str) -> Recurrent:
    """One direction of one layer."""
    names = ["weight_ih", "weight_hh", *(["bias_ih", "bias_hh"] if module.bias else [])]
    weights: list[Tensor] = [getattr(module, n + suffix) for n in names + ["weight_hr"] * bool(module.proj_size)]
    first = weights[0]
    sizes: dict[str, Any] = {"x": first.shape[1], "h": module.proj_size or module.hidden_size}
    sizes |= {"c": module.hidden_size} if module.proj_size else {}
    net = Recurrent(CELLS[kind], **sizes, device=first.device, dtype=first.dtype)
    with torch.no_grad():
        for name, value in to_cell(kind, *with_biases(weights, module.bias)).items():
            getattr(net, name).copy_(value)
    return net


def to_torch(net: Recurrent | Stack) -> nn.RNNBase:
    """The torch module (batch_first=True) with the weights of a network, or of a Stack whose layers are alike, of the
    cells rnn, irnn, lstm, lstm_projected or gru.

    Raises:
        InputError: for other networks, with the cell.
    """
    layers: Any = net.layers if isinstance(net, Stack) else [[net]]
    kinds = {cell: kind for kind, cell in CELLS.items()}
    for part in (part for layer in layers for part in layer):
        if not isinstance(part, Recurrent) or part.circuit not in kinds:
            name = part.circuit.name if isinstance(part, Recurrent) else type(part).__name__
            raise InputError(f"to_torch converts the cells rnn, irnn, lstm, lstm_projected and gru, got {name}")
        refuse_narrow(part, "converted to torch.nn", "Convert the network with float32 weights")
    first, kind = layers[0][0], kinds[layers[0][0].circuit]
    options: dict[str, Any] = {"num_layers": len(layers), "bidirectional": len(layers[0]) == 2, "batch_first": True}
    if kind.startswith("rnn"):
        options["nonlinearity"] = kind.removeprefix("rnn_")
    if kind == "lstm_projected":
        options["proj_size"] = first.sizes["h"]
    if isinstance(net, Stack):
        options["dropout"] = net.dropout.p
    made = {"lstm": nn.LSTM, "lstm_projected": nn.LSTM, "gru": nn.GRU}.get(kind, nn.RNN)
    weight = first.U
    hidden = first.sizes["c" if kind == "lstm_projected" else "h"]
    module: nn.RNNBase = made(first.sizes["x"], hidden, device=weight.device, dtype=weight.dtype, **options)
    names = iter(module._flat_weights_names)
    with torch.no_grad():
        for part in (part for layer in layers for part in layer):
            for value in from_cell(kind, **{n: getattr(part, n) for n in part.circuit.parameters}):
                getattr(module, next(names)).copy_(value)
    return module
