"""The statements of a pass as text, to be read beside the equations.

``x`` in a line is entry j of x; ``x[2h]`` is entry 2h + j. A line that is used once, and not stored, is written where
it is used.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from unrolled.engines.lowering.lower import Lowered
from unrolled.engines.lowering.statements import (
    START,
    Choose,
    Copy,
    Literal,
    Local,
    Loop,
    Number,
    OneHot,
    Part,
    Pick,
    Product,
    Statement,
    Take,
    writes,
)
from unrolled.graph.equations import speller
from unrolled.graph.node import Node
from unrolled.graph.notation import NOTATIONS
from unrolled.graph.printer import Printer
from unrolled.plan.plan import Pass

# spelling and how tightly an operation binds; all others are calls
SPELLED = {
    "add": ("{} + {}", 2),
    "sub": ("{} - {}", 2),
    "mul": ("{} * {}", 3),
    "div": ("{} / {}", 3),
    "neg": ("-{}", 3),
    "less": ("{} < {}", 1),
    "less_equal": ("{} <= {}", 1),
    "equal": ("{} == {}", 1),
    "where": ("{} ? {} : {}", 0),
    "broadcast": ("{}", 0),
}
ATOM = 4
Names = Callable[[Node], str]


def listing(way: Pass, lowered: Lowered) -> str:
    """The statements of a pass, stage by stage, with what it reads and stores."""
    made, (names, meanings) = lowered.schedule, _names(way, lowered)
    name = (way.recurrence.primal or way.recurrence).name
    lines = [f"{name}, {'backward' if way.recurrence.reverse else 'forward'}"]
    for title, nodes in (
        ("reads", [*made.moving, *made.previous]),
        ("parameters", [*made.fixed, *made.matrices]),
        ("stores", made.keep),
    ):
        lines.append(f"  {title}: {', '.join(map(names, nodes)) or 'nothing'}")
    lines += [f"    {short} = {meaning}" for short, meaning in meanings.items()]
    for title, statements in (
        ("for many steps at once", lowered.before),
        ("step by step", lowered.step),
        ("for the same steps at once", lowered.after),
    ):
        if statements:
            lines += [title, *(f"  {line}" for s in statements for line in _statement(s, names))]
    next_values = [f"  {names(s)} ← {_part(p, names)}" for s, p in zip(made.states, lowered.new, strict=True)]
    return "\n".join([*lines, *(["for the next step", *next_values] if made.states else [])])


def _names(way: Pass, lowered: Lowered) -> tuple[Names, dict[str, str]]:
    """The names of the equations; a value without one is numbered, p1, p2, ... for products, v1, v2, ... for others,
    and k1, k2, ... for what the forward pass has kept, with its meaning."""
    recurrence, primal = way.recurrence, way.recurrence.primal
    made, notation = lowered.schedule, NOTATIONS["text"]
    labels = {**(primal or recurrence).labels, **recurrence.labels}
    spell = speller(primal or recurrence, notation, "t", labels)
    arriving = {s: f"{n}(t+1)" for n, s in recurrence.states.items()} if primal else {}
    printer = Printer(notation, lambda node, *where: arriving.get(node) or spell(node, *where))
    named, meanings = dict[Node, str](), dict[str, str]()

    def number(n: Node, letter: str) -> None:
        named[n] = f"{letter}{sum(name.startswith(letter) for name in named.values()) + 1}"

    computed = {p.of for s in (*lowered.before, *lowered.step, *lowered.after) for p in writes(s)}
    for n in (*made.moving, *made.nodes):
        if n in computed and n not in labels:
            number(n, "p" if n.op == "matvec" else "v")
        elif n in made.moving and n not in labels and n.args:
            number(n, "k")
            meanings[named[n]] = printer.expression(n)
    return lambda n: named.get(n) or printer.expression(n), meanings


def _part(part: Part[Node] | Number[Node], names: Names) -> str:
    name = names(part.of)
    return name if isinstance(part, Number) or part.offset == START else f"{name}[{part.offset}]"


def _statement(s: Statement[Node], names: Names) -> Iterator[str]:
    if isinstance(s, Loop):
        yield f"for j < {s.size}"
        yield from (f"  {line}" for line in _loop(s, names))
        return
    to = _part(s.to, names)
    if isinstance(s, Product):
        yield f"{to} = {names(s.matrix)} {_part(s.x, names)}    ({s.rows} × {s.columns})"
    elif isinstance(s, Copy):
        yield f"{to} = {_part(s.x, names)}    ({s.size})"
    elif isinstance(s, Pick):
        yield f"{to} = {_part(s.x, names)}[{_part(s.token, names)}]"
    elif isinstance(s, OneHot):
        yield f"{to} = onehot({_part(s.token, names)})    ({s.size})"
    elif isinstance(s, Take):
        yield f"{to} = {_part(s.x, names)}[{_part(s.token, names)}]    ({s.size})"
    elif isinstance(s, Choose):
        yield f"{to} = {_part(s.x, names)} ? {_part(s.token, names)} : {_part(s.other, names)}"
    else:
        yield f"{to} = {s.op}({_part(s.x, names)})    ({s.size})"


def _loop(s: Loop[Node], names: Names) -> Iterator[str]:
    uses = Counter(a.line for line in s.lines for a in line.args if isinstance(a, Local))
    uses.update(total.line for total in s.totals)
    stored: dict[int, list[str]] = {}
    for store in s.stores:
        stored.setdefault(store.line, []).append(_part(store.to, names))
    names_given, texts = 0, dict[int, tuple[str, int]]()  # of a line: its text, and how tightly that binds

    def argument(a: Part[Node] | Number[Node] | Local | Literal) -> tuple[str, int]:
        if isinstance(a, Local):
            return texts[a.line]
        if isinstance(a, Literal):
            return (f"{a.value:g}" if isinstance(a.value, float) else str(a.value)), ATOM
        return _part(a, names), ATOM

    for i, line in enumerate(s.lines):
        texts[i] = _expression(line.op, [argument(a) for a in line.args])
        targets = stored.get(i, [])
        if not targets and uses[i] > 1:
            names_given += 1
            targets = [f"t{names_given}"]
        if targets:
            yield f"{', '.join(targets)} = {texts[i][0]}"
            texts[i] = targets[0], ATOM
    for total in s.totals:
        yield f"{_part(total.to, names)} = {total.op} of {texts[total.line][0]}"


def _expression(op: str, args: Sequence[tuple[str, int]]) -> tuple[str, int]:
    if op not in SPELLED:
        return f"{op}({', '.join(text for text, _ in args)})", ATOM
    form, level = SPELLED[op]
    least = [level, *[level + 1] * (len(args) - 1)]  # a - b - c is (a - b) - c
    return form.format(*(t if own >= wanted else f"({t})" for (t, own), wanted in zip(args, least, strict=True))), level
