"""Random circuits for property tests.

A circuit is drawn as source text, so that a failing example prints as equations that can be pasted into a file.
``random_circuit`` takes any source of choices: ``random.Random.choice`` for long runs, or ``hypothesis`` (through the
strategy ``circuits``) for tests that shrink failing examples.
"""

from __future__ import annotations

import linecache
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .. import circuits as language
from ..circuits import Circuit
from ..circuits.read import read as read_equations
from ..graph.bind import nameable, names_of_matrix
from .random_matrices import Dims, Matrices

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

Choose = Callable[[Sequence[Any]], Any]

SIZES = (1, 2, 3, 4, 6, 8, 12, 15, 16, 17, 18, 24, 31, 33)  # remainders for every vector width
WIDE = 257
FIXED = ("f", "F")  # the inputs that are fixed in time: a vector, and a memory with any number of rows

# {a} and {b} are vectors of one size, or a vector and a scalar. Comparisons have an odd offset, so that rounding does
# not decide between values that are equal on paper. M is a new square matrix and v a new vector of {a}'s size.
ENTRYWISE = (
    "tanh({a})", "sigmoid({a})", "relu({a})", "abs({a})", "-{a}", "0.5 * {a}", "1 - {a}", "{a} / 2", "{a} ** 2",
    "exp(-{a} * {a})", "log(1 + {a} ** 2)", "sqrt(1 + {a} * {a})", "{a} + {b}", "{a} - {b}", "{b} - {a}", "{a} * {b}",
    "{a} / (1 + {b} * {b})", "where({a} > {b} + 0.0317, {a}, 0.5 * {b})", "where({a} <= 0.0317, {b}, {a})",
    "{a}", "maximum({a}, {b} + 0.0317)", "minimum({a}, 0.5 * {b} + 0.0317)", "abs({a} + 0.0317)",
    "sign({a} + 0.0317) * {b}", "floor(3 * {a} + 0.0317) * {b}", "sin({a})", "cos({a})", "softplus({a})", "erf({a})",
    "gelu({a})", "stop_gradient({a}) * {b}", "{a} + stop_gradient(sign({a} + 0.0317) - {a})",
)  # fmt: skip
VECTOR = (
    "v + {a}", "v * {a} + {b}", "tanh(v) * {a}", "mean(v) * (v + {a})", "softmax(v) + {a}", "M @ {a}", "M.T @ {a}",
    "sigmoid(M) @ {a}", "(M @ M) @ {a}", "(0.5 * M - M.T) @ {a}", "softmax({a})", "{a} - mean({a})",
    "normalised(v + {a})",
    "logsumexp({a}) * {b}", "sum({a} * {b}) * v", "max({a}) * {b}", "where(mean({a}) > 0.0317, {a}, {b})",
    "sigmoid(mean({a})) * {b}", "(mean({a}) * M) @ {b}", "min({a}) * {b}", "tanh(cumsum({a}))",
    "cumsum(softmax({a}), reverse=True)", "logsumexp(stack(min({a}), 0.5)) * {b}",
    "sum(stack(min({a}), mean({b}))) * {b}", "softmax(where({a} > max({a}) - 0.5317, {b}, -1e999))",
)  # fmt: skip
SCALAR = (
    "sum({a})",
    "mean({a})",
    "max({a})",
    "logsumexp({a})",
    "sum({a} * {b})",
    "mean(v * {a})",
    "sum({a} + M @ {a})",
)
STATE = (
    "{a}", "{a}", "tanh({a})", "tanh({a} + 0.5 * {b})", "0.7 * {b} + 0.3 * tanh({a})", "tanh(W @ {b} + {a})", "-{a}",
    "concat(*split({a}, {parts})[::-1])",
)  # fmt: skip

# {o} are scores; t is a token that comes back
TOKEN_STATE = ("argmax({o})", "argmax({o})", "where(mean({a}) > 0.0317, argmax({o}), t)", "draw({o}, {o})")
SCALAR_STATE = ("{s}", "0.9 * m + {s}", "tanh(m + {s})", "{g} * m + tanh({s})", "where(m > 0.0317, {s}, 0.5 * m + {s})")


@dataclass(frozen=True)
class _Value:
    """A value of the circuit being drawn: its text and its size (0 for a scalar)."""

    text: str
    size: int


