"""Nodes as mathematical expressions: a table with one row per op, for every notation.

``graph/equations.py`` arranges the printed expressions into lines.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from .node import Node
from .notation import Latex, Text
from .ops import make
from .size import Size

# precedence: an expression inside one of higher precedence gets parentheses
SUM, HADAMARD, PRODUCT, POSTFIX, ATOM = 1, 2, 3, 4, 5


@dataclass
class Printer:
    """Prints expressions.

    Attributes:
        notation: text or LaTeX.
        spell: ``spell(node, shift, piece)`` returns the name of a node, or None if it has none, at a time ``shift``
            steps from the present.
        inline: what to print instead of a leaf, one step later. For the state of an adjoint that is the gradient
            which the next step sends back.
        carrying: the nodes that carry a gradient.
        shift: the current distance from the present, in steps.
    """

    notation: Text
    spell: Callable[[Node, int, int | None], str | None]
    inline: dict[Node, Node] = field(default_factory=dict)
    carrying: set[Node] = field(default_factory=set)
    shift: int = 0

    def expression(self, node: Node, tightness: int = 0, named: bool = True) -> str:
        """The node as text: its name if it has one and ``named`` is true, else its operation; in parentheses if its
        precedence is below ``tightness``."""
        if named and (name := self.spell(node, self.shift, None)) is not None:
            return name
        if node in self.inline:
            later = Printer(self.notation, self.spell, self.inline, self.carrying, self.shift + 1)
            return later.expression(self.inline[node], tightness)
        holds, text = ROWS[node.op](self, node, *node.args)
        return self.notation.group(text) if holds < tightness else text


Row = Callable[..., tuple[int, str]]


def _call(function: str) -> Row:
    return lambda p, n, *args: (ATOM, p.notation.call(function, *(p.expression(a) for a in args)))


def _over(function: str) -> Row:
    def row(p: Printer, n: Node, x: Node) -> tuple[int, str]:
        axis = dict(n.attrs).get("axis")
        return _call(function)(p, n, x) if axis is None else (ATOM, p.notation.over(function, axis, p.expression(x)))

    return row


def _relation(symbol: str) -> Row:
    return lambda p, n, a, b: (
        SUM,
        p.notation.relation(p.expression(a, HADAMARD), symbol, p.expression(b, HADAMARD)),
    )


def _add(p: Printer, n: Node, a: Node, b: Node) -> tuple[int, str]:
    return SUM, f"{p.expression(a, SUM)} + {p.expression(b, SUM)}"


def _sub(p: Printer, n: Node, a: Node, b: Node) -> tuple[int, str]:
    if a.op == "logsumexp" and b.op == "pick" and b.args[0] is a.args[0]:
        probability = p.expression(make("softmax", a.args[0]))  # printed by its name if the circuit gives it one
        return SUM, "-" + p.notation.call("log", p.notation.indexed(probability, p.expression(b.args[1])))
    return SUM, f"{p.expression(a, SUM)} - {p.expression(b, HADAMARD)}"


def _mul(p: Printer, n: Node, a: Node, b: Node) -> tuple[int, str]:
    if a is b:
        return POSTFIX, p.notation.square(p.expression(a, ATOM))
    if b in p.carrying and a not in p.carrying and a.op not in ("constant", "broadcast") and len(n.type.dims) == 1:
        return PRODUCT, f"{p.notation.call('diag', p.expression(a))} {p.expression(b, PRODUCT)}"
    plain = not n.type.dims or a.op in ("constant", "broadcast") or b.op in ("constant", "broadcast")
    sign = p.notation.times if plain else p.notation.multiply
    return HADAMARD, f"{p.expression(a, HADAMARD)}{sign}{p.expression(b, PRODUCT)}"


def _div(p: Printer, n: Node, a: Node, b: Node) -> tuple[int, str]:
    if isinstance(p.notation, Latex):
        return PRODUCT, p.notation.fraction(p.expression(a), p.expression(b))
    return HADAMARD, p.notation.fraction(p.expression(a, HADAMARD), p.expression(b, PRODUCT))


def _matvec(p: Printer, n: Node, a: Node, x: Node) -> tuple[int, str]:
    return PRODUCT, f"{p.expression(a, PRODUCT)} {p.expression(x, PRODUCT)}"


def _outer(p: Printer, n: Node, u: Node, v: Node) -> tuple[int, str]:
    return PRODUCT, f"{p.expression(u, PRODUCT)} {p.notation.transposed(p.expression(v, POSTFIX))}"


def _repeat(p: Printer, n: Node, x: Node) -> tuple[int, str]:
    text, ones = p.expression(x, POSTFIX if n["axis"] == 0 else PRODUCT), p.notation.ones
    same_rows = f"{ones} {p.notation.transposed(text)}"
    return PRODUCT, same_rows if n["axis"] == 0 else f"{text} {p.notation.transposed(ones)}"


def _transpose(p: Printer, n: Node, a: Node) -> tuple[int, str]:
    return POSTFIX, p.notation.transposed(p.expression(a, ATOM))


def _slice(p: Printer, n: Node, x: Node) -> tuple[int, str]:
    name = p.spell(x, p.shift, n["index"])
    if name is not None:
        return ATOM, name
    piece = p.notation.call("split", p.expression(x), str(len(n["sizes"])))
    return POSTFIX, p.notation.indexed(piece, str(n["index"] + 1))


def _pick(p: Printer, n: Node, o: Node, t: Node) -> tuple[int, str]:
    return POSTFIX, p.notation.indexed(p.expression(o, POSTFIX), p.expression(t))


def _constant(p: Printer, n: Node) -> tuple[int, str]:
    text = p.notation.number(n["value"])
    return SUM if text.startswith("-") else ATOM, text


def _sum(p: Printer, n: Node, a: Node) -> tuple[int, str]:
    if a.type.dims == (Size.of(1),):
        return HADAMARD, p.expression(a, HADAMARD)
    return _over("sum")(p, n, a)


def _leaf(p: Printer, n: Node) -> tuple[int, str]:
    return ATOM, p.notation.name(n["name"], None)


ROWS: dict[str, Row] = {
    "neg": lambda p, n, a: (SUM, f"-{p.expression(a, HADAMARD)}"),
    "tanh": _call("tanh"),
    "sigmoid": _call("sigmoid"),
    "relu": _call("relu"),
    "exp": _call("exp"),
    "log": _call("log"),
    "sqrt": _call("sqrt"),
    "abs": lambda p, n, a: (ATOM, p.notation.absolute(p.expression(a))),
    "sign": _call("sign"),
    "floor": lambda p, n, a: (ATOM, p.notation.floor(p.expression(a))),
    "sin": _call("sin"),
    "cos": _call("cos"),
    "softplus": _call("softplus"),
    "erf": _call("erf"),
    "stop_gradient": _call("stop_gradient"),
    "add": _add,
    "sub": _sub,
    "mul": _mul,
    "div": _div,
    "maximum": _call("max"),
    "minimum": _call("min"),
    "less": _relation("<"),
    "less_equal": _relation("≤"),
    "equal": _relation("="),
    "where": lambda p, n, c, a, b: (
        ATOM,
        p.notation.choice(p.expression(c), p.expression(a), p.expression(b)),
    ),
    "matvec": _matvec,
    "matmul": _matvec,
    "transpose": _transpose,
    "outer": _outer,
    "sum": _sum,
    "mean": _over("mean"),
    "max": _over("max"),
    "min": _over("min"),
    "logsumexp": _over("logsumexp"),
    "softmax": _over("softmax"),
    "cumsum": lambda p, n, a: _call("reverse_cumsum" if n["reverse"] else "cumsum")(p, n, a),
    "broadcast": lambda p, n, a: (HADAMARD, p.expression(a, HADAMARD)),
    "repeat": _repeat,
    "concat": lambda p, n, *a: (ATOM, p.notation.stacked(*(p.expression(x) for x in a))),
    "slice": _slice,
    "onehot": lambda p, n, t: (ATOM, p.notation.onehot(p.expression(t))),
    "pick": _pick,
    "take": _pick,
    "argmax": _call("argmax"),
    "choose": lambda p, n, c, a, b: (
        ATOM,
        p.notation.choice(p.expression(c), p.expression(a), p.expression(b)),
    ),
    "constant": _constant,
    "size": lambda p, n: (ATOM, p.notation.call("size", str(n["of"]))),
    "input": _leaf,
    "state": _leaf,
    "parameter": _leaf,
}
