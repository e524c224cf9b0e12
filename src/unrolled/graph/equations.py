"""The equations of a recurrence, line by line."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping

from .node import TOKEN, Node, is_fixed, order
from .notation import NOTATIONS, Format, Text
from .printer import Printer
from .recurrence import Recurrence

SHORT = 3  # an expression that mentions more values than this is printed once, on a line of its own with a name


def equations(recurrence: Recurrence, format: Format = "text") -> str:
    """One line per named value of a step, in order of computation."""
    notation = NOTATIONS[format]
    labels = readable(recurrence)
    printer = Printer(notation, speller(recurrence, notation, "t", labels))
    drawn = [notation.drawn(printer.expression(recurrence.inputs[n]), each) for n, each in recurrence.drawn.items()]
    lines = [notation.line(name, body) for name, body in _definitions(recurrence, printer, labels)]
    return notation.lines(drawn + lines)


def readable(recurrence: Recurrence) -> dict[Node, str]:
    """The names of a recurrence's values, plus new names (u1, u2, ...) for long expressions used repeatedly."""
    return named_once(recurrence.returns.values(), recurrence.labels, "u")


def named_once(
    roots: Iterable[Node], labels: Mapping[Node, str], letter: str, known: Collection[Node] = ()
) -> dict[Node, str]:
    """The labels, plus a name for every other node that is long and used more than once: a letter and a number."""
    named = dict(labels)
    users: dict[Node, set[Node]] = {}
    nodes = order(roots, known)
    for node in nodes:
        for arg in node.args:
            users.setdefault(arg, set()).add(node)
    letter, count = _free(letter, (*nodes, *known), labels), 0
    for node in nodes:
        if len(users.get(node, ())) > 1 and node.args and node not in named and length(node, named) > SHORT:
            count += 1
            named[node] = f"{letter}{count}"
    return named


def _free(letter: str, nodes: Iterable[Node], labels: Mapping[Node, str]) -> str:
    """The letter, or another one if the parts of a value, or other values, are printed as that letter and a number."""
    taken = {labels[n.args[0]] for n in nodes if n.op == "slice" and n.args[0] in labels}
    taken |= {name.rstrip("0123456789_") for name in labels.values() if name[-1].isdigit()}
    others = (x for x in "pryzjl" if x not in {*taken, *labels.values()})
    return letter if letter not in taken else next(others, 2 * letter)


def length(node: Node, named: Mapping[Node, str]) -> int:
    """The number of values that the printed expression mentions."""
    return sum(1 if a in named or not a.args else length(a, named) for a in node.args if a.op != "constant")


def _definitions(recurrence: Recurrence, printer: Printer, labels: Mapping[Node, str]) -> list[tuple[str, str]]:
    lines = []
    for node in order(labels):
        if node in labels:
            lines.append((printer.expression(node), printer.expression(node, named=False)))
    for name, node in recurrence.returns.items():
        if labels.get(node) != name:  # a second name, or an input that is returned unchanged
            lines.append((printer.notation.name(name, "t", None, is_scalar(node)), printer.expression(node)))
    return lines


def is_scalar(node: Node) -> bool:
    """Whether the value is a single number: a scalar, or the index of a token."""
    return not node.type.dims or node.type.kind == TOKEN


def time(base: str, shift: int) -> str:
    """The time ``base`` plus a number of steps: t, t-1, t+1."""
    return base if shift == 0 else f"{base}{shift:+d}"


def speller(
    recurrence: Recurrence, notation: Text, base: str, labels: Mapping[Node, str]
) -> Callable[[Node, int, int | None], str | None]:
    """A function that names nodes as seen from time ``base``. A state leaf is the state one step earlier."""
    earlier = set(recurrence.states.values())

    def spell(node: Node, shift: int, piece: int | None) -> str | None:
        if node in labels:
            return notation.name(labels[node], time(base, shift), piece, is_scalar(node))
        if node in earlier:
            return notation.name(node["name"], time(base, shift - 1), piece)
        if node.op == "input" and not is_fixed(node):
            earlier_by = 1 if dict(node.attrs).get("delayed") else 0  # a state given from outside
            return notation.name(node["name"], time(base, shift - earlier_by), piece, is_scalar(node))
        if node.op == "parameter" or is_fixed(node):
            return notation.name(node["name"], None, piece)
        return None

    return spell
