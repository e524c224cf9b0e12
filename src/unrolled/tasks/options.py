"""Everything that can be decided about a training, as sections of a TOML file.

    [model]                   what the model is
    [reading]                 how the data are read
    [training]                how it learns: see train/settings.py
    [data]                    what the data mean: each task has its own

What is not named has a default; single values are overridden by ``--set section.key=value``.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from types import NoneType, UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from ..circuits.circuit import Circuit
from ..errors import UsageError, did_you_mean
from ..files.toml import Sections
from ..nn.memory import Truncated
from ..nn.model import Answer, SequenceModel
from ..nn.recurrent import Recurrent
from ..train.settings import Settings

T = TypeVar("T")
SECTIONS = ("model", "reading", "training", "data")


@dataclass(frozen=True)
class ModelOptions:
    """What the model is: see ``nn.SequenceModel``. ``cell``: the name of a cell, or FILE.py:NAME."""

    cell: str = "gru"
    hidden: int | list[int] | None = None
    layers: int = 1
    residual: bool = False
    bidirectional: bool = False
    embedding: int = 0
    tied: bool = False
    dropout: float = 0.0
    weight_dropout: float = 0.0

    def make(self, circuit: Circuit, inputs: int, outputs: int, answer: Answer = "every") -> SequenceModel:
        """The model, from the size of what it reads to the size of what it answers."""
        given = {k: v for k, v in asdict(self).items() if k != "cell"}
        return SequenceModel(circuit, inputs, outputs, answer=answer, **given)


@dataclass(frozen=True)
class ReadingOptions:
    """How the data are read: ``batch`` sequences side by side, in an order that follows from ``seed``, which also gives
    the starting values.

    window, stride: errors go back over ``window`` steps, from every ``stride``-th on (``window`` unless given). Of a
        text ``stride`` steps are new to each update. Whole sequences are read to their end before an update, and the
        errors of every step go back to the beginning unless a window is given: see ``nn.memory.Truncated``.
    """

    batch: int = 16
    window: int | None = None
    stride: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("batch", "window"):
            if (value := getattr(self, name)) is not None and value < 1:
                raise UsageError(f"{name} must be a whole number from 1, got {value}")
        if self.stride is not None and self.window is None:
            raise UsageError("a stride is a part of a window: give a window, too")
        if self.stride is not None and not 1 <= self.stride <= (self.window or 0):
            raise UsageError(f"stride must be from 1 to window ({self.window}), got {self.stride}")
        if not 0 <= self.seed < 2**63:
            raise UsageError(f"the seed must be a whole number from 0 to 2**63 - 1, got {self.seed}")


@dataclass(frozen=True)
class Options:
    """All sections, each resolved. ``data`` is the task's own; where each answer is a later input, ``data.predicts``
    says which.

    Raises:
        UsageError: a model that reads backward, where an answer is a later input.
    """

    settings: Settings
    model: ModelOptions = field(default_factory=ModelOptions)
    reading: ReadingOptions = field(default_factory=ReadingOptions)
    data: Any = None

    def __post_init__(self) -> None:
        if self.model.bidirectional and (predicted := getattr(self.data, "predicts", "")):
            raise UsageError(
                f"model.bidirectional=true cannot predict {predicted}: the backward direction reads it before it is "
                "predicted. Leave model.bidirectional out. Two directions are for labels, as of recordings"
            )

    def sequence_model(self, circuit: Circuit, inputs: int, outputs: int, answer: Answer = "every") -> SequenceModel:
        """The model that reads whole sequences: where a window is given, errors go back no further in each layer."""
        model, window = self.model.make(circuit, inputs, outputs, answer), self.reading.window
        if window is None:
            return model
        if self.settings.memory is not None:
            raise UsageError("a window leaves errors out, which saves memory, too: give a window or a memory, not both")
        for layer in (m for m in model.modules() if isinstance(m, Recurrent)):
            layer.memory = Truncated(window, self.reading.stride)
        return model

    def sections(self) -> Sections:
        """As plain values, for config.json and config.toml."""
        parts = {"model": self.model, "reading": self.reading, "training": self.settings, "data": self.data}
        return {name: asdict(part) if part is not None else {} for name, part in parts.items()}


def resolve(sections: Mapping[str, Mapping[str, Any]], data: type | None, defaults: Sections | None = None) -> Options:
    """The options that sections describe.

    Args:
        sections: values by section and key; what is missing has its default.
        data: the dataclass of the task's own section.
        defaults: those of the task, where they differ from the usual ones.

    Raises:
        UsageError: an unknown section or key (with a suggestion), or a value of the wrong kind.
    """
    for name in sections:
        if name not in SECTIONS:
            raise UsageError(f"there is no section [{name}]{did_you_mean(name, SECTIONS) or _known(SECTIONS)}")
    merged = {name: {**(defaults or {}).get(name, {}), **sections.get(name, {})} for name in SECTIONS}
    training = merged["training"]
    if training.get("updates") is None and training.get("minutes") is None:
        training["minutes"] = 1.0
    elif sections.get("training", {}).get("updates") is not None and "minutes" not in sections["training"]:
        training["minutes"] = None
    return Options(
        build(Settings, training, "training"),
        build(ModelOptions, merged["model"], "model"),
        build(ReadingOptions, merged["reading"], "reading"),
        build(data, merged["data"], "data") if data else None,
    )


def build(kind: type[T], values: Mapping[str, Any], section: str) -> T:
    """A dataclass from plain values, each of which must be of the kind that the dataclass says."""
    hints, known = get_type_hints(kind), [f.name for f in fields(kind)]  # type: ignore[arg-type]
    checked = {}
    for key, value in values.items():
        if key not in known:
            raise UsageError(f"[{section}] has no '{key}'{did_you_mean(key, known) or _known(known)}")
        checked[key] = _fitting(value, hints[key], f"{section}.{key}")
    return kind(**checked)


def override(sections: Sections, assignments: Iterable[str]) -> Sections:
    """Sections with single values replaced: ``training.rate=0.01``.

    Raises:
        UsageError: something else than SECTION.KEY=VALUE.
    """
    result = {name: dict(section) for name, section in sections.items()}
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        section, dot, key = name.strip().partition(".")
        if not equals or not dot or not key:
            raise UsageError(f"--set takes SECTION.KEY=VALUE, such as training.rate=0.01; got '{assignment}'")
        try:
            value = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            value = text  # a word without quotes
        result.setdefault(section, {})[key] = value
    return result


def _fitting(value: Any, hint: Any, name: str) -> Any:
    """A value as the kind that is wanted: 1 is a number, 'yes' is none."""
    kinds = get_args(hint) if get_origin(hint) is UnionType else (hint,)
    for kind in kinds:
        if kind is NoneType and value is None:
            return value
        if kind is float and isinstance(value, (int, float)) and not isinstance(value, bool):
            return float(value)
        if get_origin(kind) is list:
            (of,) = get_args(kind)
            if isinstance(value, list) and all(isinstance(v, of) and not isinstance(v, bool) for v in value):
                return value
        elif kind in (int, str, bool) and type(value) is kind:
            return value
    wanted = " or ".join(_NAMES.get(kind, "a list") for kind in kinds if kind is not NoneType)
    raise UsageError(f"{name} must be {wanted}, got {value!r:.60}")


_NAMES = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}


def _known(names: Iterable[str]) -> str:
    return f". There are {', '.join(names)}"
