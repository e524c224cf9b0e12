"""A character language model: what it is made of, how good it is, and what it writes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from ..circuits.circuit import Circuit
from ..errors import CircuitError, UsageError
from ..graph.bind import nameable
from ..graph.node import TOKEN, order
from ..graph.recurrence import Recurrence
from ..graph.size import Conflict, Size, Solver
from ..nn.recurrent import Recurrent
from ..sequence.streams import rest, windows
from ..train.loop import States
from ..train.losses import nll

HIDDEN = 128
WINDOW = 256  # steps at a time when nothing is learned; makes no difference to the result


class LanguageModel(nn.Module):
    """Scores for the next character: layers of a circuit, the first of which reads characters.

    The scores are the value o that the last layer returns; circuits that return none get a linear read-out of
    their first state.

    >>> model = LanguageModel(cells.gru, characters=65, hidden=128)
    >>> scores, states = model(torch.randint(65, (16, 64)))
    >>> scores.shape, states[0].h.shape
    (torch.Size([16, 64, 65]), torch.Size([16, 128]))

    Args:
        circuit: with exactly one input, besides those that only a loss needs.
        characters: size of the vocabulary.
        hidden: the sizes that the circuit leaves free; 128 when not given.
        layers: each reads what the one below gives: o, or else the first state.

    Raises:
        CircuitError: a circuit with no input or several.
        UsageError: sizes that are not whole numbers from 1, or a hidden size where nothing is left to choose.
    """

    def __init__(self, circuit: Circuit, characters: int, hidden: int | None = None, layers: int = 1) -> None:
        super().__init__()
        for name, number in (("hidden", hidden), ("layers", layers)):
            if number is not None and number < 1:
                raise UsageError(f"{name} must be a whole number from 1, got {number}")
        self.input = _only_input(circuit)
        self.output = "o" if _returns_scores(circuit.recurrence) else circuit.states[0]
        if layers > 1 and circuit.recurrence.inputs[self.input].type.kind == TOKEN:
            raise CircuitError(
                f"circuit '{circuit.name}' reads tokens, which only the first layer gets; "
                f"with layers={layers} the others get vectors. Use one layer, or write U @ {self.input}"
            )
        stack: list[Recurrent] = []
        width = characters
        for layer in range(1, layers + 1):
            scores = characters if layer == layers else hidden or HIDDEN
            sizes = _sizes(circuit, self.input, width, scores, hidden)
            try:
                stack.append(Recurrent(circuit, **sizes))
            except RuntimeError as problem:  # so torch says that memory does not suffice
                raise UsageError(f"a model with hidden={hidden} cannot be made: {str(problem)[:200]}") from None
            width = stack[-1].sizes[self.output]
        self.hidden = hidden or (HIDDEN if set(sizes) - {self.input, "o"} else None)
        self.layers = nn.ModuleList(stack)
        self.read_out = nn.Identity() if self.output == "o" else nn.Linear(width, characters)

    @property
    def first(self) -> Recurrent:
        """The layer that reads characters."""
        layer = self.layers[0]
        assert isinstance(layer, Recurrent)
        return layer

    def forward(self, tokens: Tensor, states: States | None = None) -> tuple[Tensor, States]:
        """Scores (batch, time, characters) for the character after each of ``tokens`` (batch, time), and the
        states after the last."""
        values, after = tokens, []
        for layer, state in zip(self.layers, states or [None] * len(self.layers), strict=True):
            out = layer(state=state, **{self.input: values})
            values = out[self.output]
            after.append(out.state)
        return self.read_out(values), tuple(after)


def bits_per_character(model: LanguageModel, series: Tensor, piece: int = 2000) -> float:
    """How many bits the model needs for each character of a text, on average.

    The text (characters,) is read as contiguous pieces side by side, at most 64 of at least ``piece`` characters.
    Each starts from the state of zeros, so short ones make it faster and the result a little worse. Every character
    but the first of the text is predicted once.
    """
    rows = max(1, min(64, len(series) // piece))
    total, states = 0.0, None
    with torch.no_grad():
        for x, y in windows(series, rows, WINDOW):
            scores, states = model(x, states)
            total += nll(scores, y).item()
        if (remaining := rest(series, rows)) and states:
            scores, _ = model(remaining.x, tuple(state.select([-1]) for state in states))
            total += nll(scores, remaining.y).item()
    return total / (len(series) - 1) / math.log(2)


def write(model: LanguageModel, start: Tensor, length: int, temperature: float = 1.0, seed: int = 0) -> Iterator[int]:
    """Characters one by one, each drawn from what the model expects after those before it.

    Args:
        start: the characters (at least one,) that are read first, and not given back.
        temperature: scores are divided by it: below 1 bolder, above 1 more varied; 0 takes the likeliest.
        seed: the same seed gives the same text.
    """
    check_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        scores, states = model(start[None])
        for _ in range(length):
            last = scores[0, -1].double()
            if temperature == 0:
                drawn = last.argmax()[None]
            else:
                drawn = torch.multinomial(torch.softmax(last / temperature, 0), 1, generator=generator)
            yield int(drawn)
            scores, states = model(drawn[None], states)


def check_seed(seed: int) -> None:
    """Refuse what torch's generators do not take."""
    if not 0 <= seed < 2**63:
        raise UsageError(f"the seed must be a whole number from 0 to 2**63 - 1, got {seed}")


def _only_input(circuit: Circuit) -> str:
    """The input that carries the characters; others may be needed by a loss alone, which is left out."""
    recurrence = circuit.recurrence
    roots = [recurrence.returns[n] for n in recurrence.states]
    roots += [recurrence.returns["o"]] if _returns_scores(recurrence) else []
    reached = set(order(roots))
    needed = [n for n, node in recurrence.inputs.items() if node in reached]
    if len(needed) != 1:
        has = f"has the inputs {', '.join(needed)}" if needed else "has no input that its states depend on"
        raise CircuitError(
            f"a language model reads one character a step, so its circuit needs exactly one input; "
            f"'{circuit.name}' {has}"
        )
    return needed[0]


def _returns_scores(recurrence: Recurrence) -> bool:
    return "o" in recurrence.returns and len(recurrence.returns["o"].type.dims) == 1


def _sizes(circuit: Circuit, source: str, width: int, scores: int, hidden: int | None) -> dict[str, Any]:
    """Sizes by name: of the input, of the scores, and the hidden size for all that is still free."""
    known = nameable(circuit.recurrence)
    sizes = {source: width} | ({"o": scores} if _returns_scores(circuit.recurrence) else {})
    solver = Solver()
    try:
        for name, number in sizes.items():
            solver.equal(known[name], Size.of(number))
        free = []
        for name in [*circuit.states, *known]:
            if solver.resolve(known[name]).terms:
                free.append(name)
                solver.equal(known[name], Size.of(hidden or HIDDEN))
    except Conflict:
        return sizes | dict.fromkeys(circuit.states, hidden or HIDDEN)  # Recurrent says what contradicts what
    if hidden and not free:
        fixed = ", ".join(f"{n}={solver.resolve(known[n])}" for n in circuit.states)
        raise UsageError(
            f"the equations of '{circuit.name}' leave no hidden size to choose: with {source}={width} "
            f"they give {fixed}. Leave hidden out"
        )
    return sizes | dict.fromkeys(free, hidden or HIDDEN)
