"""What is looked at: layers with their parameters, and the sequence that they read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor, nn

from ..data.goal import Goal
from ..errors import DataError
from ..graph.bind import bind, nameable
from ..graph.recurrence import Recurrence
from ..nn.model import SequenceModel
from ..nn.recurrent import Recurrent
from ..transform.restrict import without
from .readout import Scored, predicting


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
class Track:
    """What is read, as it is drawn beside the numbers where it is no text.

    kind: 'audio' or 'rows'; values: (points, columns), ``per`` points to a step: of audio the least and the most of
    its samples; NaN where nothing is known; names: of the columns; seconds: the length of a step of audio.
    """

    kind: str
    values: Tensor
    names: tuple[str, ...]
    per: int = 1
    seconds: float = 0.0


@dataclass(frozen=True)
class Reading:
    """One sequence and what should come of it: x (steps, size) or tokens (steps,), y likewise.

    goal: what the scores are compared with; text, vocabulary: the pieces of a text that are read, with the one
    after the last, and what the numbers of tokens stand for.
    """

    x: Tensor
    y: Tensor
    goal: Goal
    notes: tuple[str, ...] = ()
    text: tuple[str, ...] = ()
    vocabulary: tuple[str, ...] = ()
    track: Track | None = None


@dataclass(frozen=True)
class Subject:
    """Layers and one sequence. inputs: by name, (steps, size) or tokens (steps,); those of the first layer, and the
    targets of the last. once: whether the loss is that of the last step alone, else the sum over steps."""

    title: str
    layers: tuple[Layer, ...]
    scored: Scored
    inputs: Mapping[str, Tensor]
    steps: int
    notes: tuple[str, ...]
    text: tuple[str, ...] = ()
    vocabulary: tuple[str, ...] = ()
    track: Track | None = None
    once: bool = False


def of_model(title: str, model: SequenceModel, reading: Reading) -> Subject:
    """A model that reads a sequence.

    Raises:
        DataError: a model that is more than a stack of layers.
    """
    if model.embedding is not None or model.residual or model.backward_layers:
        raise DataError(
            f"the model of '{title}' has an embedding, residual connections or two directions, which no page shows. "
            "Look at a model without, or at its cell alone"
        )
    steps, last = len(reading.x), len(model.layers) - 1
    layers = []
    for k, net in enumerate(model.layers):
        assert isinstance(net, Recurrent)
        step = net.circuit.recurrence
        read_out = model.read_out if isinstance(model.read_out, nn.Linear) and k == last else None
        mean_over = steps if model.answer == "mean" else 0
        scored = predicting(step, model.output, [model.input], read_out is not None, reading.goal, mean_over)
        part = scored.recurrence if k == last else without(step, set(step.inputs) - {model.input})
        parameters = {n: p.detach().double() for n, p in net._weights().items() if n in part.parameters}
        sizes = {n: v for n, v in net.sizes.items() if n in nameable(part)}
        if read_out is not None:
            weight, bias = read_out.weight.detach().double(), read_out.bias.detach().double()
            parameters |= {scored.weight: weight, scored.bias: bias}
            sizes[scored.scores] = len(bias)
        layers.append(Layer(part, parameters, bind(part, sizes), model.input, model.output))
    inputs = {model.input: reading.x, scored.target: reading.y}
    about = (reading.notes, reading.text, reading.vocabulary, reading.track)
    return Subject(title, tuple(layers), scored, inputs, steps, *about, once=model.answer != "every")
