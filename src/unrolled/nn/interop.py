"""Weights from torch.nn.RNN, LSTM and GRU, and back. No other file knows torch's layout of them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ..cells import gru, irnn, lstm, rnn
from ..errors import InputError
from .recurrent import Recurrent

_CELLS = {"RNN_TANH": rnn, "RNN_RELU": irnn, "LSTM": lstm, "GRU": gru}


def from_torch(module: nn.RNNBase) -> Recurrent:
    """A Recurrent with the weights of a torch module.

    >>> net = from_torch(torch.nn.GRU(7, 11, batch_first=True))
    >>> net(torch.randn(2, 5, 7)).h.shape
    torch.Size([2, 5, 11])

    Args:
        module: a torch.nn.RNN, LSTM or GRU with one layer, one direction and no projection.

    Returns:
        a network with the same sizes, dtype and device. Its layout is (batch, time, feature) whatever ``batch_first``
        is.

    Raises:
        InputError: the module is something else.
    """
    mode = getattr(module, "mode", None)
    if not isinstance(module, nn.RNNBase) or mode not in _CELLS:
        raise InputError(f"from_torch takes torch.nn.RNN, LSTM or GRU, got {type(module).__name__}")
    for what, wrong in (
        (f"num_layers={module.num_layers}", module.num_layers != 1),
        ("bidirectional=True", module.bidirectional),
        (f"proj_size={module.proj_size}", module.proj_size != 0),
    ):
        if wrong:
            raise InputError(f"from_torch needs one layer, one direction and no projection, got {what}")
    weights: dict[str, Tensor] = {n.removesuffix("_l0"): p for n, p in module.named_parameters()}
    weight = weights["weight_ih"]
    net = Recurrent(_CELLS[mode], x=module.input_size, h=module.hidden_size, device=weight.device, dtype=weight.dtype)
    zero = weight.new_zeros(weight.shape[0])
    b_ih, b_hh = weights.get("bias_ih", zero), weights.get("bias_hh", zero)
    with torch.no_grad():
        ours = dict(net.named_parameters())
        ours["U"].copy_(weight)
        ours["W"].copy_(weights["weight_hh"])
        ours["b"].copy_(b_ih + b_hh)
        if mode == "GRU":  # the reset gate multiplies torch's second bias of the new gate
            new = slice(2 * module.hidden_size, None)
            ours["b"][new].copy_(b_ih[new])
            ours["d"].copy_(b_hh[new])
    return net


def to_torch(net: Recurrent) -> nn.RNNBase:
    """A torch module with the weights of a network.

    >>> module = to_torch(unrolled.GRU(7, 11))
    >>> module(torch.randn(2, 5, 7))[0].shape
    torch.Size([2, 5, 11])

    Args:
        net: a network of the cell rnn, irnn, lstm or gru.

    Returns:
        a torch.nn.RNN, LSTM or GRU with ``batch_first=True``.

    Raises:
        InputError: the network has another cell.
    """
    modes = {cell: mode for mode, cell in _CELLS.items()}
    if not isinstance(net, Recurrent) or net.circuit not in modes:
        name = net.circuit.name if isinstance(net, Recurrent) else type(net).__name__
        raise InputError(f"to_torch converts the cells rnn, irnn, lstm and gru, got {name}")
    mode = modes[net.circuit]
    kinds: dict[str, Any] = {"LSTM": nn.LSTM, "GRU": nn.GRU, "RNN_TANH": nn.RNN, "RNN_RELU": nn.RNN}
    options = {"nonlinearity": mode[4:].lower()} if mode.startswith("RNN") else {}
    sizes = net.sizes
    ours = dict(net.named_parameters())
    weight = ours["U"]
    module: nn.RNNBase = kinds[mode](
        sizes["x"], sizes["h"], batch_first=True, device=weight.device, dtype=weight.dtype, **options
    )
    with torch.no_grad():
        theirs = dict(module.named_parameters())
        theirs["weight_ih_l0"].copy_(weight)
        theirs["weight_hh_l0"].copy_(ours["W"])
        theirs["bias_ih_l0"].copy_(ours["b"])
        theirs["bias_hh_l0"].zero_()
        if mode == "GRU":
            theirs["bias_hh_l0"][2 * sizes["h"] :].copy_(ours["d"])
    return module
