"""Differentiation: from the step of a recurrence to the step of its adjoint, which runs backward in time.

This is the only place that knows calculus. For every op, one row maps the gradient g at its result to the gradients at
its arguments. The adjoint of a recurrence is again a recurrence:

- Its state δh is the gradient that step t+1 sends back to h(t); it starts at zero after the last step.
- Its inputs ∂L/∂o are the direct gradients of the loss with respect to the returned values.
- It returns ∇x for the inputs. The gradients of parameters and of fixed inputs are its sums over time.

It reads the values of the forward pass at the same step (the nodes of ``primal``). Whether those are stored or
recomputed is not decided here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

from ..graph.node import REAL, Node, leaf, order
from ..graph.ops import constant, make
from ..graph.recurrence import Recurrence
from .simplify import simplify
from .terms import moves


def direct(name: str) -> str:
    """The name of the adjoint's input for a returned value: the direct gradient of the loss."""
    return f"∂L/∂{name}"


def carried(name: str) -> str:
    """The name of the adjoint's state for a state: the gradient that later steps send back."""
    return f"δ{name}"


def gradient(name: str) -> str:
    """The name of a gradient."""
    return f"∇{name}"


def loss_on(recurrence: Recurrence) -> tuple[str, ...]:
    """The returned values on which a loss depends directly by default: 'L' if the circuit returns a scalar L (the total
    loss is then its sum over steps), or else 'o' if it returns that, or else its outputs, or else its first state."""
    if "L" in recurrence.outputs and not recurrence.outputs["L"].type.dims:
        return ("L",)
    if "o" in recurrence.returns:
        return ("o",)
    real = {n for n, node in recurrence.returns.items() if node.type.kind == REAL}
    return tuple(n for n in recurrence.outputs if n in real) or tuple(n for n in recurrence.states if n in real)[:1]


def differentiate(recurrence: Recurrence, of: Iterable[str] | None = None) -> Recurrence:
    """The adjoint: the gradient of a loss that depends directly on the returned values ``of`` (default: all)."""
    names = [n for n in (recurrence.returns if of is None else of) if recurrence.returns[n].type.kind == REAL]
    gradients: dict[Node, Node] = {}

    def add(node: Node, g: Node) -> None:
        gradients[node] = make("add", gradients[node], g, source=node.source) if node in gradients else g

    moving = {n: s for n, s in recurrence.states.items() if s.type.kind == REAL}  # no gradient flows to tokens
    carries = {n: leaf("state", s.type, name=carried(n)) for n, s in moving.items()}
    inputs = {}
    for n, carry in carries.items():
        add(recurrence.returns[n], carry)
    for n in names:
        node = recurrence.returns[n]
        inputs[direct(n)] = leaf("input", node.type, name=direct(n))
        add(node, inputs[direct(n)])
    for node in reversed(order(recurrence.returns.values())):
        if node in gradients and node.args:
            for arg, g in zip(node.args, VJP[node.op](gradients[node], node, *node.args), strict=True):
                if g is not None and arg.type.kind == REAL:
                    add(arg, g)

    same = {node: node for node in recurrence.nodes}
    short = simplify(gradients.values(), same)

    def of_leaf(node: Node) -> Node:
        return short[gradients[node]] if node in gradients else constant(0.0, node.type.dims)

    labels: dict[Node, str] = {}
    for node, n in {**{v: k for k, v in recurrence.returns.items()}, **recurrence.labels}.items():
        if node in gradients and node.args:
            labels.setdefault(short[gradients[node]], gradient(n))
    return Recurrence(
        name=f"{recurrence.name}, adjoint",
        inputs=inputs,
        states={carried(n): carry for n, carry in carries.items()},
        parameters=recurrence.parameters,
        returns={carried(n): of_leaf(s) for n, s in moving.items()}
        | {gradient(n): of_leaf(x) for n, x in recurrence.series.items() if x.type.kind == REAL},
        sums={gradient(n): of_leaf(p) for n, p in recurrence.parameters.items()}
        | {gradient(n): of_leaf(recurrence.inputs[n]) for n in recurrence.fixed},
        labels=labels,
        reverse=True,
        primal=recurrence,
    )


def one(x: Node) -> Node:
    return constant(1.0, x.type.dims)


def zeros(x: Node) -> Node:
    return constant(0.0, x.type.dims)


def mul(a: Node, b: Node) -> Node:
    return make("mul", a, b)


def div(a: Node, b: Node) -> Node:
    return make("div", a, b)


def sub(a: Node, b: Node) -> Node:
    return make("sub", a, b)


def neg(a: Node) -> Node:
    return make("neg", a)


def T(a: Node) -> Node:
    return make("transpose", a)


def turned(g: Node) -> Node:
    """The transpose of a gradient, term by term, so that no transpose of a sum has to be stored at every step."""
    if g.op in ("add", "sub"):
        return make(g.op, *map(turned, g.args))
    return T(g)


def spread(scalar: Node, like: Node) -> Node:
    return make("broadcast", scalar, dims=like.type.dims)


def reduced(op: str, x: Node, like: Node) -> Node:
    """An operation along the same axis as another reduction."""
    return make(op, x, **{n: v for n, v in like.attrs if n == "axis"})


def along(value: Node, y: Node, x: Node) -> Node:
    """The result y of a reduction of x, or a value of its type, at every entry of x that it was reduced from."""
    axis = dict(y.attrs).get("axis")
    return spread(value, x) if axis is None else make("repeat", value, axis=axis, dims=x.type.dims)


