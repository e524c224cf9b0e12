"""From a user's equations to a circuit: the language, how it is read, and the views of the result."""

from ..graph.language import FUNCTIONS
from .circuit import Circuit, circuit
from .functional import *  # noqa: F403
from .initial import constant, gate, glorot, identity, orthogonal, uniform

__all__ = ["Circuit", "circuit", "constant", "gate", "glorot", "identity", "orthogonal", "uniform", *FUNCTIONS]
