"""Circuits as torch modules: ``Recurrent``, ready-made networks, their results, and weights from torch.nn."""

from . import interop
from .layers import GRU, LSTM, RNN
from .model import SequenceModel
from .recurrent import Recurrent
from .result import Result, Step

__all__ = ["GRU", "LSTM", "RNN", "Recurrent", "Result", "SequenceModel", "Step", "interop"]
