"""A trained model on a stream of any length, in constant memory: read a piece, write its results, keep the state.

A kind of data joins with a function that opens its run folders as a ``Streamed``: a line in ``TASKS``.
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
from ..run.config import Config
from .format import Columns, Format
from .language import open_language
from .network import open_network
from .options import StreamOptions
from .output import OutputFile, StandardOutput
from .pieces import Pieces

EVERY = 10.0  # seconds between two writes of the state
Carried = dict[str, Tensor]  # what the next piece needs from those before it


class Streamed(Protocol):
    """A trained model that can run on streams."""

    @property
    def model(self) -> nn.Module: ...

    @property
    def unit(self) -> str:
        """What a step is: 'characters', 'rows', 'frames'."""

    def pieces(self, path: Path | None, stop: Callable[[], bool]) -> Pieces:
        """The input: a file, or standard input for None."""

    def advance(self, piece: Any, begin: int, carried: Carried) -> tuple[Columns, Carried]:
        """Read a piece that begins at a position. Returns what to write, and what the next piece needs. Nothing is
        carried to the first piece. The sizes of pieces do not change the results of steps, but for rounding."""


TASKS: dict[str, Callable[[Path, StreamOptions], Streamed]] = {"language": open_language}


def open_streamed(run: Path, options: StreamOptions) -> Streamed:
    """The trained model of a run folder, or a stored network.

    Raises:
        DataError: there is none, or it is damaged.
        UsageError: the model is of a kind that cannot read streams.
    """
    if run.suffix == SUFFIX:
        if options.each or options.skip_unknown:
            raise UsageError("--each and --skip-unknown are for models of text; a network writes a line for each step")
        return open_network(run, options.weights)
    config = Config(run)
    task = config.get("task", str)
    if task not in TASKS:
        raise UsageError(
            f"'{run}' is a run of the task '{task}', which cannot read a stream. Only runs of the task "
            f"{' or '.join(TASKS)} and networks in a file NAME{SUFFIX} can. To predict for a file: "
            f"{command_line('predict', run, 'DATA')}"
        )
    return TASKS[task](run, options)


@dataclass(frozen=True)
class Reached:
    """The state of a stream: steps read, bytes written, a checksum of the input, and what is carried to the next
    piece."""

    steps: int = 0
    size: int = 0
    mark: str = ""
    carried: Carried = field(default_factory=dict)


class Streaming:
    """A model on a stream. The state for an output ``out.jsonl`` is in ``out.jsonl.state``: written before the first
    output, then every ten seconds and when the stream is stopped, and removed at its end.

    Args:
        streamed: the trained model.
        source: a file, or None for standard input.
        out: a file, or None for standard output.
        options: how the stream is read and written.
        resume: continue from the state. A pipe must provide the whole input again; what was read is skipped.
        overwrite: replace an existing output.
        stop: called before each piece; true stops.

    Raises:
        UsageError: there is nothing to resume, or it was started with other options.
        DataError: the input or the output cannot be read or written, or the input is not the same as before.
    """

    def __init__(
        self,
        streamed: Streamed,
        source: Path | None,
        out: Path | None,
        options: StreamOptions,
        resume: bool = False,
        overwrite: bool = False,
        stop: Callable[[], bool] = lambda: False,
    ) -> None:
        self.streamed, self.options, self.stop, self.finished = streamed, options, stop, False
        if getattr(streamed.model, "backward_layers", None):
            raise UsageError(
                "a model with two directions cannot read a stream: its backward direction starts at the end. Train one "
                "without model.bidirectional"
            )
        self.format = Format(options.format)
        if resume and (out is None or (out.exists() and not out.is_file())):
            raise UsageError("only an output file can be resumed: name it with --out")
        if source and out and out.exists() and source.exists() and out.samefile(source):
            raise UsageError(f"'{out}' is the input. Choose another --out")
        continues = out and (out.is_file() or not out.exists())  # a device or a pipe cannot be resumed
        self.kept = out.with_name(out.name + ".state") if out and continues else None
        self.fingerprint = _fingerprint(streamed.model)
        self.reached = self._reached() if resume else Reached()
        if out and not resume and out.exists() and not overwrite:
            OutputFile(out)  # raises an error before anything is read
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
                f"the input is not the one of '{out}': its first {self.reached.steps:,} {streamed.unit} differ. "
                "Provide the same input from its beginning, or start again with --overwrite"
            )
        size = self.reached.size if resume else None
        self.output = OutputFile(out, size, overwrite) if out else StandardOutput()

    @property
    def steps(self) -> int:
        """The number of steps that were read."""
        return self.reached.steps

    def run(self) -> Iterator[int]:
        """Read to the end, and yield the number of steps after each piece. The state is always written."""
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
            kept = f"; their results are in '{self.output.path}'" if isinstance(self.output, OutputFile) else ""
            raise type(problem)(f"{problem}\n  {self.steps:,} {self.streamed.unit} were read{kept}") from None
        finally:
            try:
                self.save()
            finally:
                self.output.close()
        if self.finished and self.kept:
            self.kept.unlink(missing_ok=True)

    def _advance(self) -> bool:
        piece = self.pieces.next(self.options.chunk)
        if piece is None or self.stop():  # a pipe that was stopped may have returned half a piece
            return False
        columns, carried = self.streamed.advance(piece, self.steps, self.reached.carried)
        self.output.write(("" if self.steps else self.format.head(columns)) + self.format.rows(columns))
        self.reached = Reached(self.pieces.position, self.output.size, self.pieces.mark, carried)
        return True

    def save(self) -> None:
        """Write the state, after all earlier output was flushed to the disk."""
        self.output.flush()
        if self.kept is None:
            return
        about = {"format": 1, "model": self.fingerprint, "way": asdict(self.options)}
        about |= {"steps": self.steps, "size": self.reached.size, "mark": self.reached.mark}
        write_bytes(self.kept, pack(self.reached.carried, "stream", about))

    def _reached(self) -> Reached:
        """The state on the disk, which must be of this model and these options."""
        assert self.kept is not None
        if not self.kept.exists():
            raise UsageError(f"there is no state '{self.kept}' to resume from: the stream has ended, or never began")
        content = read_bytes(self.kept, "the state of a stream")
        try:
            carried, about = unpack(content, "stream")
            reached = Reached(int(about["steps"]), int(about["size"]), str(about["mark"]), carried)
            model, options = about["model"], StreamOptions(**about["way"])
        except (SafetensorError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as problem:
            raise DataError(f"'{self.kept}' is damaged ({problem}). Start again with --overwrite") from None
        if model != self.fingerprint:
            raise UsageError(
                f"'{self.kept}' was made with another model. Use that one, or start again with --overwrite"
            )
        if options != self.options:
            raise UsageError(
                f"'{self.kept}' was made with {options}. Resume with the same options, or start again with --overwrite"
            )
        return reached


def _fingerprint(model: nn.Module) -> str:
    """A checksum of the parameters of a model."""
    digest = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        digest.update(f"{name} {tuple(value.shape)} {value.dtype}".encode())
        digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()
