"""The words of the language of circuits: the functions that equations can use, and the names that they cannot."""

from __future__ import annotations

# defined in circuits/functional.py
FUNCTIONS = (
    "tanh", "sigmoid", "relu", "softplus", "gelu", "erf", "exp", "log", "sqrt", "sin", "cos", "abs", "sign", "floor",
    "maximum", "minimum", "softmax", "logsumexp", "sum", "mean", "max", "min", "normalised", "cumsum", "concat",
    "stack", "split", "outer", "rows", "columns", "where", "stop_gradient", "take", "onehot", "argmax", "draw", "nll",
    "squared_error",
)  # fmt: skip

# arguments of networks and calls, and attributes of results: no input, state, parameter or output has such a name, and
# no intermediate value whose size must be given by name
RESERVED = (
    "self", "state", "given", "reset", "steps", "until", "last", "batch", "circuit", "engine", "memory", "device",
    "dtype", "keys", "values", "items", "get", "_values",
)  # fmt: skip
# attributes of State: no state has such a name
RESERVED_FOR_STATES = ("detach", "select", "to", "of", "_each")