@dataclass
class _Writer:
    """The source text of a circuit, while it is being written."""

    choose: Choose
    values: list[_Value] = field(default_factory=list)
    lines: dict[str, str] = field(default_factory=dict)  # expressions by name
    parameters: dict[str, tuple[int, ...]] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    dims: dict[str, Dims] = field(default_factory=dict)  # of the matrices that flow in

    def fresh(self, letter: str, *shape: int) -> str:
        name = f"{letter}{len(self.parameters)}"
        self.parameters[name] = shape
        return name

    def vectors(self, size: int | None = None) -> list[_Value]:
        """The vectors so far, the latest several times, so that long chains are drawn and not only wide graphs."""
        found = [v for v in self.values if (v.size if size is None else v.size == size)]
        return found + 2 * found[-3:]

    def line(self, expression: str, size: int, label: str = "a") -> None:
        name = f"{label}{len(self.lines)}"
        self.lines[name] = expression
        self.values.append(_Value(name, size))
        if size:
            self.sizes[name] = size

    def fill(self, rule: str, a: _Value, b: _Value) -> str:
        """The text of a rule, where each of its letters M, v and W becomes a new parameter."""
        text = rule.format(a=a.text, b=b.text, parts=self.parts(a.size))
        for letter, shape in (("M", (a.size, a.size)), ("v", (a.size,)), ("W", (a.size, b.size))):
            if re.search(rf"\b{letter}\b", text):
                text = re.sub(rf"\b{letter}\b", self.fresh(letter, *shape), text)
        return text

    def parts(self, size: int) -> int:
        return self.choose([n for n in (1, 2, 3, 4) if size % n == 0] if size else [1])

    # one more line

    def entrywise(self) -> None:
        a = self.choose(self.values + self.values[-3:])
        b = self.choose([v for v in self.values if v.size in (a.size, 0)])
        self.line(self.fill(self.choose(ENTRYWISE), a, b), a.size)

    def vector(self) -> None:
        a = self.choose(self.vectors())
        self.line(self.fill(self.choose(VECTOR), a, self.choose(self.vectors(a.size))), a.size)

    def scalar(self) -> None:
        a = self.choose(self.vectors())
        self.line(self.fill(self.choose(SCALAR), a, self.choose(self.vectors(a.size))), 0)

    def product(self) -> None:
        """A matrix times a vector; the matrix may already be used in other products."""
        x = self.choose(self.vectors())
        matrices = [(n, s) for n, s in self.parameters.items() if len(s) == 2 and x.size in s]
        if matrices and self.choose([True, False]):
            name, (rows, columns) = self.choose(matrices)
            transposed = columns != x.size
            self.line(f"{name}{'.T' if transposed else ''} @ {x.text}", columns if transposed else rows)
        else:
            rows = self.choose([v.size for v in self.vectors()])
            self.line(f"{self.fresh('W', rows, x.size)} @ {x.text}", rows)

    def joined(self) -> None:
        pieces = [self.choose(self.vectors()) for _ in range(self.choose([2, 2, 3]))]
        expression = f"concat({', '.join(p.text for p in pieces)})"
        size = sum(p.size for p in pieces)
        if size > 2 * WIDE:
            return
        if self.choose([True, False]):
            rows = self.choose([v.size for v in self.vectors()])
            self.line(f"{self.fresh('W', rows, size)} @ {expression}", rows)
        else:
            self.line(self.choose(["{}", "{}", "-{}", "tanh({})"]).format(expression), size)

    def cut(self) -> None:
        a = self.choose(self.vectors())
        n = self.parts(a.size)
        whole = self.choose(["{a}", "{a}", "tanh({a})", "-{a}", "0.5 * {a}"]).format(a=a.text)
        for k in range(n) if self.choose([True, False]) else [self.choose(range(n))]:
            self.line(f"split({whole}, {n})[{k}]", a.size // n)

    def token(self, name: str = "y") -> None:
        size = self.choose([v.size for v in self.vectors()])
        if self.choose([True, False]):
            self.line(f"take({self.fresh('E', self.sizes[name], size)}, {name})", size)
        else:
            self.line(f"{self.fresh('W', size, self.sizes[name])} @ onehot({name})", size)


@dataclass(frozen=True)
class Drawn:
    """A random circuit with its source text and matching sizes."""

    circuit: Circuit
    source: str
    sizes: dict[str, Any]

    @property
    def left_open(self) -> dict[str, Any]:
        """The sizes without the number of rows of the memory, which can be read from the data."""
        return {n: size[1] if n == "F" else size for n, size in self.sizes.items()}

    def __repr__(self) -> str:
        return f"sizes {self.sizes}\n{self.source}"


def random_circuit(choose: Choose, most_lines: int = 8, matrices: bool = False, tokens: bool = False) -> Drawn:
    """Draw a circuit with 0 to 2 inputs, 1 to 3 states and possibly a token with a loss, smooth almost everywhere.

    Args:
        choose: picks one of several options.
        most_lines: the largest number of intermediate values; any of them may be returned or become a state.
        matrices: whether values of a step can be matrices, and inputs fixed in time.
        tokens: whether a state is a token.
    """
    w = _Writer(choose)
    palette = [choose(SIZES), choose(SIZES), choose((*SIZES, *SIZES, WIDE)) if choose([True, False]) else choose(SIZES)]
    inputs, states = ["x", "z"][: choose([0, 1, 1, 2])], ["h", "s", "r"][: choose([1, 1, 2, 3])]
    for name in (*inputs, *states):
        w.sizes[name] = choose(palette)
        w.values.append(_Value(name, w.sizes[name]))
    scalar = choose([True, False, False])
    if scalar:
        w.values.append(_Value("m", 0))
    kinds = [w.entrywise, w.entrywise, w.vector, w.vector, w.scalar, w.product, w.product, w.joined, w.cut]
    token = choose([True, False, False])
    if token:
        w.sizes["y"] = choose((1, 2, 5, 17))
        kinds.append(w.token)
    if tokens:
        w.sizes["t"] = w.sizes["y"] if token else choose((1, 2, 5, 17))
        kinds += 2 * [lambda: w.token("t")]
        w.token("t")
    m = Matrices(w, _matrices(choose, [n for n in palette if n <= 18] or [3]) if matrices else {})
    if matrices:
        m.outer()
        for name in choose([[], ["f"], ["F"], ["f", "F"]]):
            w.sizes[name] = choose([n for n in palette if n <= 18] or [3])
            if name == "f":
                w.values.append(_Value(name, w.sizes[name]))
            else:
                m.looked(name, w.sizes[name])
                kinds += 2 * [lambda: m.looked("F", w.sizes["F"])]
        kinds += 2 * [m.more, m.outer, m.reduced, m.reduced, lambda: m.entrywise(ENTRYWISE)]
    for _ in range(choose(range(most_lines + 1))):
        choose(kinds)()
    returned = {n: _new_state(w, n) for n in states}
    if scalar:
        value = f"{choose(('1', '0.5', *(v.text for v in w.values if not v.size)))} * mean({choose(w.vectors()).text})"
        returned["m"] = choose(SCALAR_STATE).format(s=value, g=w.fresh("g"))
    returned |= {n: m.state(n) for n in m.given if n == "S"}
    if matrices and choose([True, False]):
        returned["P"], w.dims["P"] = choose([found for found in m.found if found[0] not in m.given])
    for name in ["o", "q", "k"][: choose([0, 1, 1, 2, 3])]:
        returned[name] = choose([*w.values, *w.values[-4:], _Value(w.fresh("b", 3), 3)]).text
    if token:
        o = choose(w.vectors())
        returned["L"] = f"nll({w.fresh('V', w.sizes['y'], o.size)} @ {o.text}, y)"
    if tokens:
        o, a = choose(w.vectors()), choose(w.vectors())
        scores = f"{w.fresh('V', w.sizes['t'], o.size)} @ {o.text}"
        returned["t"] = choose(TOKEN_STATE).format(o=scores, a=a.text)
        if choose([True, False]):
            w.sizes["n"] = w.sizes["t"]
            returned["n"] = f"argmax({w.fresh('V', w.sizes['t'], o.size)} @ {o.text})"
    if "F" in w.sizes and choose([True, False]):
        returned["w"] = f"softmax(F @ {m.vector(w.sizes['F'])})"
    w.dims |= m.given
    fixed = [n for n in FIXED if n in w.sizes]
    flowing = [*inputs, *states, *m.given, *fixed, *(["m"] if scalar else []), *(["y"] if token else [])]
    flowing += ["t"] * tokens
    return _written(w, flowing, returned, choose)


def _matrices(choose: Choose, palette: Sequence[int]) -> dict[str, Dims]:
    """The matrices that flow in: a state S, an input X, both or neither."""
    names = choose([["S"], ["S"], ["X"], ["S", "X"], []])
    return {n: (choose(palette), choose(palette)) for n in names}


def _new_state(w: _Writer, name: str) -> str:
    """The new value of a state: a value of its size, or a matrix times another value."""
    size, old = w.sizes[name], next(v for v in w.values if v.text == name)
    if choices := w.choose([w.vectors(size), [v for v in w.vectors() if v.size != size]]):
        value = w.choose(choices)
        if value.size == size:
            return w.fill(w.choose(STATE), value, old)
    value = w.choose(w.vectors())
    bias = w.choose(["", f"{w.fresh('b', size)} + "])
    return f"tanh({bias}{w.fresh('W', size, value.size)} @ {value.text})"


def _written(w: _Writer, arguments: Iterable[str], returned: dict[str, str], choose: Choose) -> Drawn:
    """The circuit without unused lines, with its arguments in random order."""
    needed, waiting = set[str](), [*returned.values()]
    while waiting:
        for name in re.findall(r"[A-Za-z_]\w*", waiting.pop()):
            if name not in needed:
                needed.add(name)
                waiting += [w.lines[name]] if name in w.lines else []
    flowing, order = [n for n in arguments if n in needed or n in returned], list[str]()
    while flowing:
        order.append(flowing.pop(choose(range(len(flowing)))))
    parameters = [n for n in w.parameters if n in needed]
    lines = [f"{n} = {text}" for n, text in w.lines.items() if n in needed]
    lines.append(f"return {{{', '.join(f'{chr(34)}{n}{chr(34)}: {text}' for n, text in returned.items())}}}")
    star = f", *, {', '.join(parameters)}" if parameters else ""
    body = "\n".join(f"    {line}" for line in lines)
    source = f"def drawn({', '.join(order)}{star}):\n{body}\n"
    circuit = read(source, [n for n in returned if n in ("h", "s", "r")], [n for n in order if n in FIXED])
    return Drawn(circuit, source, _sizes(w, circuit, returned))


def _sizes(w: _Writer, circuit: Circuit, returned: dict[str, str]) -> dict[str, Any]:
    """The sizes that the circuit has names for."""
    known = nameable(circuit.recurrence)
    sizes: dict[str, Any] = dict(w.sizes)
    for name, text in returned.items():
        value = next((v for v in w.values if v.text == text), None)
        if name not in sizes and name != "w":
            sizes[name] = value.size if value else 3
    dims = {n: d for n, d in w.dims.items() if names_of_matrix(n)[0] in known}
    dims |= {"F": (3, w.sizes["F"])} if "F" in circuit.inputs else {}
    return {n: size for n, size in sizes.items() if n in known and size} | dims


def circuits(most_lines: int = 8) -> SearchStrategy[Drawn]:
    """A ``hypothesis`` strategy for random circuits, every second one with matrices."""
    from hypothesis import strategies as st

    @st.composite
    def drawn(draw: st.DrawFn) -> Drawn:
        matrices = draw(st.booleans())
        return random_circuit(lambda options: draw(st.sampled_from(options)), most_lines, matrices)

    return drawn()


def read(source: str, vectors: Iterable[str] = (), fixed: Iterable[str] = ()) -> Circuit:
    """The circuit defined by the only function in a source text. Error messages can show its lines.

    Args:
        source: the text.
        vectors: states that are vectors even if the equations would allow scalars.
        fixed: the inputs that are fixed in time.
    """
    file = f"<circuit {abs(hash(source))}>"
    linecache.cache[file] = (len(source), None, source.splitlines(True), file)
    scope: dict[str, Any] = {n: getattr(language, n) for n in language.__all__}
    known = {*scope, "__builtins__"}
    exec(compile(source, file, "exec"), scope)
    (function,) = (value for name, value in scope.items() if name not in known)
    return Circuit(function, read_equations(function, (), frozenset(vectors), tuple(fixed)), {})
