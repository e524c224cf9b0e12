"""Subclasses of torch.nn's RNN, LSTM, GRU and their cells that compute on the engines of this library.

Constructors, parameters, checks, layouts and messages are torch's own code.
"""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType, SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn
from torch.compiler import disable, is_compiling

from ..engines.border import dynamo_is_active, for_onnx
from ..errors import InputError
from ..sequence.layout import Layout
from ..sequence.ragged import Ragged
from . import dynamo, torch_compiled
from .torch_calls import again, remember
from .torch_operators import Layers, Step
from .torch_series import Rows

OPERATORS = {name: Layers(name) for name in ("rnn_tanh", "rnn_relu", "lstm", "gru")}
STEPS = {f"{name}_cell": Step(name) for name in OPERATORS}
_ours = SimpleNamespace(**OPERATORS, **STEPS)


def _on_our_operators(forward: Callable[..., Any]) -> Callable[..., Any]:
    """torch's ``forward`` with our operators: it looks them up in ``_VF``, which is replaced here."""
    names = {**forward.__globals__, "_VF": _ours}
    del names["__name__"]  # torch.compile would look for them in the module of that name
    return FunctionType(forward.__code__, names, forward.__name__, forward.__defaults__)


class _Layer(nn.RNNBase):
    """The common part of RNN, LSTM and GRU."""

    _on_tensors: Callable[..., Any]

    def forward(self, input: Any, hx: Any = None) -> Any:
        """Run over a batch of sequences.

        Args:
            input: (time, batch, input_size); with ``batch_first`` (batch, time, input_size); one sequence
                (time, input_size); a PackedSequence; or a Ragged.
            hx: the initial state, (layers directions, batch, hidden_size); for an LSTM the pair h and c. Default: zero.

        Returns:
            ``output`` in the layout of the input, and ``h_n``; for an LSTM ``(h_n, c_n)``.

        Raises:
            RuntimeError, ValueError: as torch raises them, if an argument does not fit.
        """
        if is_compiling() and not for_onnx():
            return torch_compiled.forward(_Layer.forward, self, input, hx)
        if dynamo_is_active():  # torch.compile has refused a function that calls this one
            return disable(_Layer.forward)(self, input, hx)
        return _of_ragged(self, input, hx) if isinstance(input, Ragged) else _known_or_checked(self, input, hx)


def _known_or_checked(module: Any, x: Any, hx: Any) -> Any:
    """The result of a module for a tensor or a PackedSequence. torch checks the call unless one like it is cached."""
    if (found := again(module, x, hx)) is None:
        found = module._on_tensors(x, hx)
        remember(module, x, hx)
    return found


def _of_ragged(layer: _Layer, r: Ragged, hx: Any) -> tuple[Ragged, Any]:
    layer._update_flat_weights()
    count, weights = torch.tensor([len(r)]), [w for w in layer._flat_weights if w is not None]
    if hx is None:
        sizes = [layer.get_expected_hidden_size(r.values, count)]
        sizes += [layer.get_expected_cell_size(r.values, count)] if isinstance(layer, nn.LSTM) else []
        zeros = tuple(r.values.new_zeros(size) for size in sizes)
        hx = zeros if len(zeros) > 1 else zeros[0]
    layer.check_forward_args(r.values, hx, count)
    options = layer.bias, layer.num_layers, layer.dropout, layer.training, layer.bidirectional
    rows = Rows(Layout(tuple(r.lengths.tolist())))
    found = OPERATORS[layer.mode.lower()].run(rows, r.values, hx, weights, *options)
    if found is None:
        if r.values.is_meta:
            raise InputError("a Ragged on meta has no layout for torch's own operator. Use a padded tensor")
        output, states = layer._on_tensors(r.to_packed(), hx)
        return Ragged.from_packed(output), states
    values, *ends = found
    return Ragged(values=values, lengths=r.lengths), tuple(ends) if len(ends) > 1 else ends[0]


class RNN(_Layer, nn.RNN):
    """torch.nn.RNN on the engines of this library: the same arguments, calls, results and parameters.

    >>> output, h_n = unrolled.nn.RNN(7, 11, num_layers=2)(torch.randn(5, 3, 7))
    >>> output.shape, h_n.shape
    (torch.Size([5, 3, 11]), torch.Size([2, 3, 11]))
    """

    _on_tensors = _on_our_operators(nn.RNN.forward)


class LSTM(_Layer, nn.LSTM):
    """torch.nn.LSTM on the engines of this library: the same arguments, calls, results and parameters.

    >>> output, (h_n, c_n) = unrolled.nn.LSTM(7, 11, bidirectional=True, batch_first=True)(torch.randn(3, 5, 7))
    >>> output.shape, c_n.shape
    (torch.Size([3, 5, 22]), torch.Size([2, 3, 11]))
    """

    _on_tensors = _on_our_operators(nn.LSTM.forward)


class GRU(_Layer, nn.GRU):
    """torch.nn.GRU on the engines of this library: the same arguments, calls, results and parameters.

    >>> output, h_n = unrolled.nn.GRU(7, 11)(unrolled.Ragged([torch.randn(2, 7), torch.randn(500, 7)]))
    >>> output, h_n.shape
    (Ragged(2 sequences, 502 steps, 11, float32), torch.Size([1, 2, 11]))
    """

    _on_tensors = _on_our_operators(nn.GRU.forward)


class _Cell(nn.RNNCellBase):
    """The common part of RNNCell, LSTMCell and GRUCell."""

    _on_tensors: Callable[..., Any]

    def forward(self, input: Tensor, hx: Any = None) -> Any:
        """Run one step.

        Args:
            input: (batch, input_size), or (input_size,).
            hx: the state before the step, (batch, hidden_size); for an LSTMCell the pair h and c. Default: zero.

        Returns:
            the state after the step, in the same shape.

        Raises:
            RuntimeError, ValueError: as torch raises them, if an argument does not fit.
        """
        if is_compiling() and not for_onnx():
            return torch_compiled.forward(_Cell.forward, self, input, hx)
        if dynamo_is_active():
            return disable(_Cell.forward)(self, input, hx)
        return _known_or_checked(self, input, hx)


class RNNCell(_Cell, nn.RNNCell):
    """torch.nn.RNNCell on the engines of this library.

    >>> unrolled.nn.RNNCell(7, 11)(torch.randn(3, 7)).shape
    torch.Size([3, 11])
    """

    _on_tensors = _on_our_operators(nn.RNNCell.forward)


class LSTMCell(_Cell, nn.LSTMCell):
    """torch.nn.LSTMCell on the engines of this library.

    >>> h, c = unrolled.nn.LSTMCell(7, 11)(torch.randn(3, 7))
    >>> h.shape, c.shape
    (torch.Size([3, 11]), torch.Size([3, 11]))
    """

    _on_tensors = _on_our_operators(nn.LSTMCell.forward)


class GRUCell(_Cell, nn.GRUCell):
    """torch.nn.GRUCell on the engines of this library.

    >>> unrolled.nn.GRUCell(7, 11)(torch.randn(3, 7)).shape
    torch.Size([3, 11])
    """

    _on_tensors = _on_our_operators(nn.GRUCell.forward)


dynamo.allow(_Layer)
