"""Trainings for tests: what is decided, the data, and the model, made as ``unrolled train`` makes them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unrolled.circuits.circuit import Circuit
from unrolled.data.kind import Kind
from unrolled.data.kinds import recognise
from unrolled.nn.model import SequenceModel
from unrolled.run.config import description
from unrolled.run.folder import RunFolder
from unrolled.run.run import Run
from unrolled.run.spec import Spec
from unrolled.run.trained import initial_model
from unrolled.train.lesson import Loss
from unrolled.train.loop import Training


@dataclass
class Made:
    spec: Spec
    data: Any
    model: SequenceModel

    @property
    def kind(self) -> Kind:
        return self.data.kind

    @property
    def training(self) -> Training:
        return Training(self.model, self.data, self.spec.training)

    def loss(self, batch: Any, states: Any = ()) -> Loss:
        return self.data.loss(self.model, batch, states)

    def result(self) -> dict[str, float]:
        return self.data.result(self.model)

    def begin(self, folder: RunFolder) -> Run:
        """A run that has begun."""
        run = Run(folder, self.training)
        run.begin(self.model.circuit, description(self.spec, self.data, self.model))
        return run


def made(path: Path, circuit: Circuit, sections: dict[str, Any]) -> Made:
    """A training on some data, with the options of sections."""
    spec = Spec.read(recognise(path).name, sections)
    data = spec.kind.learn(path, spec.data, spec.reading)
    return Made(spec, data, initial_model(spec, circuit, data))
