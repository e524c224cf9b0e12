"""Two notations for equations: plain Unicode text and LaTeX. ``graph/printer.py`` prints nodes in either of them."""

from __future__ import annotations

import math
import re
import unicodedata
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from .drawn import Distribution

Format = Literal["text", "latex"]

GREEK = dict(
    alpha="α", beta="β", gamma="γ", delta="δ", epsilon="ε", zeta="ζ", eta="η", theta="θ", kappa="κ", lambda_="λ",
    lam="λ", mu="μ", nu="ν", xi="ξ", rho="ρ", sigma="σ", tau="τ", phi="φ", chi="χ", psi="ψ", omega="ω",
)  # fmt: skip
ACCENTS = {"hat": ("\u0302", r"\hat"), "tilde": ("\u0303", r"\tilde"), "bar": ("\u0304", r"\bar")}
MARKS = {"\u0307": r"\dot", "\u030a": r"\mathring", "\u030c": r"\check"}  # of directional derivatives: ẋ
COMMANDS = ("tanh", "sin", "cos", "exp", "log", "max", "min", "sigmoid")  # functions with a LaTeX command
SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


@dataclass(frozen=True, slots=True)
class Name:
    """A name split into its parts: yhat is y with a hat, W_h and Wh are W with subscript h, theta is θ, ẋ is x with a
    mark."""

    letter: str
    accent: str = ""
    subscript: str = ""
    marks: str = ""

    @staticmethod
    def parse(name: str) -> Name:
        """The parts of a name."""
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
        """A value by its name: at a time, as a piece of a vector that is split, or the gradient of one (∇h). Only LaTeX
        distinguishes scalars."""
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
        """An expression in parentheses."""
        return f"({text})"

    def call(self, function: str, *args: str) -> str:
        """A function applied to arguments."""
        return f"{'σ' if function == 'sigmoid' else function}({', '.join(args)})"

    def over(self, function: str, axis: int, text: str) -> str:
        """A function over the rows (axis 0, index i) or the columns (axis 1, index j) of a matrix."""
        return self.call(f"{function}_{'ij'[axis]}", text)

    def stacked(self, *pieces: str) -> str:
        """Vectors one below another."""
        return f"[{'; '.join(pieces)}]"

    def square(self, text: str) -> str:
        """The square of an expression."""
        return text + "²"

    def transposed(self, text: str) -> str:
        """The transpose of an expression."""
        return text + "ᵀ"

    def indexed(self, text: str, index: str) -> str:
        """An entry of a vector, or a piece of a split one."""
        return f"{text}[{index}]"

    ones = "1"

    def onehot(self, index: str) -> str:
        """The one-hot vector of an index."""
        return f"1[{index}]"

    def fraction(self, a: str, b: str) -> str:
        """A quotient."""
        return f"{a} / {b}"

    def choice(self, condition: str, a: str, b: str) -> str:
        """a if the condition holds, else b."""
        return f"({a} if {condition} else {b})"

    def relation(self, a: str, symbol: str, b: str) -> str:
        """A comparison."""
        return f"{a} {symbol} {b}"

    def absolute(self, text: str) -> str:
        """The absolute value of an expression."""
        return f"|{text}|"

    def floor(self, text: str) -> str:
        """The floor of an expression."""
        return f"⌊{text}⌋"

    infinity, not_a_number = "∞", "nan"

    def number(self, value: float) -> str:
        """A number, which may be infinite or NaN."""
        if math.isfinite(value):
            return self.finite(value)
        return self.not_a_number if math.isnan(value) else ("-" if value < 0 else "") + self.infinity

    def finite(self, value: float) -> str:
        """A finite number with six digits."""
        return f"{value:g}"

    def over_time(self, text: str) -> str:
        """A sum over all steps."""
        return f"Σ_t {text}"

    def line(self, left: str, right: str, condition: str = "") -> str:
        """An equation, with a condition on t if there is one."""
        return f"{left} = {right}" + (f"    for {condition}" if condition else "")

    def drawn(self, left: str, distribution: Distribution) -> str:
        """The distribution of a value that is drawn at random."""
        kind, share = distribution.kind, distribution.share
        if kind == "noise":
            return f"{left} ~ Normal(0, {share:g}²)"
        keep = f"{1 - share:g}"
        return f"{left} ~ Bernoulli({share:g})" if kind == "zoneout" else f"{left} ~ Bernoulli({keep}) / {keep}"

    def lines(self, lines: list[str]) -> str:
        """All equations, one per line."""
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
        """A word with LaTeX's special characters escaped."""
        return word.replace("_", r"\_")

    def group(self, text: str) -> str:
        return rf"\left({text}\right)"

    def call(self, function: str, *args: str) -> str:
        known = rf"\{'sigma' if function == 'sigmoid' else function}"
        if function == "sqrt":
            return rf"\sqrt{{{args[0]}}}"
        name = known if function in COMMANDS else rf"\operatorname{{{self.word(function)}}}"
        return name + self.group(", ".join(args))

    def over(self, function: str, axis: int, text: str) -> str:
        known = rf"\{function}" if function in COMMANDS else rf"\operatorname{{{function}}}"
        return rf"{known}_{'ij'[axis]}{self.group(text)}"

    def stacked(self, *pieces: str) -> str:
        return r"\begin{bmatrix} " + r" \\ ".join(pieces) + r" \end{bmatrix}"

    def square(self, text: str) -> str:
        return rf"\left({text}\right)^2"

    def transposed(self, text: str) -> str:
        return rf"{text}^\top" if "^" not in text and not text.endswith(" L") else rf"{self.group(text)}^\top"

    def indexed(self, text: str, index: str) -> str:
        return rf"\left[{text}\right]_{{{index}}}"

    ones = r"\mathbf{1}"

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

    def drawn(self, left: str, distribution: Distribution) -> str:
        text = super().drawn(left, distribution).replace("²", "^2").removeprefix(left).removeprefix(" ~ ")
        return rf"{left} &\sim \operatorname{{{text.partition('(')[0]}}}({text.partition('(')[2]}"

    def lines(self, lines: list[str]) -> str:
        return "\\begin{align*}\n" + " \\\\\n".join(lines) + "\n\\end{align*}"


NOTATIONS: dict[str, Text] = {"text": Text(), "latex": Latex()}
