"""From what a user names to the page."""

from __future__ import annotations

from dataclasses import dataclass, replace
from html import escape
from pathlib import Path

from ..circuits.circuit import Circuit
from ..errors import UsageError
from ..train.files import write_text
from .example import of_circuit
from .measure import measure
from .page import content, document
from .reading import of_run

LONGEST = 1000  # steps of a page


@dataclass(frozen=True)
class Page:
    """The document, and what it says: how many steps it shows, their total loss, and its notes."""

    html: str
    steps: int
    loss: float
    notes: list[str]

    def save(self, path: str | Path) -> None:
        """Write the page, FILE.html. Raises DataError where that cannot be done."""
        write_text(Path(path), self.html)

    def _repr_html_(self) -> str:
        return f'<iframe srcdoc="{escape(self.html)}" style="width:100%;height:900px;border:0"></iframe>'


def explore(
    what: Circuit | Path,
    data: Path | None = None,
    *,
    first: int = 1,
    steps: int = 200,
    piece: int = 1,
    layer: int | None = None,
    hidden: int = 8,
    seed: int = 0,
) -> Page:
    """A page to look into a network: a run folder, or a circuit with random parameters. Notebooks show it.

    >>> page = unrolled.explore(unrolled.cells.lstm)
    >>> page.steps
    49

    Args:
        what: a circuit, or the folder of a run.
        data: what to read: a text, or what the run's task reads, such as a recording; a circuit reads an example
            without one.
        first, steps: the step (character, frame, row) to begin with, and how many to show at most.
        piece: which recording of a folder, piece of music or sequence of a table, from 1.
        layer: which one to show, from 1; the last one unless given.
        hidden, seed: the size and the parameters of a circuit's network.

    Raises:
        UsageError, DataError: what cannot be looked at, and why.
    """
    fewer = min(steps, LONGEST)
    if isinstance(what, Circuit):
        subject = of_circuit(what, data, first, fewer, hidden, seed)
    else:
        subject = of_run(what, data, first, fewer, piece)
    if subject.steps < steps > LONGEST:
        note = f"Asked for were {steps:,} steps; a page shows {LONGEST:,} at most."
        subject = replace(subject, notes=(*subject.notes, note))
    layers = len(subject.layers)
    shown = layers if layer is None else layer
    if not 1 <= shown <= layers:
        raise UsageError(f"the network has {layers} layer{'s' * (layers > 1)}; --layer {shown} is none of them")
    measured = measure(subject, shown - 1)
    data_of_page = content(subject, measured, shown - 1)
    notes = list(data_of_page["notes"])
    if measured.problem:
        notes.append(str(measured.problem))
    return Page(document(subject.title, data_of_page), len(measured.unfolded.times), measured.total, notes)
