"""Three ready-made networks with the names of their counterparts in torch.nn."""

from __future__ import annotations

from typing import Any

from ..cells import gru, irnn, lstm, rnn
from ..errors import CircuitError, did_you_mean
from .recurrent import Recurrent

_RNN = {"tanh": rnn, "relu": irnn}


class RNN(Recurrent):
    """The simple recurrent network h(t) = tanh(b + W h(t-1) + U x(t)), or with relu.

    >>> unrolled.RNN(7, 11)(torch.randn(2, 5, 7)).h.shape
    torch.Size([2, 5, 11])

    Args:
        input_size: size of x.
        hidden_size: size of h.
        nonlinearity: 'tanh' or 'relu'.
        options: engine, memory, device and dtype, see ``Recurrent``.

    Raises:
        CircuitError: the nonlinearity is another one.
    """

    def __init__(self, input_size: int, hidden_size: int, nonlinearity: str = "tanh", **options: Any) -> None:
        if nonlinearity not in _RNN:
            raise CircuitError(
                f"nonlinearity must be 'tanh' or 'relu', got {nonlinearity!r}{did_you_mean(nonlinearity, _RNN)}"
            )
        super().__init__(_RNN[nonlinearity], x=input_size, h=hidden_size, **options)


class LSTM(Recurrent):
    """Long short-term memory with forget gates; the forget bias starts at 1. Source: see ``cells.lstm``.

    >>> out = unrolled.LSTM(7, 11)(torch.randn(2, 5, 7))
    >>> out.h.shape, out.state
    (torch.Size([2, 5, 11]), State(h=(2, 11), c=(2, 11)))

    Args:
        input_size: size of x.
        hidden_size: size of h and c.
        options: engine, memory, device and dtype, see ``Recurrent``.
    """

    def __init__(self, input_size: int, hidden_size: int, **options: Any) -> None:
        super().__init__(lstm, x=input_size, h=hidden_size, **options)


class GRU(Recurrent):
    """Gated recurrent unit, with the reset after the product as in torch and cuDNN. Source: see ``cells.gru``.

    >>> unrolled.GRU(7, 11)(torch.randn(2, 5, 7)).last.h.shape
    torch.Size([2, 11])

    Args:
        input_size: size of x.
        hidden_size: size of h.
        options: engine, memory, device and dtype, see ``Recurrent``.
    """

    def __init__(self, input_size: int, hidden_size: int, **options: Any) -> None:
        super().__init__(gru, x=input_size, h=hidden_size, **options)