def where(condition: Node, a: Node, b: Node) -> Node:
    return make("where", condition, a, b)


def _maximum(g: Node, y: Node, a: Node, b: Node) -> tuple[Node, ...]:
    """Equal arguments get half of g each. If one is NaN, both get all of g. Both rules are torch's."""
    share = where(make("equal", a, b), constant(0.5, g.type.dims), one(g))
    smaller = (make("less", a, b), make("less", b, a))
    return tuple(where(s, zeros(g), mul(share, g)) for s in smaller)


def _minimum(g: Node, y: Node, a: Node, b: Node) -> tuple[Node, ...]:
    return _maximum(g, y, a, b)[::-1]


def _cumsum(g: Node, y: Node, x: Node) -> tuple[Node, ...]:
    return (make("cumsum", g, reverse=not y["reverse"]),)


def _erf(g: Node, y: Node, x: Node) -> tuple[Node, ...]:
    bell = make("exp", neg(mul(x, x)))
    return (mul(mul(constant(2 / math.sqrt(math.pi), x.type.dims), bell), g),)


def _extreme(g: Node, y: Node, x: Node) -> tuple[Node, ...]:
    attained = where(make("equal", x, along(y, y, x)), one(x), zeros(x))
    return (mul(div(attained, along(reduced("sum", attained, y), y, x)), along(g, y, x)),)


def _softmax(g: Node, y: Node, x: Node) -> tuple[Node, ...]:
    return (mul(y, sub(g, along(reduced("sum", mul(y, g), y), y, x))),)


def _concat(g: Node, y: Node, *pieces: Node) -> tuple[Node, ...]:
    sizes = tuple(p.type.dims[0] for p in pieces)
    return tuple(make("slice", g, index=k, sizes=sizes) for k in range(len(pieces)))


def _slice(g: Node, y: Node, x: Node) -> tuple[Node, ...]:
    around = [g if k == y["index"] else constant(0.0, (size,)) for k, size in enumerate(y["sizes"])]
    return (make("concat", *around),)


def _mean(g: Node, y: Node, x: Node) -> tuple[Node, ...]:
    count = make("size", of=x.type.dims[dict(y.attrs).get("axis", 0)])
    return (along(div(g, make("broadcast", count, dims=g.type.dims) if g.type.dims else count), y, x),)


Vjp = Callable[..., tuple[Node | None, ...]]

# op: (g = gradient at the result, y = the result, arguments) -> gradient at each argument, or None
VJP: dict[str, Vjp] = {
    "neg": lambda g, y, x: (neg(g),),
    "tanh": lambda g, y, x: (mul(sub(one(y), mul(y, y)), g),),
    "sigmoid": lambda g, y, x: (mul(mul(y, sub(one(y), y)), g),),
    "relu": lambda g, y, x: (where(make("less", zeros(x), x), g, zeros(x)),),
    "exp": lambda g, y, x: (mul(y, g),),
    "log": lambda g, y, x: (div(g, x),),
    "sqrt": lambda g, y, x: (div(g, mul(constant(2.0, y.type.dims), y)),),
    "abs": lambda g, y, x: (mul(make("sign", x), g),),
    "sign": lambda g, y, x: (None,),
    "floor": lambda g, y, x: (None,),
    "sin": lambda g, y, x: (mul(make("cos", x), g),),
    "cos": lambda g, y, x: (neg(mul(make("sin", x), g)),),
    "softplus": lambda g, y, x: (mul(make("sigmoid", x), g),),
    "erf": _erf,
    "stop_gradient": lambda g, y, x: (None,),
    "add": lambda g, y, a, b: (g, g),
    "sub": lambda g, y, a, b: (g, neg(g)),
    "mul": lambda g, y, a, b: (mul(b, g), mul(a, g)),
    "div": lambda g, y, a, b: (div(g, b), neg(div(mul(y, g), b))),
    "maximum": _maximum,
    "minimum": _minimum,
    "less": lambda g, y, a, b: (None, None),
    "less_equal": lambda g, y, a, b: (None, None),
    "equal": lambda g, y, a, b: (None, None),
    "where": lambda g, y, c, a, b: (None, where(c, g, zeros(g)), where(c, zeros(g), g)),
    "matvec": lambda g, y, A, x: (make("outer", g, x), make("matvec", T(A), g)),
    "matmul": lambda g, y, A, B: (make("matmul", g, T(B)), make("matmul", T(A), g)),
    "transpose": lambda g, y, A: (turned(g) if moves(A) else T(g),),
    "outer": lambda g, y, u, v: (make("matvec", g, v), make("matvec", T(g), u)),
    "sum": lambda g, y, x: (along(g, y, x),),
    "mean": _mean,
    "max": _extreme,
    "min": _extreme,
    "logsumexp": lambda g, y, x: (mul(reduced("softmax", x, y), along(g, y, x)),),
    "softmax": _softmax,
    "cumsum": _cumsum,
    "broadcast": lambda g, y, x: (make("sum", g),),
    "repeat": lambda g, y, x: (make("sum", g, axis=y["axis"]),),
    "concat": _concat,
    "slice": _slice,
    "onehot": lambda g, y, t: (None,),
    "pick": lambda g, y, o, t: (mul(make("onehot", t), spread(g, o)), None),
    "take": lambda g, y, E, t: (make("outer", make("onehot", t), g), None),
    "argmax": lambda g, y, x: (None,),
    "choose": lambda g, y, c, a, b: (None, None, None),
    "constant": lambda g, y: (),
    "size": lambda g, y: (),
}
