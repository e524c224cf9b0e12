"""Circuits as torch modules: ``Recurrent``, ready-made networks, their results, and weights from torch.nn."""

from . import interop
from .encoder_decoder import EncoderDecoder
from .model import SequenceModel
from .recurrent import Recurrent
from .result import Result, Step
from .stack import Stack
from .torch_layers import GRU, LSTM, RNN, GRUCell, LSTMCell, RNNCell

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "EncoderDecoder",
    "GRUCell",
    "LSTMCell",
    "RNNCell",
    "Recurrent",
    "Result",
    "SequenceModel",
    "Stack",
    "Step",
    "interop",
]
