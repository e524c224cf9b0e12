"""What config.json says about a run: the circuit, the options, and what is needed to read other data.

Format 3 is written. Format 2 is read as well: there, a model with two directions and one answer per sequence answered
from another state.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import torch
from torch import Tensor, nn

from .. import __version__
from ..circuits.circuit import Circuit
from ..data.kind import Data, Kind
from ..data.kinds import KINDS
from ..errors import DataError, UnrolledError, command_line, did_you_mean
from ..files.checked import Checked
from ..files.read import read_bytes
from ..files.strict_json import from_json
from ..graph.stored import dump, load
from ..nn.encoder_decoder import EncoderDecoder, Model
from ..nn.model import SequenceModel
from .checkpoint import CONFIG, LARGEST_TEXT, checkpoints
from .spec import Spec

FORMAT, OLDEST = 3, 2
WARNING = "warning"  # about the trained model, written after the checkpoints
CHANGED = "it is not the one that the checkpoints were made with"


def description(spec: Spec, data: Data, model: Model, source: Path | None = None) -> dict[str, Any]:
    """The values of config.json. ``source``: the run that the training starts from."""
    return {
        "format": FORMAT,
        "task": spec.kind.name,
        "cell": model.circuit.name,
        "source": data.source,
        **({"from": str(source.absolute())} if source else {}),
        "options": spec.sections(),
        "versions": {"unrolled": __version__, "torch": torch.__version__},
        "description": data.kind.description(),
        "circuit": dump(model.circuit.recurrence),
        **({"decoder": dump(model.decoder.circuit.recurrence)} if isinstance(model, EncoderDecoder) else {}),
    }


def same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two descriptions are of the same training: all but the warning is the same."""
    return {**one, WARNING: ""} == {**other, WARNING: ""}


class Config:
    """The config.json of a run, each value checked when it is read.

    Args:
        run: the run folder, or one of its checkpoints.
        values: of config.json; read from the folder by default.

    Raises:
        DataError: the folder is not a run, or the file is damaged; the message names both.
    """

    def __init__(self, run: Path, values: Any = None) -> None:
        self.run, self.path = run, run / CONFIG
        check_folder(run)
        try:
            self.values = from_json(self._read()) if values is None else values
        except (ValueError, RecursionError) as problem:
            self.refuse(f"it is not JSON ({problem})")
        if not isinstance(self.values, dict) or "format" not in self.values:
            self.refuse("it does not describe a run")
        if self.values["format"] not in (OLDEST, FORMAT):
            self.refuse(f"its format is {self.values['format']!r}; this version reads {OLDEST} and {FORMAT}")
        self.get = Checked(self.values, self.refuse).get

    def _read(self) -> bytes:
        if (size := self.path.stat().st_size) > LARGEST_TEXT:
            self.refuse(f"it has {size:,} bytes, which is too large")
        return read_bytes(self.path, "the description of a run")

    @property
    def task(self) -> str:
        name: str = self.get("task", str)
        if name not in KINDS:
            self.refuse(f"it is a run of the task '{name}', which this version does not know")
        return name

    def spec(self) -> Spec:
        """The options of the run."""
        return Spec.of(self.task, self.get("options", dict))

    def kind(self, spec: Spec) -> Kind:
        """How data are read for the model."""
        return spec.kind.stored(spec.data, spec.reading, self.checked("description"))

    def checked(self, name: str) -> Checked:
        """A part of the file, each of its values checked when it is read."""
        return Checked(self.get(name, dict), self.refuse)

    def decoder(self) -> Circuit | None:
        """The circuit that writes, if the run has one."""
        return self.circuit("decoder") if self.spec().kind.writes else None

    def circuit(self, name: str = "circuit") -> Circuit:
        """A circuit as it was stored. No code is executed."""
        stored = self.get(name, dict)
        try:
            return Circuit.stored(load(stored))
        except UnrolledError as problem:
            self.refuse(str(problem))

    def largest(self) -> int:
        """The largest size under [model]. A model has at least as many parameters."""
        options = self.get("options.model", dict)
        numbers = [n for value in options.values() for n in (value if isinstance(value, list) else [value])]
        return max([n for n in numbers if isinstance(n, int)], default=0)

    def check(self, model: Model) -> None:
        """Refuse a model that would now answer from another state than in its training."""
        if not isinstance(model, SequenceModel):
            return
        if self.values["format"] == OLDEST and model.backward_layers and model.answer == "last":
            self.refuse(
                "this model reads in two directions and answers once, and an earlier version trained it to answer from "
                "the backward direction's state at the last step. The answer is now that direction's last state"
            )

    def check_fit(self, model: nn.Module, tensors: Mapping[str, Tensor]) -> None:
        """Refuse parameters that are not those of a model. The message names the first that differs."""
        found = {name: tuple(value.shape) for name, value in tensors.items()}
        needed = {name: tuple(value.shape) for name, value in model.state_dict().items()}
        for name in sorted({**found, **needed}):
            if found.get(name) != needed.get(name):
                self.refuse(
                    f"it does not fit its parameters: the shape of {name} is {found.get(name, 'missing')} there, "
                    f"{needed.get(name, 'missing')} here"
                )

    def refuse(self, why: str) -> NoReturn:
        """Raise a DataError that names the file and says what to do."""
        copy = " (each checkpoint has a copy)" if checkpoints(self.run) else ""
        raise DataError(f"'{self.path}' cannot be used: {why}. Restore the file{copy}, or train again")


def is_run(folder: Path) -> bool:
    """Whether a folder has a training in it."""
    return (folder / CONFIG).exists()


def check_folder(run: Path) -> None:
    """Refuse a folder that is not a run.

    Raises:
        DataError: with a similar run folder, or the command that makes one.
    """
    if not run.exists():
        siblings = [str(path.parent) for path in run.parent.glob(f"*/{CONFIG}")] if run.parent.is_dir() else []
        hint = did_you_mean(str(run), siblings) or f". To make one: {command_line('train', 'DATA')}"
        raise DataError(f"there is no run folder '{run}'{hint}")
    if not is_run(run):
        what = "a file" if run.is_file() else f"a folder without {CONFIG}"
        raise DataError(f"'{run}' is not a run folder but {what}. To make one: {command_line('train', 'DATA')}")
