"""Nodes as mathematics: one printer, two notations (text and LaTeX), each a table with one row per op.

``graph/equations.py`` arranges the printed expressions into lines.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal

from .node import Node
from .ops import make
from .size import Size

Format = Literal["text", "latex"]

# how tightly an expression holds together; a looser one inside a tighter one gets parentheses
SUM, HADAMARD, PRODUCT, POSTFIX, ATOM = 1, 2, 3, 4, 5

GREEK = dict(
    alpha="α", beta="β", gamma="γ", delta="δ", epsilon="ε", zeta="ζ", eta="η", theta="θ", kappa="κ", lambda_="λ",
    lam="λ", mu="μ", nu="ν", xi="ξ", rho="ρ", sigma="σ", tau="τ", phi="φ", chi="χ", psi="ψ", omega="ω",
)  # fmt: skip
ACCENTS = {"hat": ("\u0302", r"\hat"), "tilde": ("\u0303", r"\tilde"), "bar": ("\u0304", r"\bar")}
MARKS = {"\u0307": r"\dot", "\u030a": r"\mathring", "\u030c": r"\check"}  # of a derivative in a direction: ẋ
COMMANDS = ("tanh", "sin", "cos", "exp", "log", "max", "min", "sigmoid")  # functions that LaTeX has a name for
SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


@dataclass(frozen=True, slots=True)
class Name:
    """A name taken apart: yhat is y with a hat, W_h and Wh are W with subscript h, theta is θ, ẋ is x with a mark."""

    letter: str
    accent: str = ""
    subscript: str = ""
    marks: str = ""

    @staticmethod
    def parse(name: str) -> Name:
        spread = unicodedata.normalize("NFD", name)
        rest = spread[1:].lstrip("".join(MARKS))
        if marks := spread[1 : len(spread) - len(rest)]:
            return replace(Name.parse(unicodedata.normalize("NFC", spread[0] + rest)), marks=marks)
        stem, _, subscript = name.partition("_")
        if name in GREEK:
            return Name(name)
        for accent in ACCENTS:
            base = stem.removesuffix(accent)
            if base != stem and (len(base) == 1 or base in GREEK):
                return Name(base, accent, subscript)
        short = re.fullmatch(r"([A-Za-z])([a-z]|\d+)|([A-Z])([a-z]{2})", stem)
        if short and not subscript:
            return Name(short[1] or short[3], "", short[2] or short[4])
        return Name(stem, "", subscript) if stem else Name(name)


class Text:
    """Plain Unicode: h(t-1), Wᵀ, σ, 1[y(t)]."""

    multiply, times = " ⊙ ", " · "

    def name(self, name: str, time: str | None, piece: int | None = None, scalar: bool = False) -> str:
        for prefix in ("∇", "∂L/∂", "δ"):
            if name.startswith(prefix):
                return prefix + self.name(name.removeprefix(prefix), time, piece)
        n = Name.parse(name)
        text = GREEK.get(n.letter, n.letter)
        if n.accent or n.marks:
            accent = ACCENTS[n.accent][0] if n.accent else ""
            text = unicodedata.normalize("NFC", text[0] + accent + n.marks + text[1:])
        if n.subscript:
            text += n.subscript.translate(SUBSCRIPTS) if n.subscript.isdigit() else "_" + n.subscript
        if piece is not None:
            text += str(piece + 1).translate(SUBSCRIPTS)
        return text if time is None else f"{text}({time})"

    def group(self, text: str) -> str:
        return f"({text})"

    def call(self, function: str, *args: str) -> str:
        return f"{'σ' if function == 'sigmoid' else function}({', '.join(args)})"

    def stacked(self, *pieces: str) -> str:
        return f"[{'; '.join(pieces)}]"

    def square(self, text: str) -> str:
        return text + "²"

    def transposed(self, text: str) -> str:
        return text + "ᵀ"

    def indexed(self, text: str, index: str) -> str:
        return f"{text}[{index}]"

    def onehot(self, index: str) -> str:
        return f"1[{index}]"

    def fraction(self, a: str, b: str) -> str:
        return f"{a} / {b}"

    def choice(self, condition: str, a: str, b: str) -> str:
        return f"({a} if {condition} else {b})"

    def relation(self, a: str, symbol: str, b: str) -> str:
        return f"{a} {symbol} {b}"

    def absolute(self, text: str) -> str:
        return f"|{text}|"

    def floor(self, text: str) -> str:
        return f"⌊{text}⌋"

    infinity, not_a_number = "∞", "nan"

    def number(self, value: float) -> str:
        if math.isfinite(value):
            return self.finite(value)
        return self.not_a_number if math.isnan(value) else ("-" if value < 0 else "") + self.infinity

    def finite(self, value: float) -> str:
        return f"{value:g}"

    def over_time(self, text: str) -> str:
        return f"Σ_t {text}"

    def line(self, left: str, right: str, condition: str = "") -> str:
        return f"{left} = {right}" + (f"    for {condition}" if condition else "")

    def lines(self, lines: list[str]) -> str:
        return "\n".join(lines)

    tau = "τ"
    before_last = "t < τ"


class Latex(Text):
    r"""LaTeX for an align environment, in the notation of Goodfellow, Bengio and Courville (2016), chapter 10:
    \boldsymbol{h}^{(t-1)}."""

    multiply, times = r" \odot ", r" \cdot "
    tau = r"\tau"
    before_last = r"t < \tau"

    def name(self, name: str, time: str | None, piece: int | None = None, scalar: bool = False) -> str:
        if name.startswith("∇"):
            return rf"\nabla_{{{self.name(name[1:], time, piece)}}} L"
        if name.startswith("∂L/∂"):
            return rf"\frac{{\partial L}}{{\partial {self.name(name[4:], time, piece)}}}"
        if name.startswith("δ"):
            return rf"\delta_{{{self.name(name[1:], time, piece)}}}"
        n = Name.parse(name)
        if n.letter in GREEK:
            letter = "\\" + {"lambda_": "lambda", "lam": "lambda"}.get(n.letter, n.letter)
        else:
            letter = n.letter if len(n.letter) == 1 else rf"\mathrm{{{self.word(n.letter)}}}"
        bold = letter if scalar else rf"\boldsymbol{{{letter}}}"
        text = rf"{ACCENTS[n.accent][1]}{{{bold}}}" if n.accent else bold
        for mark in n.marks:
            text = rf"{MARKS[mark]}{{{text}}}"
        subscripts = (
            [rf"\mathrm{{{self.word(n.subscript)}}}"] if len(n.subscript) > 1 else [n.subscript] * bool(n.subscript)
        )
        if piece is not None:
            subscripts.append(str(piece + 1))
        if subscripts:
            text += f"_{{{','.join(subscripts)}}}"
        return text if time is None else f"{text}^{{({time})}}"

    def word(self, word: str) -> str:
        return word.replace("_", r"\_")

    def group(self, text: str) -> str:
        return rf"\left({text}\right)"

    def call(self, function: str, *args: str) -> str:
        known = rf"\{'sigma' if function == 'sigmoid' else function}"
        if function == "sqrt":
            return rf"\sqrt{{{args[0]}}}"
        name = known if function in COMMANDS else rf"\operatorname{{{self.word(function)}}}"
        return name + self.group(", ".join(args))

    def stacked(self, *pieces: str) -> str:
        return r"\begin{bmatrix} " + r" \\ ".join(pieces) + r" \end{bmatrix}"

    def square(self, text: str) -> str:
        return rf"\left({text}\right)^2"

    def transposed(self, text: str) -> str:
        return rf"{text}^\top" if "^" not in text and not text.endswith(" L") else rf"{self.group(text)}^\top"

    def indexed(self, text: str, index: str) -> str:
        return rf"\left[{text}\right]_{{{index}}}"

    def onehot(self, index: str) -> str:
        return rf"\mathbf{{1}}_{{{index}}}"

    def fraction(self, a: str, b: str) -> str:
        return rf"\frac{{{a}}}{{{b}}}"

    def choice(self, condition: str, a: str, b: str) -> str:
        return rf"\begin{{cases}} {a} & {condition} \\ {b} & \text{{otherwise}} \end{{cases}}"

    def relation(self, a: str, symbol: str, b: str) -> str:
        return f"{a} {symbol.replace('≤', chr(92) + 'le ')} {b}"

    def absolute(self, text: str) -> str:
        return rf"\left|{text}\right|"

    def floor(self, text: str) -> str:
        return rf"\left\lfloor {text} \right\rfloor"

    infinity, not_a_number = r"\infty", r"\mathrm{nan}"

    def finite(self, value: float) -> str:
        mantissa, _, exponent = f"{value:g}".partition("e")
        return rf"{mantissa} \cdot 10^{{{int(exponent)}}}" if exponent else mantissa

    def over_time(self, text: str) -> str:
        return rf"\sum_t {text}"

    def line(self, left: str, right: str, condition: str = "") -> str:
        return f"{left} &= {right}" + (rf" && \text{{for }} {condition}" if condition else "")

    def lines(self, lines: list[str]) -> str:
        return "\\begin{align*}\n" + " \\\\\n".join(lines) + "\n\\end{align*}"


NOTATIONS: dict[str, Text] = {"text": Text(), "latex": Latex()}


@dataclass
class Printer:
    """Prints expressions. ``spell(node, shift, piece)`` gives the name of a node that has one, seen ``shift`` steps
    from the present; ``inline(node)`` gives what to print in the place of a leaf, one step later (the state of an
    adjoint, which stands for what the next step sends back); ``carrying`` holds the nodes that carry a gradient."""

    notation: Text
    spell: Callable[[Node, int, int | None], str | None]
    inline: dict[Node, Node] = field(default_factory=dict)
    carrying: set[Node] = field(default_factory=set)
    shift: int = 0

    def expression(self, node: Node, tightness: int = 0, named: bool = True) -> str:
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


def _relation(symbol: str) -> Row:
    return lambda p, n, a, b: (
        SUM,
        p.notation.relation(p.expression(a, HADAMARD), symbol, p.expression(b, HADAMARD)),
    )


def _add(p: Printer, n: Node, a: Node, b: Node) -> tuple[int, str]:
    return SUM, f"{p.expression(a, SUM)} + {p.expression(b, SUM)}"


def _sub(p: Printer, n: Node, a: Node, b: Node) -> tuple[int, str]:
    if a.op == "logsumexp" and b.op == "pick" and b.args[0] is a.args[0]:
        probability = p.expression(make("softmax", a.args[0]))  # under its own name, if the circuit gave it one
        return SUM, "-" + p.notation.call("log", p.notation.indexed(probability, p.expression(b.args[1])))
    return SUM, f"{p.expression(a, SUM)} - {p.expression(b, HADAMARD)}"


def _mul(p: Printer, n: Node, a: Node, b: Node) -> tuple[int, str]:
    if a is b:
        return POSTFIX, p.notation.square(p.expression(a, ATOM))
    if b in p.carrying and a not in p.carrying and a.op not in ("constant", "broadcast") and n.type.dims:
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
    return ATOM, p.notation.call("sum", p.expression(a))


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
    "mean": _call("mean"),
    "max": _call("max"),
    "min": _call("min"),
    "logsumexp": _call("logsumexp"),
    "softmax": _call("softmax"),
    "cumsum": lambda p, n, a: _call("reverse_cumsum" if n["reverse"] else "cumsum")(p, n, a),
    "broadcast": lambda p, n, a: (HADAMARD, p.expression(a, HADAMARD)),
    "concat": lambda p, n, *a: (ATOM, p.notation.stacked(*(p.expression(x) for x in a))),
    "slice": _slice,
    "onehot": lambda p, n, t: (ATOM, p.notation.onehot(p.expression(t))),
    "pick": _pick,
    "take": _pick,
    "constant": _constant,
    "size": lambda p, n: (ATOM, p.notation.call("size", str(n["of"]))),
    "input": _leaf,
    "state": _leaf,
    "parameter": _leaf,
}
