"""Export: from a run or a network to a file that runs without this library. The suffix of the file decides the form."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

from ..errors import DataError, EngineError, UsageError
from ..nn.model import SequenceModel
from ..nn.recurrent import Recurrent
from ..nn.stored import SUFFIX as STORED
from ..nn.stored import load_network
from ..run.trained import Trained
from .about import About
from .network import Network, network_of
from .options import Options
from .report import Report

Tell = Callable[[str, str], None]


def export(
    run: Recurrent | SequenceModel | Path | str,
    path: Path | str,
    *,
    overwrite: bool = False,
    tell: Tell | None = None,
    **options: Any,
) -> Report:
    """Write a network to a file that runs without this library, and check that it computes the same there.

    >>> export("runs/text-gru", "model.c").files
    (PosixPath('model.c'),)

    Args:
        run: a run folder, a file of ``save_network``, or a network in memory.
        path: the file to write, .c or .onnx.
        overwrite: replace the file if it exists.
        tell: called with a word and a line for everything that is known before the file is written.
        options: see ``Options``.

    Returns:
        the written files and what is in them.

    Raises:
        UsageError: the file exists, its suffix is unknown, or an option is not for it, or the network cannot be
            exported.
        EngineError: the exported program did not compute what the network computes. Nothing is written.
    """
    path, chosen = Path(path), _options(options)
    _check(path, overwrite, chosen)
    net, trained = _opened(run)
    about = About.of(trained.kind) if trained else About()
    network = network_of(net, tokens=about.tokens)
    if path.suffix == ".onnx":
        return _onnx(network, about, path)
    from .c.file import write

    return write(network, about, path, chosen, trained, tell or (lambda word, line: None))


FORMS = {".c": "C", ".onnx": "ONNX"}


def _onnx(network: Network, about: About, path: Path) -> Report:
    """Write ONNX.

    Raises:
        EngineError: a package is missing.
    """
    try:
        from .onnx.file import write
    except ImportError as problem:
        raise EngineError(
            f"{problem.name} is needed to write and to check ONNX files, and is not installed. Install both packages: "
            "pip install onnx onnxruntime"
        ) from None
    return write(network, about, path)


def _options(given: dict[str, Any]) -> Options:
    known = [option.name for option in fields(Options)]
    if strange := [name for name in given if name not in known]:
        raise UsageError(
            f"export has no option '{strange[0]}'. Choose from: {', '.join(['overwrite', 'tell', *known])}"
        )
    return Options(**given)


def _check(path: Path, overwrite: bool, chosen: Options) -> None:
    """Refuse a file that cannot be written, before the network is loaded."""
    if path.suffix not in FORMS:
        raise UsageError(f"the suffix of '{path}' must be one of {', '.join(FORMS)}: it decides what is written")
    if path.suffix != ".c" and (unused := chosen.changed()):
        raise UsageError(f"{unused[0]} is for C files; '{path}' is written as {FORMS[path.suffix]}")
    beside = [path.with_suffix(".h")] if chosen.header else []
    beside += [path.with_name(f"{path.stem}_step.onnx")] if path.suffix == ".onnx" else []
    for file in [path, *beside]:
        if file.is_dir():
            raise UsageError(f"'{file}' is a folder; name a file, such as {file / ('model' + path.suffix)}")
        if file.exists() and not overwrite:
            raise UsageError(f"'{file}' exists already. Name another file, or replace it: --overwrite")
    if not path.parent.is_dir():
        raise DataError(f"there is no folder '{path.parent}' to write '{path.name}' to. Make it first")


def _opened(run: Recurrent | SequenceModel | Path | str) -> tuple[Recurrent | SequenceModel, Trained | None]:
    """A network, and the run that it belongs to, if it belongs to one."""
    if not isinstance(run, str | Path):
        return run, None
    if Path(run).suffix == STORED:
        return load_network(run)[0], None
    trained = Trained.load(Path(run))
    About.of(trained.kind)  # refuses kinds that need more than a network
    return trained.layers, trained
