"""From a user's equations to a circuit: the language, its reading, and the views of what was read."""

from ..graph.language import FUNCTIONS
from .circuit import Circuit, circuit
from .functional import *  # noqa: F403
from .initial import constant, gate, glorot, identity, orthogonal, uniform

__all__ = ["Circuit", "circuit", "constant", "gate", "glorot", "identity", "orthogonal", "uniform", *FUNCTIONS]
