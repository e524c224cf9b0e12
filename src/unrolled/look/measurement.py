"""The values and gradients of a network in Python: as tensors, drawn on the unfolded graph, and as heat maps."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from ..draw import labels
from ..draw.drawing import Drawing, draw_unfolded
from ..draw.heat import Beside, Heat, heat_scene, seen
from ..draw.numbers import Numbers, short
from ..draw.reduce import reduce
from ..errors import InputError, did_you_mean
from .layer_values import LayerValues, tokens
from .subject import Subject

SALIENCY = "saliency"


def sizes(rows: Tensor) -> list[float | str]:
    """The size of each step's value (steps, units): a scalar itself, or the root mean square of a vector."""
    return list((rows[:, 0] if rows.shape[1] == 1 else rows.square().mean(1).sqrt()).tolist())


@dataclass(frozen=True)
class Measurement:
    """Everything that a network computes while it reads one sequence, and the gradient of the total loss.

    Attributes:
        subject: the network and the sequence.
        measured: the values and gradients of the layer shown.
    """

    subject: Subject
    measured: LayerValues

    @property
    def values(self) -> dict[str, Tensor]:
        """The values by name: (steps, units); (steps, 1) for scalars and tokens."""
        return self.measured.values

    @property
    def gradients(self) -> dict[str, Tensor]:
        """The total gradient of the loss with respect to each value, through all later steps: (steps, units)."""
        return self.measured.gradients

    @property
    def saliency(self) -> Tensor:
        """The norm of the gradient with respect to the input at each step: (steps,)."""
        return self.measured.saliency

    @property
    def loss(self) -> float:
        """The total loss."""
        return self.measured.total

    @property
    def problem(self) -> str:
        """The first number that is not finite, in words; empty if all are finite."""
        return str(self.measured.problem or "")

    @property
    def notes(self) -> tuple[str, ...]:
        """What was measured, in words."""
        return self.subject.notes

    @property
    def text(self) -> tuple[str, ...]:
        """The characters, words or subwords that were read, one per step; empty if the input is not a text."""
        return self.subject.text[: self.subject.steps]

    def draw(self, *, gates: bool = True, gradient: bool = True, most: int = 6) -> Drawing:
        """Draw the unfolded graph with the numbers in its circles; for vectors, the root mean square of their units.

        >>> unrolled.measure(unrolled.cells.lstm).draw(most=4).save("lstm_numbers.svg")

        Args:
            gates: whether to draw the values between inputs, states and outputs; otherwise they fold into the arrows.
            gradient: whether to draw gradients, and the arrows along which they flow back in time.
            most: the largest number of steps to draw. Of a longer sequence, the first and last steps are drawn.
        """
        times = self.measured.unfolded.times
        values: dict[str, list[float | str]] = {n: sizes(rows) for n, rows in self.values.items()}
        words = self.subject.vocabulary
        for name, spoken in tokens(self.subject, self.measured).items():
            values[name] = [seen(words[k]) if words and name in self.subject.inputs else str(k) for k in spoken]
        numbers = Numbers(times[0], values, {n: sizes(rows) for n, rows in self.gradients.items()} if gradient else {})
        recurrence = self.measured.layer.recurrence
        return draw_unfolded(recurrence, times[-1], gates, gradient, most, numbers=numbers, note=self.problem)

    def heat(self, *names: str) -> Drawing:
        """Draw heat maps, time × unit, one below the other, above the text, recording or rows that were read.

        >>> unrolled.measure(unrolled.cells.gru).heat("h", "∇h", "L", "saliency").save("gru_heat.svg")

        Args:
            names: of values, such as 'h'; of gradients, such as '∇h'; or 'saliency'. By default the first state and
                its gradient.

        Raises:
            InputError: no value has such a name.
        """
        first_state = next(iter(self.measured.layer.recurrence.states))
        maps = [self._heat(name) for name in names or (first_state, f"∇{first_state}")]
        track = self.subject.track
        beside = Beside(self.text)
        if track is not None:
            kind = "wave" if track.kind == "audio" else "columns"
            beside = Beside(kind=kind, points=track.values.tolist(), per=track.per, names=track.names)
        first = self.measured.unfolded.times[0]
        scene = heat_scene(maps, beside, first)
        title = f"Heat maps of {self.subject.title}: {', '.join(names or (first_state, f'∇{first_state}'))}"
        last = first + len(maps[0].rows) - 1
        said = [f"Time runs from left to right, steps {first} to {last}. Blue is negative, orange positive."]
        for heat in maps:
            largest = max((abs(v), t, u) for t, row in enumerate(heat.rows) for u, v in enumerate(row))
            name, (top, t, u) = labels.plain(heat.title), largest
            said.append(f"{name}: largest at step {first + t}, unit {u + 1}: {short(top)}.")
        if self.problem:
            said.append(self.problem)
        if self.text:
            said.append("Read: " + "".join(self.text))
        return Drawing(scene, title, "\n".join([title + ".", *said]))

    def _heat(self, name: str) -> Heat:
        plain = name.removeprefix("∇")
        known = [*self.values, *(f"∇{n}" for n in self.gradients), SALIENCY]
        if name not in known:
            hint = did_you_mean(name, known) or f". Choose from {', '.join(known)}"
            raise InputError(f"there is no value '{name}'{hint}")
        if name == SALIENCY:
            return Heat(labels.words(SALIENCY), self.saliency[:, None].tolist())
        rows = (self.values if name == plain else self.gradients)[plain]
        scalar = reduce(self.measured.layer.recurrence).values[plain].scalar
        label = labels.value(plain, None, scalar) if name == plain else labels.gradient(plain, None, scalar)
        return Heat(label, rows.tolist())

    def _repr_svg_(self) -> str:
        return self.heat().svg
