"""Plain tensors over time: states, sequences of different lengths, batches and streams. Independent of circuits."""

from .batching import batches
from .ragged import Ragged
from .state import State
from .streams import Piece, Window, document_windows, rest, windows

__all__ = ["Piece", "Ragged", "State", "Window", "batches", "document_windows", "rest", "windows"]
