"""The trained model of a run folder."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .. import __version__
from ..circuits.circuit import Circuit
from ..data.characters import Vocabulary
from ..data.forecast.kind import Forecast
from ..data.kind import Data, Kind
from ..data.kinds import can_read, recognise
from ..data.language import Language
from ..data.pairs.data import PairsData
from ..data.pairs.kind import Pairs
from ..errors import DataError, UnrolledError, UsageError, command_line
from ..nn.encoder_decoder import EncoderDecoder, Model
from ..nn.model import SequenceModel
from ..nn.narrow import narrow
from ..nn.narrow_weights import FLOAT32, check_weights
from ..train import random_states
from .checkpoint import best_of, checkpoints, is_checkpoint, no_checkpoint, read_checkpoint
from .config import CHANGED, Config, same
from .spec import Spec


@dataclass(frozen=True)
class Trained:
    """A trained model and how data are read for it.

    >>> Trained.load(Path("runs/text-gru")).evaluate(Path("other.txt"))["bits_per_character"]
    2.35

    path, sha256: of the data that it learned from.
    """

    run: Path
    spec: Spec
    kind: Kind
    model: Model
    path: Path
    sha256: str

    @staticmethod
    def load(run: Path) -> Trained:
        """The best model of a run, or that of one of its checkpoints. Executes no stored code, and needs no other
        files.

        Raises:
            DataError: the folder is not a run, has no checkpoint, or is damaged.
        """
        config, tensors = best_model(run)
        if (largest := config.largest()) > max(sum(v.numel() for v in tensors.values()), 1000):
            config.refuse(f"it has a size of {largest}, more than the number of parameters")
        try:
            with torch.device("meta"):
                spec = config.spec()
                kind = config.kind(spec)
                model = spec.build(config.circuit(), kind, config.decoder())
        except DataError:
            raise
        except UnrolledError as problem:
            config.refuse(str(problem))
        except Exception as problem:  # the file may say anything
            config.refuse(f"no model can be made from it ({type(problem).__name__}: {problem})")
        config.check(model)
        config.check_fit(model, tensors)
        model.to_empty(device="cpu")
        model.load_state_dict(tensors)
        model.eval()
        try:
            model(torch.zeros(1, 1, dtype=torch.long))
        except Exception as problem:  # a single step shows whether the circuit runs
            config.refuse(f"its circuit does not run ({type(problem).__name__}: {problem})")
        source = config.get("source", dict)
        path, sha256 = (str(source.get(name, "")) for name in ("path", "sha256"))
        return Trained(run, spec, kind, model, Path(path), sha256)

    def with_weights(self, kind: str) -> Trained:
        """The same with weights of another kind: 'float32', as they are, or rounded to 'bf16' or 'int8'; see
        ``narrow``."""
        return self if check_weights(kind) == FLOAT32 else replace(self, model=narrow(self.model, kind))

    @property
    def bytes(self) -> int:
        """The memory of the parameters."""
        return sum(t.nbytes for t in self.model.state_dict().values())

    def read(self, path: Path, skip_unknown: bool = False) -> Data:
        """Data as the model reads them; see ``Kind.read``.

        Args:
            path: of the data.
            skip_unknown: skip characters that the model has never seen.

        Raises:
            DataError: they cannot be read, or are of another kind.
            UsageError: ``skip_unknown`` for a model that does not read text.
        """
        self.check(path)
        if isinstance(self.kind, Language):
            return self.kind.read(path, self.sha256, skip_unknown)
        if skip_unknown:
            raise UsageError(f"--skip-unknown is for texts; '{self.run}' is a run of the task '{self.kind.name}'")
        return self.kind.read(path, self.sha256)

    def evaluate(self, path: Path, skip_unknown: bool = False, beam: int = 1) -> dict[str, Any]:
        """The metric on the test part of data that the model learned from, or on all of other data.

        Args:
            path: of the data.
            skip_unknown: of a text, skip characters that the model has never seen.
            beam: of pairs, the number of beginnings that are continued, see ``EncoderDecoder.search``.
        """
        data = self.read(path, skip_unknown)
        if beam == 1:
            return data.evaluate(self.model)
        _, model = self._writer()
        assert isinstance(data, PairsData)
        return data.evaluate(model, beam)

    def predict(self, path: Path, history: bool = False, beam: int = 1) -> Iterator[dict[str, Any]]:
        """Predictions for a file, row by row.

        Args:
            path: of the file.
            history: of a forecast, also what would have been forecast of the known values.
            beam: of pairs, the number of answers, see ``EncoderDecoder.search``.

        Raises:
            DataError: the file cannot be read, or is of another kind.
            UsageError: ``history`` for a model that does not forecast, ``beam`` for one that does not write pairs.
        """
        self.check(path)
        if beam != 1:
            kind, writer = self._writer()
            return kind.predict(writer, path, beam)
        if not history:
            return self.kind.predict(self.model, path)
        if not isinstance(self.kind, Forecast):
            raise UsageError(f"--history is for forecasts; '{self.run}' is a run of the task '{self.kind.name}'")
        return self.kind.predict_all(self.layers, path, self.sha256)

    @property
    def layers(self) -> SequenceModel:
        """The model, if it has layers of one circuit.

        Raises:
            UsageError: it has two, one that reads and one that writes.
        """
        if not isinstance(self.model, SequenceModel):
            raise UsageError(
                f"'{self.run}' is a run of the task '{self.kind.name}', whose model has two circuits. See what it "
                f"writes: {command_line('predict', self.run, 'FILE')}"
            )
        return self.model

    def _writer(self) -> tuple[Pairs, EncoderDecoder]:
        if not isinstance(self.kind, Pairs) or isinstance(self.model, SequenceModel):
            raise UsageError(f"--beam is for pairs; '{self.run}' is a run of the task '{self.kind.name}'")
        return self.kind, self.model

    def check(self, path: Path) -> None:
        """Refuse data of another kind. A text may have any name."""
        if isinstance(self.kind, Language) and self.kind.options.field:
            return
        kind = recognise(path)
        if not can_read(self.kind, kind):
            raise DataError(
                f"'{path}' is data for the task '{kind.name}', but '{self.run}' is a run of the task '{self.kind.name}'"
            )


def load_language(run: Path) -> tuple[SequenceModel, Language]:
    """The model of text of a run, and how it reads.

    Raises:
        DataError: the folder is not a run, or its model does not read text.
    """
    return language_of(Trained.load(run))


def language_of(trained: Trained) -> tuple[SequenceModel, Language]:
    """A trained model of text, and how it reads. Errors as for ``load_language``."""
    if not isinstance(trained.kind, Language):
        raise DataError(
            f"'{trained.run}' is a run of the task '{trained.kind.name}', which does not read or write text"
        )
    assert isinstance(trained.model, SequenceModel)
    return trained.model, trained.kind


def load_characters(run: Path, weights: str = FLOAT32) -> tuple[SequenceModel, Language, Vocabulary]:
    """The model of characters of a run, with weights of some kind, how it reads, and the characters that it knows.

    Raises:
        DataError: the folder is not a run, or its model reads bytes, words or subwords.
    """
    model, kind = language_of(Trained.load(run).with_weights(weights))
    if not isinstance(kind.vocabulary, Vocabulary):
        raise DataError(f"'{run}' reads {kind.steps}; this needs a model of characters: train with data.unit=character")
    return model, kind, kind.vocabulary


def restored(config: Config, path: Path | None) -> tuple[Spec, Data, Model]:
    """What the training of a run was made from: the options, the data, and the model with its initial parameters.

    Args:
        path: where the data are now, if they have moved.

    Raises:
        DataError: the description is damaged, or the data are missing or have changed.
    """
    path = path or Path(config.get("source.path", str))
    try:
        spec = config.spec()
        if "from" in config.values:
            data = config.kind(spec).adapt(path)
        else:
            data = spec.kind.learn_again(path, spec.data, spec.reading, config.checked("description"))
        model = initial_model(spec, config.circuit(), data, config.decoder())
    except UsageError as problem:
        config.refuse(str(problem))
    config.check(model)
    if data.sha256 != config.get("source.sha256", str):
        raise DataError(
            f"'{path}' is not the data that '{config.run}' was trained on, or has changed since. Name the right data: "
            f"{command_line('train', 'DATA', '--resume', config.run)}"
        )
    if data.kind.description() != config.get("description", dict):
        made = config.get("versions.unrolled", str)
        raise DataError(
            f"'{path}' is the data that '{config.run}' was trained on, but this version of unrolled ({__version__}) "
            f"learns something else from it than the one that made the run ({made}), so the training cannot continue "
            f"as it began. Start another one from its model: {command_line('train', path, '--from', config.run)}; or "
            "resume it with that version"
        )
    return spec, data, model


def begin(
    spec: Spec, circuit: Circuit, path: Path, source: Trained | None = None, decoder: Circuit | None = None
) -> tuple[Data, Model]:
    """What a training begins with: the data, and the model before its first update.

    Args:
        spec: its options.
        circuit: that reads.
        path: of the data.
        decoder: the circuit that writes, for pairs.
        source: a trained model to start from. Then the data are read as it reads them.
    """
    if source is None:
        data = spec.kind.learn(path, spec.data, spec.reading)
        return data, initial_model(spec, circuit, data, decoder)
    data = replace(source.kind, options=spec.data, reading=spec.reading).adapt(path)
    model = initial_model(spec, circuit, data, decoder)
    model.load_state_dict(source.model.state_dict())
    return data, model


def initial_model(spec: Spec, circuit: Circuit, data: Data, decoder: Circuit | None = None) -> Model:
    """The model before its training: its parameters follow from the seed. Seeds all random generators."""
    random_states.seed(spec.reading.seed)
    model = spec.build(circuit, data.kind, decoder)
    data.kind.start(model)
    return model


def best_model(run: Path) -> tuple[Config, dict[str, Tensor]]:
    """The config.json and the parameters of the best model of a run, or of a checkpoint. Before the first validation,
    the best model is that of the last checkpoint."""
    if is_checkpoint(run):
        checkpoint = read_checkpoint(run)
        return Config(run, checkpoint.config), checkpoint.model
    config, found = Config(run), checkpoints(run)
    if not found:
        raise no_checkpoint(run)
    checkpoint = read_checkpoint(found[-1])
    best = best_of(checkpoint.progress)
    if best is not None and f"{best:08d}" != found[-1].name:
        checkpoint = read_checkpoint(found[-1].with_name(f"{best:08d}"))
    if not same(checkpoint.config, config.values):
        config.refuse(CHANGED)
    return config, checkpoint.model
