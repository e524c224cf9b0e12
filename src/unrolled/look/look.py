"""The front door of the explorer: a page, or its numbers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from html import escape
from pathlib import Path
from typing import Any

from torch import Tensor

from ..circuits.circuit import Circuit
from ..errors import InputError, UsageError
from ..files.write import write_text
from ..nn.recurrent import Recurrent
from .example import of_circuit, of_network
from .measure import measure as measure_layer
from .measurement import Measurement
from .page import content, document
from .reading import of_run
from .subject import Subject

LONGEST = 1000  # steps of a page


@dataclass(frozen=True)
class Page:
    """A page of the explorer, the number of its steps, their total loss, and its notes. Notebooks show it."""

    html: str
    steps: int
    loss: float
    notes: list[str]

    def save(self, path: str | Path) -> None:
        """Write the page to FILE.html. Raises DataError if it cannot be written."""
        write_text(Path(path), self.html)

    def _repr_html_(self) -> str:
        return f'<iframe srcdoc="{escape(self.html)}" style="width:100%;height:900px;border:0"></iframe>'


def explore(what: Circuit | Recurrent | Path | str, data: Path | str | None = None, **options: Any) -> Page:
    """A page that shows a network while it reads: a run folder, a network, or a circuit with random parameters.

    >>> page = unrolled.explore(unrolled.cells.lstm)
    >>> page.steps
    49

    Args:
        what: a circuit, a network, or the folder of a run.
        data: what to read: a text, or the kind of data that a run was trained on. A circuit has an example.
        options: first, steps: the first step to show (a character, frame or row), and the largest number (200).
            piece: the recording of a folder, piece of music or sequence of a table, from 1.
            layer: the layer to show, from 1; by default the last one.
            hidden, seed: the size (8) and the random seed of a circuit's network.
            All others are what a network reads, by name: (steps, size), or tokens (steps,).

    Raises:
        UsageError, DataError, InputError: the network cannot be shown, and why.
    """
    subject, shown = _subject(what, data, **options)
    measured = measure_layer(subject, shown - 1)
    data_of_page = content(subject, measured, shown - 1)
    notes = list(data_of_page["notes"])
    if measured.problem:
        notes.append(str(measured.problem))
    return Page(document(subject.title, data_of_page), len(measured.unfolded.times), measured.total, notes)


def measure(what: Circuit | Recurrent | Path | str, data: Path | str | None = None, **options: Any) -> Measurement:
    """Every value and gradient of a network while it reads one sequence, in float64.

    >>> seen = unrolled.measure(net, x=torch.randn(12, 65))
    >>> seen.values["h"].shape, seen.gradients["h"].shape
    (torch.Size([12, 256]), torch.Size([12, 256]))
    >>> seen.draw()
    <drawing: Circuit elman unfolded for 12 steps.>
    >>> seen.heat("h", "∇h", "L")
    <drawing: Heat maps of elman: h, ∇h, L.>

    Arguments and errors are those of ``explore``.
    """
    subject, shown = _subject(what, data, **options)
    return Measurement(subject, measure_layer(subject, shown - 1))


def _subject(
    what: Circuit | Recurrent | Path | str,
    data: Path | str | None,
    *,
    first: int = 1,
    steps: int = 200,
    piece: int = 1,
    layer: int | None = None,
    hidden: int = 8,
    seed: int = 0,
    **inputs: Tensor,
) -> tuple[Subject, int]:
    """What is shown, and the number of its layer."""
    fewer, path = min(steps, LONGEST), Path(data) if data is not None else None
    if inputs and not isinstance(what, Recurrent):
        raise InputError(f"inputs ({', '.join(inputs)}) need a network: unrolled.Recurrent(circuit, ...)")
    if isinstance(what, Recurrent):
        longest = max((len(v) for v in inputs.values()), default=0)
        subject, steps = of_network(what, {n: v[first - 1 : first - 1 + fewer] for n, v in inputs.items()}), longest
    elif isinstance(what, Circuit):
        subject = of_circuit(what, path, first, fewer, hidden, seed)
    else:
        subject = of_run(Path(what), path, first, fewer, piece)
    if subject.steps < steps > LONGEST:
        note = f"Only the first {LONGEST:,} of {steps:,} steps are shown."
        subject = replace(subject, notes=(*subject.notes, note))
    layers = len(subject.layers)
    shown = layers if layer is None else layer
    if not 1 <= shown <= layers:
        raise UsageError(f"the network has {layers} layer{'s' * (layers > 1)}; there is no --layer {shown}")
    return subject, shown
