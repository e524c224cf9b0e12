"""Random circuits for property tests (needs ``hypothesis``). A circuit is drawn as its source text, so that a failing
example is printed as equations that can be pasted into a file."""

from __future__ import annotations

import linecache
import re
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from .. import circuits as language
from ..circuits import Circuit

# How to make one more vector from vectors a and b of the hidden size; M is a fresh matrix, v a fresh vector.
# Comparisons are off by an odd number, so that rounding does not decide between values that are equal on paper.
_RULES = (
    "tanh({a})", "sigmoid({a})", "{a} + {b}", "{a} - {b}", "{a} * {b}", "-{a}", "M @ {a}", "M.T @ {a}", "v * {a} + {b}",
    "{a} / (1 + {b} * {b})", "exp(-{a} * {a})", "log(1 + {a} ** 2)", "sqrt(1 + {a} * {a})", "softmax({a})",
    "{a} - mean({a})", "logsumexp({a}) * {b}", "sum({a} * {b}) * v", "max({a}) * {b}",
    "concat(*split({a}, {parts})[::-1])", "split(concat({a}, {b}), 2)[1]", "where({a} > {b} + 0.0317, {a}, 0.5 * {b})",
    "where(mean({a}) > 0.0317, {a}, {b})", "sigmoid(M) @ {a}", "(M @ M) @ {a}", "0.5 * {a}", "1 - {a}",
    "maximum({a}, {b} + 0.0317)", "minimum({a}, 0.5 * {b} + 0.0317)", "abs({a} + 0.0317)", "sign({a} + 0.0317) * {b}",
    "floor(3 * {a} + 0.0317) * {b}", "sin({a})", "cos({a})", "tanh(softplus({a}))", "erf({a})", "tanh(gelu({a}))",
    "min({a}) * {b}", "tanh(cumsum({a}))", "cumsum(softmax({a}), reverse=True)", "stop_gradient({a}) * {b}",
    "logsumexp(stack(min({a}), 0.5)) * {b}",
)  # fmt: skip


@dataclass
class _Writer:
    """Source text in the making."""

    parameters: list[str] = field(default_factory=list)

    def fresh(self, letter: str) -> str:
        name = f"{letter}{len(self.parameters)}"
        self.parameters.append(name)
        return name

    def apply(self, rule: str, a: str, b: str, parts: int) -> str:
        text = rule.format(a=a, b=b, parts=parts)
        for letter in ("M", "v"):
            if re.search(rf"\b{letter}\b", text):
                text = re.sub(rf"\b{letter}\b", self.fresh(letter), text)
        return text


@dataclass(frozen=True)
class Drawn:
    """A random circuit, its text, and sizes that fit it."""

    circuit: Circuit
    source: str
    sizes: dict[str, int]

    def __repr__(self) -> str:
        return f"sizes {self.sizes}\n{self.source}"


@st.composite
def circuits(draw: st.DrawFn, max_lines: int = 6) -> Drawn:
    """Circuits with 0 to 2 inputs, 1 or 2 states, possibly a token target with its loss, and up to max_lines values in
    between. All are bounded and almost everywhere smooth."""
    writer = _Writer()
    inputs = ["x", "z"][: draw(st.integers(0, 2))]
    states = ["h", "s"][: draw(st.integers(1, 2))]
    parts = draw(st.sampled_from([1, 2, 3]))
    sizes = {"h": parts * draw(st.integers(1, 3)), **{n: draw(st.integers(1, 4)) for n in inputs}}
    terms = [f"{writer.fresh('W')} @ {n}" for n in (*inputs, *states)]
    lines = [f"a0 = {' + '.join([writer.fresh('b'), *terms])}"]
    vectors = ["a0", *states]
    for k in range(draw(st.integers(0, max_lines))):
        rule, a, b = (draw(st.sampled_from(options)) for options in (_RULES, vectors, vectors))
        lines.append(f"a{k + 1} = {writer.apply(rule, a, b, parts)}")
        vectors.append(f"a{k + 1}")
    lines.append(f"k = {' + '.join(v for v in vectors if v not in states)}")  # nothing is computed in vain
    new = {n: f"tanh({draw(st.sampled_from(vectors))} + 0.5 * k)" for n in states}
    returned = [f'"{n}": {text}' for n, text in new.items()]
    arguments = [*inputs, *states]
    if draw(st.booleans()):
        arguments.append("y")
        sizes["o"] = draw(st.integers(1, 4))
        lines.append(f"o = {writer.fresh('V')} @ k")
        returned += ['"o": o', '"L": nll(o, y)']
    if "s" in states:  # one hidden size for all: a state may meet any other
        lines.append("same = h + s")
    order = draw(st.permutations(arguments))
    body = "\n".join(f"    {line}" for line in [*lines, f"return {{{', '.join(returned)}}}"])
    source = f"def drawn({', '.join(order)}, *, {', '.join(writer.parameters)}):\n{body}\n"
    return Drawn(read(source), source, sizes)


def read(source: str) -> Circuit:
    """The circuit that a source text defines, with its lines known to error messages."""
    file = f"<circuit {abs(hash(source))}>"
    linecache.cache[file] = (len(source), None, source.splitlines(True), file)
    scope: dict[str, Any] = {n: getattr(language, n) for n in language.__all__}
    exec(compile(source, file, "exec"), scope)
    return language.circuit(scope["drawn"])
