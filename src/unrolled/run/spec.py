"""Everything that is decided about a training, as sections of a TOML file.

    [model]                   the model: see ``ModelOptions``
    [reading]                 how the data are read: see ``data.reading``
    [training]                how long and how it is trained: see ``train.settings``
    [data]                    what the data mean: each kind has its own options

Every value has a default. ``--set section.key=value`` overrides a single one.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from types import NoneType, UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from ..circuits.circuit import Circuit
from ..data.defaults import BY_CELL, BY_TASK, USUAL
from ..data.kind import Kind
from ..data.kinds import kind_of
from ..data.reading import Reading
from ..errors import UsageError, did_you_mean
from ..files.toml import Sections
from ..nn.encoder_decoder import Model
from ..nn.memory import Memory, Snapshots, Truncated
from ..nn.model import takes_any_size
from ..train.settings import Settings

T = TypeVar("T")
SECTIONS = ("model", "reading", "training", "data")
LENGTH = ("updates", "minutes")


@dataclass(frozen=True)
class ModelOptions:
    """The model: see ``nn.SequenceModel``; for pairs, ``nn.EncoderDecoder``.

    cell: the name of a cell, or FILE.py:NAME.
    hidden: the size of the hidden state: a number, or one for each layer.
    layers: the number of layers.
    residual: add the input of a layer to its output if both have the same size.
    bidirectional: read each sequence in both directions. Only for labels, and for the sources of pairs.
    embedding: the size of the embedding of each symbol; 0 for one-hot vectors.
    tied: use the transposed embedding as the read-out.
    dropout: the share of values that are set to zero in training, between layers and before the read-out.
    weight_dropout: the share of recurrent weights that are set to zero in training.
    zoneout: the probability that an entry of a state keeps its value in training: a number, or one for each state.
    variational: the share of entries of inputs and states that are dropped at all steps of a sequence in training.
    decoder: the cell that writes, for pairs only.
    """

    cell: str = "gru"
    hidden: int | list[int] | None = None
    layers: int = 1
    residual: bool = False
    bidirectional: bool = False
    embedding: int = 0
    tied: bool = False
    dropout: float = 0.0
    weight_dropout: float = 0.0
    zoneout: float | list[float] = 0.0
    variational: float = 0.0
    decoder: str = ""


@dataclass(frozen=True)
class Spec:
    """Everything that is decided about a training.

    >>> Spec.read("voice", {}, {"training": {"updates": 500}}, ["model.dropout=0.2"]).reading.batch
    32

    Raises:
        UsageError: an unknown section or option (with a suggestion), a value of the wrong type or out of range, or
            options that contradict each other.
    """

    kind: type[Kind]
    model: ModelOptions
    reading: Reading
    training: Settings
    data: Any

    @classmethod
    def read(
        cls,
        task: str,
        config: Sections | None = None,
        flags: Sections | None = None,
        assignments: Iterable[str] = (),
        circuit: Circuit | None = None,
        suited: Sections | None = None,
    ) -> Spec:
        """The options of a task: its defaults, those of the data and of the cell, overridden by a file, by flags and by
        assignments, in this order.

        Args:
            task: a name of ``data.kinds.KINDS``.
            config: the sections of a file.
            flags: sections of values, None where a flag is not given.
            assignments: such as ``training.rate=0.01``.
            circuit: of the model. If its equations fix its sizes, the defaults of the task do not.
            suited: sections of defaults that depend on the data: see ``Kind.suited``.
        """
        defaults = {name: section for name, section in USUAL.items() if name != "model"}
        given = config or {}, flags or {}, parsed(assignments)
        cells = [layer.get("model", {}).get("cell") for layer in given]
        of_cell = next((BY_CELL.get(cell, {}) for cell in reversed(cells) if cell), {})
        of_task = BY_TASK[task]
        if circuit is not None and not takes_any_size(circuit):
            model = {n: value for n, value in of_task.get("model", {}).items() if n not in ("hidden", "embedding")}
            of_task = {**of_task, "model": model}
        return cls.of(task, defaults, of_task, suited or {}, of_cell.get(task, {}), *given)

    @classmethod
    def of(cls, task: str, *layers: Sections) -> Spec:
        """The options of layers of sections, where later ones override earlier ones. A value of None has no effect.
        Updates override minutes, and minutes override updates."""
        kind = kind_of(task)
        merged: Sections = {name: {} for name in SECTIONS}
        for layer in layers:
            for name, section in layer.items():
                if name not in SECTIONS:
                    raise UsageError(f"there is no section [{name}]{did_you_mean(name, SECTIONS) or _known(SECTIONS)}")
                given = {key: value for key, value in section.items() if value is not None}
                if name == "training" and given.keys() & set(LENGTH):
                    merged[name] = {key: value for key, value in merged[name].items() if key not in LENGTH}
                merged[name].update(given)
        return cls(
            kind,
            _made(ModelOptions, merged["model"], "model"),
            _made(Reading, merged["reading"], "reading"),
            _made(Settings, merged["training"], "training"),
            _made(kind.Options, merged["data"], "data"),
        )

    def __post_init__(self) -> None:
        if self.model.bidirectional and (predicted := getattr(self.data, "predicts", "")):
            raise UsageError(
                f"model.bidirectional=true cannot predict {predicted}: the backward direction has already read it. "
                "Leave model.bidirectional out. It is for labels, such as those of recordings"
            )
        if bool(self.model.decoder) != self.kind.writes:
            what = "needs" if self.kind.writes else "has no use for"
            raise UsageError(f"the task '{self.kind.name}' {what} model.decoder, the cell that writes")
        if self.kind.writes and (self.model.residual or self.model.tied):
            raise UsageError(f"the task '{self.kind.name}' has no model.residual and no model.tied. Leave them out")
        if self.training.memory is not None and isinstance(self.memory, Truncated):
            raise UsageError("give either a window or a memory, not both: a window bounds the memory as well")

    @property
    def memory(self) -> Memory | None:
        """What each layer keeps for the backward pass. A text is cut into windows before the model reads it; other
        sequences are not, so there the model itself must truncate the gradient."""
        window, limit = self.reading.window, self.training.memory
        if window is not None and not self.kind.windowed:
            return Truncated(window, self.reading.stride)
        return Snapshots(memory=limit) if limit is not None else None

    def build(self, circuit: Circuit, kind: Kind, decoder: Circuit | None = None) -> Model:
        """The model: from the size of what a kind of data reads to the number of its scores."""
        left_out = ("cell", "decoder", *(("residual", "tied") if kind.writes else ()))
        options = {name: value for name, value in asdict(self.model).items() if name not in left_out}
        return kind.build(circuit, decoder, memory=self.memory, **options)

    def sections(self) -> Sections:
        """The options as plain values, for config.json and config.toml."""
        parts = {"model": self.model, "reading": self.reading, "training": self.training, "data": self.data}
        return {name: asdict(part) for name, part in parts.items()}


def parsed(assignments: Iterable[str]) -> Sections:
    """Assignments as sections.

    >>> parsed(["training.rate=0.01", "data.unit=word"])
    {'training': {'rate': 0.01}, 'data': {'unit': 'word'}}

    Raises:
        UsageError: something other than SECTION.KEY=VALUE.
    """
    result: Sections = {}
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        section, dot, key = name.strip().partition(".")
        if not equals or not dot or not key:
            raise UsageError(f"--set needs SECTION.KEY=VALUE, such as training.rate=0.01; got '{assignment}'")
        try:
            value = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            value = text  # a word without quotes
        result.setdefault(section, {})[key] = value
    return result


def _made(kind: type[T], values: Mapping[str, Any], section: str) -> T:
    """A dataclass from plain values, each of the type of its field."""
    hints, known = get_type_hints(kind), [f.name for f in fields(kind)]  # type: ignore[arg-type]
    checked = {}
    for key, value in values.items():
        if key not in known:
            raise UsageError(f"[{section}] has no option '{key}'{did_you_mean(key, known) or _known(known)}")
        checked[key] = _checked(value, hints[key], f"{section}.{key}")
    return kind(**checked)


def _checked(value: Any, hint: Any, name: str) -> Any:
    """A value, if it has the type: 1 is a number, 'yes' is not."""
    kinds = get_args(hint) if get_origin(hint) is UnionType else (hint,)
    for kind in kinds:
        if kind is float and isinstance(value, (int, float)) and not isinstance(value, bool):
            return float(value)
        if get_origin(kind) is list:
            (of,) = get_args(kind)
            those = (int, float) if of is float else of
            if isinstance(value, list) and all(isinstance(v, those) and not isinstance(v, bool) for v in value):
                return value
        elif kind in (int, str, bool) and type(value) is kind:
            return value
    wanted = " or ".join(_NAMES.get(kind, "a list") for kind in kinds if kind is not NoneType)
    raise UsageError(f"{name} must be {wanted}, got {value!r:.60}")


_NAMES = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}


def _known(names: Iterable[str]) -> str:
    return f". Choose from: {', '.join(names)}"
