"""What to write in a circuit instead of the functions and methods of torch and numpy."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import did_you_mean

_NO_SIZE = "Equations contain no sizes: you choose them when you make the network, Recurrent(cell, x=..., h=...)"
_NO_SHAPE = "It is a column vector at one step, without batch or time dimensions, so there is nothing to reshape"
_NO_VALUE = "It has no value when the circuit is defined, only when the network runs: out = net(x)"
_NO_TYPE = "The dtype and the device belong to the network, not to its equations: net.to(...)"
_NO_GRADIENT = "The gradient is derived from the equations: print(cell.adjoint().equations())"
_NO_CHANGE = "Values in a circuit never change in place, so you can remove it"
_DROPOUT = "Write the cell without it, and make another with variational(cell, x=0.2, h=0.3) or zoneout(cell, h=0.1)"
_MATRIX = "Write W @ x for a matrix and a vector, or sum(a * b) for two vectors"
_LAYER_NORM = "Write g * normalised(x) + b, as unrolled.cells.layernorm_lstm does"
_NORM = "Write it out with mean(...) and sqrt(...), as in x / sqrt(mean(x * x))"

ADVICE = {
    **dict.fromkeys(("shape", "size", "ndim", "dim", "numel", "nelement"), _NO_SIZE),
    **dict.fromkeys(
        ("view", "reshape", "flatten", "squeeze", "unsqueeze", "permute", "expand", "expand_as", "repeat", "tile",
         "movedim", "swapaxes", "ravel"), _NO_SHAPE),
    **dict.fromkeys(("item", "numpy", "tolist", "data"), _NO_VALUE),
    **dict.fromkeys(
        ("to", "float", "double", "half", "bfloat16", "int", "long", "bool", "cpu", "cuda", "type", "type_as", "dtype",
         "device", "astype"), _NO_TYPE),
    **dict.fromkeys(("backward", "grad", "requires_grad", "requires_grad_", "retain_grad"), _NO_GRADIENT),
    **dict.fromkeys(("clone", "contiguous", "copy", "copy_"), _NO_CHANGE),
    **dict.fromkeys(("dropout", "alpha_dropout", "feature_dropout"), _DROPOUT),
    **dict.fromkeys(("matmul", "mm", "bmm", "mv", "dot", "einsum", "inner"), _MATRIX),
    **dict.fromkeys(("t", "transpose", "mT", "adjoint"), "The transpose of a matrix is W.T"),
    **dict.fromkeys(("add", "sub", "subtract", "mul", "multiply", "div", "divide", "true_divide", "neg", "negative"),
                    "Write the operator: a + b, a - b, a * b, a / b, -a"),
    **dict.fromkeys(("gt", "ge", "lt", "le", "eq"), "Write the operator: a > b, a >= b, a < b, a <= b, a == b"),
    **dict.fromkeys(("pow", "power", "square"), "Write x ** 2, or exp(p * log(x)) for other powers"),
    **dict.fromkeys(("cat", "concatenate", "hstack"), "Write concat(a, b)"),
    **dict.fromkeys(("tensor_split", "chunk"), "Write split(x, n) for n pieces of equal size"),
    **dict.fromkeys(("masked_fill", "masked_fill_"), "Write where(condition, a, b)"),
    "layer_norm": _LAYER_NORM,
    **dict.fromkeys(("rms_norm", "batch_norm", "group_norm"), _NORM),
    **dict.fromkeys(("cross_entropy", "nll_loss"), "Write nll(o, y) for scores o and a token y"),
    "detach": "Write stop_gradient(x)",
    **dict.fromkeys(("clamp", "clip"), "Write minimum(maximum(x, low), high)"),
    "mse_loss": "Write squared_error(o, y)",
    "linear": "Write W @ x + b",
    "embedding": "Write take(E, x) for a table E and a token x",
    "one_hot": "Write onehot(x)",
    "norm": "Write sqrt(sum(x * x))",
    "var": "Write mean((x - mean(x)) ** 2)",
    "std": "Write sqrt(mean((x - mean(x)) ** 2))",
    "rsqrt": "Write 1 / sqrt(x)",
    "reciprocal": "Write 1 / x",
    "log_softmax": "Write x - logsumexp(x)",
    "logsigmoid": "Write log(sigmoid(x))",
    "silu": "Write x * sigmoid(x)",
    "leaky_relu": "Write where(x > 0, x, 0.01 * x)",
    "elu": "Write where(x > 0, x, exp(x) - 1)",
}  # fmt: skip


def advice(name: str, functions: Sequence[str]) -> str:
    """What to write instead of a method or function with this name.

    >>> advice("relu_", ["tanh", "relu"])
    'Write relu(...)'
    >>> advice("tan", ["tanh", "relu"])
    "Did you mean 'tanh'?"

    Args:
        name: the name that the user wrote.
        functions: the functions that circuits have.
    """
    plain = name.rstrip("_")  # relu_ changes its argument in place
    if plain in functions:
        return f"Write {plain}(...)"
    if found := ADVICE.get(name) or ADVICE.get(plain):
        return found
    return did_you_mean(name, functions).removeprefix(". ") or f"The functions are {', '.join(functions)}"
