"""The subject of a page: layers with their parameters, and the sequence that they read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor, nn

from ..data.goal import Goal
from ..errors import DataError
from ..graph.bind import bind, nameable
from ..graph.node import order
from ..graph.recurrence import Recurrence
from ..nn.model import SequenceModel
from ..nn.recurrent import Recurrent
from .readout import Scored, predicting, reading_only


@dataclass(frozen=True)
class Layer:
    """One layer.

    Attributes:
        recurrence: its step.
        parameters: by name.
        sizes: by name.
        reads: the input that receives the output of the layer below.
        gives: the output for the layer above.
        start: the initial states (1, size) that are not zero, by name.
    """

    recurrence: Recurrence
    parameters: Mapping[str, Tensor]
    sizes: Mapping[str, int]
    reads: str
    gives: str
    start: Mapping[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class Track:
    """The input as it is drawn next to the numbers, unless it is a text.

    Attributes:
        kind: 'audio' or 'rows'.
        values: (points, columns); for audio, the minimum and maximum of the samples. NaN means missing.
        names: the names of the columns.
        per: points per step.
        seconds: the length of a step of audio.
    """

    kind: str
    values: Tensor
    names: tuple[str, ...]
    per: int = 1
    seconds: float = 0.0


@dataclass(frozen=True)
class Reading:
    """One sequence and its targets.

    Attributes:
        x: the input: vectors (steps, size) or tokens (steps,).
        y: the targets, in the same form.
        goal: what the scores are compared with, see ``data.goal``.
        notes: what is read, in words.
        text: the characters, words or subwords of a text, and the one after the last.
        vocabulary: the text of each token.
        track: the input as it is drawn, unless it is a text.
        figure: what the model makes of the data as SVG, if there is a picture of it.
    """

    x: Tensor
    y: Tensor
    goal: Goal
    notes: tuple[str, ...] = ()
    text: tuple[str, ...] = ()
    vocabulary: tuple[str, ...] = ()
    track: Track | None = None
    figure: str = ""


@dataclass(frozen=True)
class Subject:
    """Layers and one sequence.

    Attributes:
        title: the title of the page.
        layers: from the first to the last.
        scored: the last layer's step with its loss.
        inputs: the inputs of the first layer and the targets of the last, by name: (steps, size) or tokens (steps,).
        steps: the length of the sequence.
        notes: what is shown, in words.
        text: as in ``Reading``.
        vocabulary: as in ``Reading``.
        track: as in ``Reading``.
        figure: as in ``Reading``.
        once: whether the loss counts at the last step only; otherwise it is summed over steps.
    """

    title: str
    layers: tuple[Layer, ...]
    scored: Scored
    inputs: Mapping[str, Tensor]
    steps: int
    notes: tuple[str, ...]
    text: tuple[str, ...] = ()
    vocabulary: tuple[str, ...] = ()
    track: Track | None = None
    figure: str = ""
    once: bool = False


def of_model(title: str, model: SequenceModel, reading: Reading) -> Subject:
    """The subject of a trained model that reads a sequence. An embedding is shown as part of the matrices that read it.

    Raises:
        DataError: the model is more than a stack of layers.
    """
    if model.residual or model.backward_layers:
        raise DataError(
            f"the model of '{title}' has residual connections or two directions, which the explorer cannot show. "
            "Choose a model without them, or only its cell"
        )
    steps, last = len(reading.x), len(model.layers) - 1
    layers = []
    for k, net in enumerate(model.layers):
        assert isinstance(net, Recurrent)
        step = net.circuit.recurrence
        read_out = model.read_out if isinstance(model.read_out, nn.Linear) and k == last else None
        mean_over = steps if model.answer == "mean" else 0
        scored = predicting(step, model.output, [model.input], read_out is not None, reading.goal, mean_over)
        part = scored.recurrence if k == last else reading_only(step, [model.input])
        parameters = {n: p.detach().double() for n, p in net._weights().items() if n in part.parameters}
        sizes = {n: v for n, v in net.sizes.items() if n in nameable(part)}
        if model.embedding is not None and k == 0:
            parameters |= _without_embedding(title, part, model.input, parameters, model.embedding.weight)
            sizes[model.input] = len(model.embedding.weight)
        if read_out is not None:
            weight, bias = read_out.weight.detach().double(), read_out.bias.detach().double()
            parameters |= {scored.weight: weight, scored.bias: bias}
            sizes[scored.scores] = len(bias)
        layers.append(Layer(part, parameters, bind(part, sizes), model.input, model.output))
    inputs = {model.input: reading.x, scored.target: reading.y}
    about = (reading.notes, reading.text, reading.vocabulary, reading.track, reading.figure)
    return Subject(title, tuple(layers), scored, inputs, steps, *about, once=model.answer != "every")


def _without_embedding(
    title: str, step: Recurrence, source: str, parameters: Mapping[str, Tensor], table: Tensor
) -> dict[str, Tensor]:
    """The matrices that read one-hot vectors instead of their embeddings: U @ (E @ onehot) = (U @ E) @ onehot.

    Args:
        source: the input.
        parameters: by name.
        table: the embedding of each token, (tokens, size).

    Raises:
        DataError: the step reads the embedding in another way than by a product with a matrix.
    """
    names = {node: name for name, node in step.parameters.items()}
    matrices = set()
    for node in order([*step.returns.values()]):
        if step.inputs[source] in node.args:
            if node.op != "matvec" or node.args[0] not in names:
                raise DataError(
                    f"the model of '{title}' has an embedding that is not only multiplied by matrices, which the "
                    "explorer cannot show. Train without it: --set model.embedding=0"
                )
            matrices.add(names[node.args[0]])
    return {name: parameters[name] @ table.detach().double().T for name in matrices}
