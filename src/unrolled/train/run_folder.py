"""The folder of a trained model: its parameters, all it takes to rebuild it, how it was trained, and its views.

model.safetensors   the parameters
config.json         sizes, vocabulary, settings, versions, and the circuit itself: no one's code is needed again
log.jsonl           the training, line by line
circuit.svg         the circuit diagram
unfolded.svg        the graph without recurrence
equations.txt       the equations, and those of the gradient
equations.tex       the same as a document to typeset
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import safetensors.torch
from safetensors import SafetensorError
from torch import nn

from ..circuits.circuit import Circuit
from ..errors import CircuitError, DataError, UnrolledError, UsageError, did_you_mean
from ..graph.stored import dump, load
from .files import read_bytes, reason, write_bytes, write_text

FORMAT = 1
MODEL, CONFIG, LOG = "model.safetensors", "config.json", "log.jsonl"


class RunFolder:
    """A run folder that is being written.

    Args:
        path: made when it does not exist.
        overwrite: whether a model that is already there may be replaced.

    Raises:
        UsageError: a model is there.
        DataError: the folder cannot be made.
    """

    def __init__(self, path: Path, overwrite: bool = False) -> None:
        self.path = path
        if (path / MODEL).exists() and not overwrite:
            raise UsageError(f"'{path}' holds a model already. Choose another --out, or add --overwrite to replace it")
        try:
            path.mkdir(parents=True, exist_ok=True)
            for name in (MODEL, LOG):
                (path / name).unlink(missing_ok=True)
        except OSError as problem:
            raise DataError(f"the run folder '{path}' cannot be made: {reason(problem)}") from None

    def config(self, circuit: Circuit, values: Mapping[str, Any]) -> None:
        """Write config.json: the circuit, and what the task adds."""
        content = {"format": FORMAT, **values, "circuit": dump(circuit.recurrence)}
        write_text(self.path / CONFIG, _json(content) + "\n")

    def views(self, circuit: Circuit, steps: int = 3) -> None:
        """Write the circuit as pictures and equations."""
        write_text(self.path / "circuit.svg", circuit.draw(steps).svg)
        write_text(self.path / "unfolded.svg", circuit.unfold(steps).draw().svg)
        write_text(self.path / "equations.txt", equations_text(circuit))
        write_text(self.path / "equations.tex", equations_document(circuit))

    def log(self, record: Mapping[str, Any]) -> None:
        """Add a line to log.jsonl."""
        try:
            with (self.path / LOG).open("a", encoding="utf-8") as file:
                file.write(json.dumps(record) + "\n")
        except OSError as problem:
            raise DataError(f"'{self.path / LOG}' cannot be written: {reason(problem)}") from None

    def model(self, model: nn.Module) -> None:
        """Write model.safetensors."""
        tensors = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
        write_bytes(self.path / MODEL, safetensors.torch.save(tensors))


def free_folder(parent: Path, name: str) -> Path:
    """``parent/name``, or ``parent/name-2``, ``-3``, ... while that is taken."""
    path, number = parent / name, 1
    while path.exists():
        number += 1
        path = parent / f"{name}-{number}"
    return path


class Config:
    """What a run folder's config.json says, read with care.

    Raises:
        DataError: for a folder that is no run, and for a file that is damaged, naming both.
    """

    def __init__(self, run: Path) -> None:
        self.run, self.path = run, run / CONFIG
        _check_folder(run)
        try:
            self.values: Any = json.loads(read_bytes(self.path, "the description of a run"))
        except ValueError as problem:
            self.refuse(f"it is no JSON ({problem})")
        if not isinstance(self.values, dict) or "format" not in self.values:
            self.refuse("it does not describe a run")
        if self.values["format"] != FORMAT:
            self.refuse(f"its format is {self.values['format']!r}; this version reads {FORMAT}")

    def get(self, name: str, kind: type) -> Any:
        """The value under a dotted name such as 'model.hidden', which must be of a kind."""
        value = self.values
        for part in name.split("."):
            if not isinstance(value, dict) or part not in value:
                self.refuse(f"'{name}' is missing")
            value = value[part]
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            self.refuse(f"'{name}' must be of type {kind.__name__}, got {value!r:.40}")
        return value

    def circuit(self) -> Circuit:
        """The circuit as it was stored. No code is run."""
        stored = self.get("circuit", dict)
        try:
            return Circuit(_no_function, load(stored))
        except UnrolledError as problem:
            self.refuse(str(problem))

    def refuse(self, why: str) -> NoReturn:
        raise DataError(f"'{self.path}' cannot be used: {why}. Restore the file, or train again")


def load_model(run: Path, model: nn.Module) -> None:
    """Read the parameters of a run into a model of the right shape.

    Raises:
        DataError: no parameters yet, a damaged file, or parameters of another model.
    """
    path = run / MODEL
    if not path.exists():
        raise DataError(f"'{run}' holds no {MODEL}: the training was stopped before there was one. Train again")
    try:
        tensors = safetensors.torch.load(read_bytes(path, "the parameters of a model"))
    except (SafetensorError, ValueError, KeyError) as problem:
        raise DataError(f"'{path}' is damaged ({problem}). Restore the file, or train again") from None
    expected = model.state_dict()
    found = {name: tuple(value.shape) for name, value in tensors.items()}
    wanted = {name: tuple(value.shape) for name, value in expected.items()}
    for name in sorted({**found, **wanted}):
        if found.get(name) != wanted.get(name):
            raise DataError(
                f"'{path}' does not fit '{run / CONFIG}': {name} is {found.get(name, 'missing')} in the one, "
                f"{wanted.get(name, 'missing')} in the other. Restore the one that was replaced, or train again"
            )
    model.load_state_dict(tensors)


def _check_folder(run: Path) -> None:
    if not run.exists():
        siblings = [str(path.parent) for path in run.parent.glob(f"*/{CONFIG}")] if run.parent.is_dir() else []
        hint = did_you_mean(str(run), siblings) or ". 'unrolled train' makes one"
        raise DataError(f"there is no run folder '{run}'{hint}")
    if not (run / CONFIG).exists():
        what = "a file" if run.is_file() else f"a folder without {CONFIG}"
        raise DataError(f"'{run}' is no run folder but {what}. 'unrolled train' makes one")


def _json(content: Any) -> str:
    return json.dumps(content, indent=1, ensure_ascii=False)


def _no_function(*args: Any, **kwargs: Any) -> NoReturn:
    """A circuit that was read from a file."""
    raise CircuitError("a circuit that was read from a file has no Python function to be used in another circuit")


def equations_text(circuit: Circuit) -> str:
    """The equations of a step, and those of the gradient, as text."""
    return (
        f"{circuit.name}\n\n{circuit.equations()}\n\n"
        f"The gradient, by back-propagation through time:\n\n{circuit.adjoint().equations()}\n"
    )


def equations_document(circuit: Circuit) -> str:
    """The same as a complete LaTeX document."""
    return DOCUMENT % {
        "name": circuit.name.replace("_", r"\_"),
        "step": circuit.equations("latex"),
        "gradient": circuit.adjoint().equations("latex"),
    }


DOCUMENT = r"""\documentclass{article}
\usepackage[paperwidth=420mm,paperheight=297mm,margin=12mm]{geometry}
\usepackage{amsmath}
\allowdisplaybreaks
\pagestyle{empty}
\begin{document}
\footnotesize
\section*{%(name)s}
%(step)s
\section*{The gradient, by back-propagation through time}
%(gradient)s
\end{document}
"""
