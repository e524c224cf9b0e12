"""The subject for a circuit, with random parameters and an example to read, or for a network with given inputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from ..circuits.circuit import Circuit
from ..data.characters import Vocabulary
from ..data.reading import check_seed
from ..errors import CircuitError, InputError, UsageError
from ..files.text import read_text
from ..graph.bind import bind, nameable, shapes
from ..graph.node import TOKEN, Node
from ..graph.recurrence import Recurrence
from ..graph.size import Size, Solver
from ..nn.fixed import fixed_inputs
from ..nn.model import SequenceModel
from ..nn.narrow_weights import wide_weights
from ..nn.recurrent import Recurrent
from .reading import of_text
from .readout import reading_only, with_some_loss
from .subject import Layer, Subject, of_model

EXAMPLE = "I went to Nepal in 2009. In 2009, I went to Nepal."
ROWS = 24  # steps of an example of random numbers
SIZES = {"input": 3, "state": 8, "output": 6}
NO_LOSS = "The circuit has no loss, so the sum of its output is used."


def of_circuit(circuit: Circuit, data: Path | None, first: int, steps: int, hidden: int, seed: int) -> Subject:
    """A circuit with random parameters that reads a text if it can, and otherwise random numbers.

    Args:
        circuit: the circuit.
        data: a text; by default an example.
        first: the first character to read, from 1.
        steps: the largest number of steps.
        hidden: the number of hidden units.
        seed: the seed of the parameters.

    Raises:
        DataError: the text cannot be read.
        UsageError: the circuit cannot read a text.
    """
    check_seed(seed)
    torch.manual_seed(seed)
    text = read_text(data) if data else EXAMPLE
    vocabulary = Vocabulary.of(text[first - 1 : first + steps])
    try:
        size = max(2, len(vocabulary))
        try:
            model = SequenceModel(circuit, size, size, hidden)
        except UsageError:
            model = SequenceModel(circuit, size, size)  # the equations fix the number of units
    except CircuitError as problem:
        if data:
            raise UsageError(f"'{circuit.name}' cannot read '{data}': {problem}") from None
        return _rows(circuit, min(steps, ROWS), hidden)
    subject = of_model(circuit.name, model, of_text(vocabulary, text, data, first, steps))
    note = "The parameters are random; the network is untrained."
    return replace(subject, notes=(note, *subject.notes))


def of_network(net: Recurrent, inputs: Mapping[str, Tensor]) -> Subject:
    """A network with its own parameters that reads one sequence.

    Args:
        net: the network.
        inputs: by name, vectors (steps, size) or tokens (steps,); those that are fixed in time, (size,) or (rows,
            size).

    Raises:
        InputError: the network has no such inputs, they do not fit it, or their lengths differ.
    """
    batch = {n: v[None] if isinstance(v, Tensor) else v for n, v in inputs.items()}
    memory = fixed_inputs(net._incoming(), net._sizes, batch)
    if memory.ragged:
        raise InputError("one sequence has one memory: give a tensor (rows, size) instead of a Ragged")
    fixed = memory.values
    given = {n: memory.check.series(n, v)[0] for n, v in batch.items() if n not in fixed}
    lengths = {n: len(v) for n, v in given.items()}
    if not lengths or len(set(lengths.values())) > 1 or 0 in lengths.values():
        said = ", ".join(f"{n}: {k}" for n, k in lengths.items()) or "none"
        raise InputError(f"all inputs must have the same number of steps, at least 1, got {said}")
    step = reading_only(net.circuit.recurrence, inputs)
    scored = with_some_loss(step)
    part = scored.recurrence
    parameters = {n: p.detach().double() for n, p in wide_weights(net).items() if n in part.parameters}
    sizes = bind(part, {n: v for n, v in memory.check.sizes.items() if n in nameable(part)})
    note = () if scored.loss in step.returns else (NO_LOSS,)
    series = {
        n: v.double() if v.is_floating_point() else v for n, v in (given | {n: v[0] for n, v in fixed.items()}).items()
    }
    layer = Layer(part, parameters, sizes, "", "")
    return Subject(net.circuit.name, (layer,), scored, series, next(iter(lengths.values())), note)


def _rows(circuit: Circuit, steps: int, hidden: int) -> Subject:
    """A circuit with random parameters and random numbers for every input."""
    known = circuit.recurrence
    scored = with_some_loss(reading_only(known, known.inputs.keys() - known.drawn.keys()))
    step = scored.recurrence
    sizes = _sizes(step, hidden)
    parameters = {}
    for name, shape in shapes(step, sizes).items():
        parameters[name] = torch.empty(shape, dtype=torch.float64)
        circuit.initialise(name, parameters[name])
    inputs = {}
    for name, node in step.inputs.items():
        inputs[name] = _random(node, sizes, 1)[0] if name in step.fixed else _random(node, sizes, steps)
    notes = [f"The parameters {'and inputs ' if inputs else ''}are random; the network is untrained."]
    if scored.loss not in known.returns:
        notes.append(NO_LOSS)
    start = {}
    if not step.series:  # a state of zeros might stay zero
        start = {n: _random(s, sizes, 1) for n, s in step.states.items()}
    steps = steps if step.series else steps - 1  # an autonomous circuit starts at time 1
    layer = Layer(step, parameters, sizes, "", "", start)
    return Subject(circuit.name, (layer,), scored, inputs, steps, tuple(notes))


def _random(node: Node, sizes: Mapping[str, int], rows: int) -> Tensor:
    """Random values (rows, size), or tokens (rows,)."""
    if node.type.kind == TOKEN:
        return torch.randint(node.type.dims[0].value(sizes), (rows,))
    return torch.randn(rows, *node.type.shape(sizes), dtype=torch.float64)


def _sizes(step: Recurrence, hidden: int) -> dict[str, int]:
    """A size for each value that the equations leave open: ``hidden`` for states, small ones for the others."""
    solver, known, given = Solver(), nameable(step), {}
    for names, number in ((step.states, hidden), (step.inputs, SIZES["input"]), (known, SIZES["output"])):
        for name in names:
            if name in known and solver.resolve(known[name]).terms:
                solver.equal(known[name], Size.of(number))
                given[name] = number
    return bind(step, given)
