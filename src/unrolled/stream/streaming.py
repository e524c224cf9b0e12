"""A trained model run over a stream of any length in constant memory: read a piece, write what it gives, keep state.

A task joins with one function, which opens its run folders as a ``Streamed``: a line in ``TASKS``.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from ..errors import DataError, UnrolledError, UsageError, command_line
from ..files.read import read_bytes
from ..files.tensors import pack, unpack
from ..files.write import write_bytes
from ..nn.stored import SUFFIX
from ..train.run_folder import Config
from .input import Pieces
from .language import open_language
from .network import open_network
from .options import Way
from .output import OutputFile, StandardOutput, Table, Writer

EVERY = 10.0  # seconds between two states on the disk
Carried = dict[str, Tensor]  # all that the next piece needs to know of those before it


class Streamed(Protocol):
    """What a task says about a trained model, so that it can be run over streams."""

    @property
    def model(self) -> nn.Module:
        """What was trained."""

    @property
    def unit(self) -> str:
        """What one step is: 'characters', 'rows', 'frames'."""

    def pieces(self, path: Path | None, stop: Callable[[], bool]) -> Pieces:
        """The input, from a file, or from standard input for None."""

    def advance(self, piece: Any, begin: int, carried: Carried) -> tuple[Table, Carried]:
        """Read a piece that begins at a position: what to write, and what the next piece needs. Nothing is carried to
        the first piece; where pieces end makes no difference to what is written for each step, but for rounding."""


TASKS: dict[str, Callable[[Path, Way], Streamed]] = {"language": open_language}


def open_streamed(run: Path, way: Way) -> Streamed:
    """The trained model of a run folder, or of a network in a file.

    Raises:
        DataError: none, or a damaged one.
        UsageError: one of a task that knows nothing of streams.
    """
    if run.suffix == SUFFIX:
        if way.each or way.skip_unknown:
            raise UsageError("--each and --skip-unknown are for models of text; a network gives a line for each step")
        return open_network(run)
    config = Config(run)
    task = config.get("task", str)
    if task not in TASKS:
        raise UsageError(
            f"'{run}' is a run of the task '{task}', which cannot read a stream. Runs of the task {' or '.join(TASKS)} "
            f"can, and networks in a file NAME{SUFFIX}. For answers to a file: {command_line('predict', run, 'DATA')}"
        )
    return TASKS[task](run, way)


@dataclass(frozen=True)
class Reached:
    """Where a stream stands: steps read, bytes written, which input it was, and what is carried."""

    steps: int = 0
    size: int = 0
    mark: str = ""
    carried: Carried = field(default_factory=dict)


class Streaming:
    """One run over one stream. The state of an output ``out.jsonl`` is kept in ``out.jsonl.state``: written before the
    first output, then every ten seconds and when the run stops, and removed when it comes to its end.

    Args:
        streamed: the trained model.
        source: a file, or None for standard input.
        out: a file, or None for standard output.
        resume: go on from the state. A pipe must bring the whole input again, of which what was done is passed over.
        overwrite: replace an output that is there.
        stop: asked before each piece; true stops.

    Raises:
        UsageError: nothing to go on with, or in another way than before.
        DataError: an input or an output that cannot be read or written; an input that is not the one from before.
    """

    def __init__(
        self,
        streamed: Streamed,
        source: Path | None,
        out: Path | None,
        way: Way,
        resume: bool = False,
        overwrite: bool = False,
        stop: Callable[[], bool] = lambda: False,
    ) -> None:
        self.streamed, self.way, self.stop, self.finished = streamed, way, stop, False
        if getattr(streamed.model, "backward_layers", None):
            raise UsageError(
                "a model of two directions cannot read a stream: its backward direction starts at the end, which a "
                "stream has not reached. Train one without model.bidirectional"
            )
        self.writer = Writer(way.format)
        if resume and (out is None or (out.exists() and not out.is_file())):
            raise UsageError("only an output in a file can be continued: name the file with --out")
        if source and out and out.exists() and source.exists() and out.samefile(source):
            raise UsageError(f"'{out}' is the input itself. Choose another --out")
        continues = out and (out.is_file() or not out.exists())  # a device or a pipe cannot be continued
        self.kept = out.with_name(out.name + ".state") if out and continues else None
        self.fingerprint = _fingerprint(streamed.model)
        self.reached = self._reached() if resume else Reached()
        if out and not resume and out.exists() and not overwrite:
            OutputFile(out)  # refuses, before anything is read
        self.pieces = streamed.pieces(source, stop)
        if not resume:
            self.reached = Reached(mark=self.pieces.mark)
        self.pieces.skip(self.reached.steps)
        if (
            not stop()
            and resume
            and (self.pieces.position, self.pieces.mark) != (self.reached.steps, self.reached.mark)
        ):
            raise DataError(
                f"the input is not the one that '{out}' was made of: its first {self.reached.steps:,} "
                f"{streamed.unit} differ. Give the same input from its beginning, or begin again: --overwrite"
            )
        size = self.reached.size if resume else None
        self.output = OutputFile(out, size, overwrite) if out else StandardOutput()

    @property
    def steps(self) -> int:
        """How many were read."""
        return self.reached.steps

    def run(self) -> Iterator[int]:
        """Read to the end, giving the number of steps after each piece. Whatever ends it, the state is kept before."""
        try:
            self.save()
            saved = time.monotonic()
            with torch.no_grad():
                while not self.stop() and self._advance():
                    yield self.steps
                    if time.monotonic() - saved > EVERY:
                        self.save()
                        saved = time.monotonic()
            self.finished = not self.stop()
        except UnrolledError as problem:
            kept = (
                f". What was read before it is in '{self.output.path}'" if isinstance(self.output, OutputFile) else ""
            )
            raise type(problem)(f"{problem}\n  {self.steps:,} {self.streamed.unit} were read{kept}") from None
        finally:
            try:
                self.save()
            finally:
                self.output.close()
        if self.finished and self.kept:
            self.kept.unlink(missing_ok=True)

    def _advance(self) -> bool:
        piece = self.pieces.next(self.way.chunk)
        if piece is None or self.stop():  # a pipe that was stopped may have given half a piece
            return False
        table, carried = self.streamed.advance(piece, self.steps, self.reached.carried)
        self.output.write(("" if self.steps else self.writer.head(table)) + self.writer.rows(table))
        self.reached = Reached(self.pieces.position, self.output.size, self.pieces.mark, carried)
        return True

    def save(self) -> None:
        """Write the state, after all output before it is on the disk."""
        self.output.flush()
        if self.kept is None:
            return
        about = {"format": 1, "model": self.fingerprint, "way": asdict(self.way)}
        about |= {"steps": self.steps, "size": self.reached.size, "mark": self.reached.mark}
        write_bytes(self.kept, pack(self.reached.carried, "stream", about))

    def _reached(self) -> Reached:
        """The state on the disk, which must be of this model and of this way."""
        assert self.kept is not None
        if not self.kept.exists():
            raise UsageError(f"there is no state '{self.kept}' to go on from: the run came to its end, or never began")
        content = read_bytes(self.kept, "the state of a stream")
        try:
            carried, about = unpack(content, "stream")
            reached = Reached(int(about["steps"]), int(about["size"]), str(about["mark"]), carried)
            model, way = about["model"], Way(**about["way"])
        except (SafetensorError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as problem:
            raise DataError(f"'{self.kept}' is damaged ({problem}). Begin again: --overwrite") from None
        if model != self.fingerprint:
            raise UsageError(f"'{self.kept}' was made with another model. Name that one, or begin again: --overwrite")
        if way != self.way:
            before = f"--chunk {way.chunk} --format {way.format}{' --each' if way.each else ''}"
            raise UsageError(
                f"'{self.kept}' was made with {before}. Go on in the same way, or begin again: --overwrite"
            )
        return reached


def _fingerprint(model: nn.Module) -> str:
    """Tells models apart by their parameters."""
    digest = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        digest.update(f"{name} {tuple(value.shape)} {value.dtype}".encode())
        digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()
