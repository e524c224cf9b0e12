"""What is looked at: layers with their parameters, and the sequence that they read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from ..circuits.circuit import Circuit
from ..errors import CircuitError, DataError, UsageError
from ..graph.bind import bind, nameable, shapes
from ..graph.node import TOKEN
from ..graph.recurrence import Recurrence
from ..graph.size import Size, Solver
from ..nn.recurrent import Recurrent
from ..tasks.language import LanguageModel, check_seed
from ..tasks.language_run import Trained, character_model, printable
from ..tasks.text import Vocabulary, read_text
from ..transform.restrict import without
from .readout import Scored, predicting, with_some_loss

EXAMPLE = "I went to Nepal in 2009. In 2009, I went to Nepal."
ROWS = 24  # steps of an example without text
SIZES = {"input": 3, "state": 8, "output": 4}


@dataclass(frozen=True)
class Layer:
    """A recurrence with numbers. ``reads``: the input that gets what the layer below ``gives``; start: the initial
    states (1, size), where they are not zero."""

    recurrence: Recurrence
    parameters: Mapping[str, Tensor]
    sizes: Mapping[str, int]
    reads: str
    gives: str
    start: Mapping[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class Subject:
    """Layers and one sequence. inputs: by name, (steps, size) or tokens (steps,); those of the first layer, and the
    targets of the last. text: the characters read and the one after the last, where it is a text."""

    title: str
    layers: tuple[Layer, ...]
    scored: Scored
    inputs: Mapping[str, Tensor]
    steps: int
    notes: tuple[str, ...]
    text: str = ""
    vocabulary: str = ""


def of_run(run: Path, data: Path | None, first: int, steps: int) -> Subject:
    """A trained model, reading a piece of a text.

    Raises:
        DataError: no run, or a text that its model cannot read.
        UsageError: no text.
    """
    trained, vocabulary = character_model(run)
    plain = trained.model.embedding is None and not (trained.model.residual or trained.model.backward_layers)
    if not plain:
        raise DataError(f"the model of '{run}' has an embedding, residual connections or two directions: not drawn yet")
    if data is None:
        raise UsageError(f"say what the network of '{run}' is to read: --data FILE, a text")
    text = read_text(data)
    unknown = vocabulary.unknown(text[first - 1 : first + steps])
    if unknown:
        at = text.index(unknown.character, first - 1)
        line, column = text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)
        raise DataError(
            f"{data}:{line}:{column}: the character {unknown.character!r} is none of the {len(vocabulary)} "
            f"that the model has learned:\n  {printable(vocabulary.characters)}"
        )
    return _reading(trained, vocabulary, run.name or str(run), text, data.name, first, steps)


def of_circuit(circuit: Circuit, data: Path | None, first: int, steps: int, hidden: int, seed: int) -> Subject:
    """A circuit with random parameters: reading a text if it can, else rows of random numbers.

    Raises:
        DataError, UsageError: a text that cannot be read, sizes that do not fit.
    """
    check_seed(seed)
    torch.manual_seed(seed)
    text = read_text(data) if data else EXAMPLE
    vocabulary = Vocabulary.of(text[first - 1 : first + steps])
    try:
        try:
            model = LanguageModel(circuit, max(2, len(vocabulary)), hidden)
        except UsageError:
            model = LanguageModel(circuit, max(2, len(vocabulary)))  # the equations leave no size to choose
    except CircuitError as problem:
        if data:
            raise UsageError(f"'{circuit.name}' cannot read '{data}': {problem}") from None
        return _rows(circuit, min(steps, ROWS), hidden)
    subject = _reading(
        Trained(circuit, model, vocabulary, ""), vocabulary, circuit.name, text, data.name if data else "", first, steps
    )
    note = "The parameters are random: nothing has been learned."
    return Subject(**{**vars(subject), "notes": (note, *subject.notes)})


def _reading(
    trained: Trained, vocabulary: Vocabulary, title: str, text: str, name: str, first: int, steps: int
) -> Subject:
    piece = text[first - 1 : first + steps]
    if len(piece) < 2:
        what = f"'{name}'" if name else "the text"
        raise DataError(
            f"{what} has {len(text)} characters; to read one and predict the next takes two or more"
            + f" from --first {first} on" * (first > 1)
        )
    notes = []
    if name:
        last = first + len(piece) - 2
        notes.append(f"Of the {len(text):,} characters of {name}, the network reads number {first:,} to {last:,}.")
    model, tokens = trained.model, vocabulary.encode(piece)
    last_layer = len(model.layers) - 1
    layers = []
    for k, net in enumerate(model.layers):
        assert isinstance(net, Recurrent)
        step = net.circuit.recurrence
        read_out = model.read_out if isinstance(model.read_out, nn.Linear) and k == last_layer else None
        scored = predicting(step, model.output, [model.input], read_out is not None)
        parameters = {n: p.detach().double() for n, p in net.named_parameters() if n in scored.recurrence.parameters}
        if read_out is not None:
            parameters |= {
                scored.weight: read_out.weight.detach().double(),
                scored.bias: read_out.bias.detach().double(),
            }
        part = scored.recurrence if k == last_layer else without(step, set(step.inputs) - {model.input})
        sizes = {n: v for n, v in net.sizes.items() if n in nameable(part)}
        if read_out is not None:
            sizes[scored.scores] = len(vocabulary)
        numbers = bind(part, sizes)
        layers.append(
            Layer(
                part, {n: p for n, p in parameters.items() if n in part.parameters}, numbers, model.input, model.output
            )
        )
    inputs = {model.input: tokens[:-1], scored.target: tokens[1:]}
    return Subject(title, tuple(layers), scored, inputs, len(piece) - 1, tuple(notes), piece, vocabulary.characters)


def _rows(circuit: Circuit, steps: int, hidden: int) -> Subject:
    """Random numbers for every input."""
    scored = with_some_loss(circuit.recurrence)
    step = scored.recurrence
    sizes = _sizes(step, hidden)
    parameters = {}
    for name, shape in shapes(step, sizes).items():
        parameters[name] = torch.empty(shape, dtype=torch.float64)
        circuit.initialise(name, parameters[name])
    inputs = {}
    for name, node in step.inputs.items():
        size = node.type.dims[0].value(sizes) if node.type.dims else 1
        tokens = node.type.kind == TOKEN
        inputs[name] = torch.randint(size, (steps,)) if tokens else torch.randn(steps, size, dtype=torch.float64)
    notes = ["The parameters are random: nothing has been learned."]
    if inputs:
        notes.append("So are the inputs.")
    if scored.recurrence is not circuit.recurrence:
        notes.append("The circuit has no loss; the sum of its output stands for one.")
    start = {}
    if not inputs:  # from a state of zeros nothing would happen
        start = {n: torch.randn(1, s.type.dims[0].value(sizes), dtype=torch.float64) for n, s in step.states.items()}
    steps = steps if inputs else steps - 1  # an autonomous circuit starts at time 1
    layer = Layer(step, parameters, sizes, "", "", start)
    return Subject(circuit.name, (layer,), scored, inputs, steps, tuple(notes))


def _sizes(step: Recurrence, hidden: int) -> dict[str, int]:
    """A size for all that is free: small for inputs and outputs, ``hidden`` for states."""
    solver, known, given = Solver(), nameable(step), {}
    for names, number in ((step.states, hidden), (step.inputs, SIZES["input"]), (known, SIZES["output"])):
        for name in names:
            if name in known and solver.resolve(known[name]).terms:
                solver.equal(known[name], Size.of(number))
                given[name] = number
    return bind(step, given)
