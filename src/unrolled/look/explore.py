"""The front door of the explorer: ``measure`` gives every value and gradient in Python, ``explore`` shows them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from ..circuits.circuit import Circuit
from ..errors import InputError, UsageError
from ..nn.recurrent import Recurrent
from .document import Document
from .example import of_circuit, of_network
from .layer_values import evaluate_layer
from .measurement import Measurement
from .page import content, document
from .reading import of_run
from .subject import Subject

LONGEST = 1000  # most steps on a page


@dataclass(frozen=True)
class Page(Document):
    """The page of the explorer. Notebooks show it.

    Attributes:
        steps: number of steps that it shows.
        loss: their total loss.
        notes: what it shows, in words.
    """

    steps: int
    loss: float
    notes: list[str]


def explore(what: Circuit | Recurrent | Path | str, data: Path | str | None = None, **options: Any) -> Page:
    """A page that shows a network while it reads: the circuit, its unfolding, every value and every gradient.

    >>> page = unrolled.explore(unrolled.cells.lstm)
    >>> page.steps
    49
    >>> page.save("lstm.html")

    Args:
        what: the folder of a run, a network, or a circuit, which gets random parameters.
        data: the file to read, as for ``measure``.
        options: the options of ``measure``: first, steps, piece, layer, hidden, seed, and the inputs of a network.

    Raises:
        UsageError, DataError, InputError: as for ``measure``.
    """
    seen = measure(what, data, **options)
    shown = content(seen.subject, seen.measured)
    notes = [*shown["notes"], seen.problem] if seen.problem else list(shown["notes"])
    return Page(
        document(seen.subject.title, shown, seen.subject.figure), len(seen.measured.unfolded.times), seen.loss, notes
    )


def measure(
    what: Circuit | Recurrent | Path | str,
    data: Path | str | None = None,
    *,
    first: int = 1,
    steps: int = 200,
    piece: int = 1,
    layer: int | None = None,
    hidden: int = 8,
    seed: int = 0,
    **inputs: Tensor,
) -> Measurement:
    """Every value and gradient of a network while it reads one sequence, in float64.

    >>> seen = unrolled.measure(net, x=torch.randn(12, 65))
    >>> seen.values["h"].shape, seen.gradients["h"].shape
    (torch.Size([12, 256]), torch.Size([12, 256]))
    >>> seen.draw()
    <drawing: Circuit elman unfolded for 12 steps.>
    >>> seen.heat("h", "∇h", "L")
    <drawing: Heat maps of elman: h, ∇h, L.>

    Args:
        what: the folder of a run, a network, or a circuit, which gets random parameters.
        data: the file to read: data of the run's task, such as a recording, or a text for a circuit. By default, a
            circuit reads an example.
        first: the first step to show (a character, frame or row), from 1.
        steps: the number of steps to show, at most 1,000.
        piece: which recording of a folder, piece of music or sequence of a table to read, from 1.
        layer: the layer to show, from 1; by default the last.
        hidden: the number of hidden units of a circuit.
        seed: the seed of a circuit's parameters.
        inputs: the inputs of a network by name: vectors (steps, size), or tokens (steps,); those that are fixed in
            time, (size,) or (rows, size).

    Raises:
        UsageError: there is no such layer, no data, or the circuit cannot read the data.
        DataError: the run or the data cannot be read.
        InputError: the inputs do not fit the network, or are given to something else.
    """
    if inputs and not isinstance(what, Recurrent):
        raise InputError(f"only a network takes inputs ({', '.join(inputs)}): make one with unrolled.Recurrent")
    shown, path = min(steps, LONGEST), Path(data) if data is not None else None
    if isinstance(what, Recurrent):
        series = {n: v for n, v in inputs.items() if n not in what.circuit.recurrence.fixed}
        steps = max(map(len, series.values()), default=0)
        subject = of_network(what, inputs | {n: v[first - 1 : first - 1 + shown] for n, v in series.items()})
    elif isinstance(what, Circuit):
        subject = of_circuit(what, path, first, shown, hidden, seed)
    else:
        subject = of_run(Path(what), path, first, shown, piece)
    if subject.steps < steps > LONGEST:
        note = f"Shows {subject.steps:,} of {steps:,} steps; the limit is {LONGEST:,}."
        subject = replace(subject, notes=(*subject.notes, note))
    return Measurement(subject, evaluate_layer(subject, _index(subject, layer)))


def _index(subject: Subject, layer: int | None) -> int:
    """The index of a layer that a user counts from 1; the last by default."""
    layers = len(subject.layers)
    if layer is not None and not 1 <= layer <= layers:
        raise UsageError(f"--layer {layer} does not exist: the network has {layers} layer{'s' * (layers > 1)}")
    return (layer or layers) - 1
