"""Networks that read one sequence and write another: Cho et al. (2014), Sutskever, Vinyals and Le (2014), and with
attention Bahdanau, Cho and Bengio (2015)."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from ..circuits.circuit import Circuit
from ..errors import CircuitError, InputError, UsageError
from ..graph.bind import by_row
from ..graph.node import REAL
from ..sequence.borders import preceded, succeeded
from ..sequence.ragged import Ragged
from ..sequence.series import Series, each, select, values_of
from ..sequence.state import State
from .beam import search
from .joined import Purpose, has_reader, joined, read_with, reader
from .memory import Memory
from .model import SequenceModel, States
from .recurrent import Recurrent
from .writer import SYMBOL, state_of
from .written import LONGEST, Written, write

Start = Literal["summary", "states", "zero"]


class Source(NamedTuple):
    """What an encoder has read: the states that the decoder starts from, and the decoder's fixed inputs by name."""

    states: States
    fixed: dict[str, Series]
    device: torch.device

    def select(self, rows: Tensor) -> Source:
        """Some of the sequences: integers (k,), which may repeat."""
        fixed = {n: select(x, rows) for n, x in self.fixed.items()}
        return Source(tuple(state.select(rows) for state in self.states), fixed, self.device)


class EncoderDecoder(nn.Module):
    """A network that reads one sequence and writes another.

    >>> net = EncoderDecoder(cells.gru, cells.bahdanau, inputs=30, outputs=42, hidden=64, bidirectional=True)
    >>> source = unrolled.Ragged([torch.randint(30, (7,)), torch.randint(30, (3,))])
    >>> target = unrolled.Ragged([torch.randint(1, 42, (5,)), torch.randint(1, 42, (4,))])
    >>> net(source, target).lengths.tolist(), net(source, target).values.shape
    ([6, 5], torch.Size([11, 42]))

    The encoder reads the source, and the decoder writes symbols, each from those before it. A matrix M that is fixed in
    time in the decoder's circuit is the memory: the values of the encoder at all steps, one row per step. A vector that
    is fixed in time is the encoder's summary: its last state, of both directions.

    Args:
        encoder: the circuit that reads, with one input.
        decoder: the circuit that writes: it reads its last symbol, and what is fixed in time.
        inputs: the number of source symbols, or the size of the vectors that the encoder reads.
        outputs: the number of target symbols.
        hidden, layers: of the encoder and of the decoder, see ``SequenceModel``.
        bidirectional: the encoder reads in both directions.
        embedding: the size of the embeddings of source and target symbols; 0 for one-hot vectors.
        dropout, weight_dropout, zoneout, variational: see ``SequenceModel``. Dropout also applies to what the
            decoder gets from the encoder.
        start: the first states of the decoder: 'summary', tanh of a linear map of the encoder's summary, for states
            that are vectors; 'states', the last states of the encoder's layers; or 'zero'.
        begin: the symbol that the decoder reads first.
        end: the symbol that ends a target. It may be the same one.
        memory: what each layer stores for the backward pass, see ``Recurrent``.

    Raises:
        CircuitError: a circuit has no input or several, or with start='states' the states of the two differ.
        UsageError: a size or a symbol is out of range.
    """

    def __init__(
        self,
        encoder: Circuit,
        decoder: Circuit,
        inputs: int,
        outputs: int,
        hidden: int | Sequence[int] | None = None,
        layers: int = 1,
        *,
        bidirectional: bool = False,
        embedding: int = 0,
        dropout: float = 0.0,
        weight_dropout: float = 0.0,
        zoneout: float | Sequence[float] = 0.0,
        variational: float = 0.0,
        start: Start = "summary",
        begin: int = 0,
        end: int = 0,
        memory: Memory | None = None,
    ) -> None:
        super().__init__()
        for name, symbol in (("begin", begin), ("end", end)):
            if not 0 <= symbol < outputs:
                raise UsageError(f"{name} must be a symbol from 0 to {outputs - 1}, got {symbol}")
        if start not in ("summary", "states", "zero"):
            raise UsageError(f"start must be 'summary', 'states' or 'zero', got {start!r}")
        self.start, self.begin, self.end, self.outputs = start, begin, end, outputs
        self.encoder = SequenceModel(
            encoder,
            inputs,
            None,
            hidden,
            layers,
            bidirectional=bidirectional,
            embedding=embedding,
            dropout=dropout,
            weight_dropout=weight_dropout,
            zoneout=zoneout,
            variational=variational,
            memory=memory,
        )
        width = self.encoder.width
        self.decoder = SequenceModel(
            decoder,
            outputs,
            outputs,
            hidden,
            layers,
            embedding=embedding,
            dropout=dropout,
            weight_dropout=weight_dropout,
            zoneout=zoneout,
            variational=variational,
            fixed=dict.fromkeys(_looked_at(decoder), width),
            memory=memory,
        )
        self.dropout = nn.Dropout(dropout)
        self._writers: dict[
            str, tuple[list[Tensor | None], Recurrent]
        ] = {}  # by purpose, each with the tensors it shares
        sizes = [sum(_vector_states(layer).values()) for layer in _layers(self.decoder)]
        self.starts = nn.ModuleList(nn.Linear(width, size) for size in sizes if start == "summary")
        if start == "states":
            self._check_states()

    @property
    def circuit(self) -> Circuit:
        """The circuit of the encoder."""
        return self.encoder.circuit

    @property
    def first(self) -> Recurrent:
        """The first layer of the encoder, which reads the source."""
        return self.encoder.first

    def forward(self, source: Series, target: Series | None = None, own: float = 0.0) -> Series:
        """The scores of target symbols, each from those before it (teacher forcing).

        >>> net(source, target).lengths.tolist(), net(source, target).values.shape
        ([6, 5], torch.Size([11, 42]))

        Args:
            source: what is read: tokens (batch, time), vectors (batch, time, inputs), or a Ragged of either.
            target: tokens (batch, length), or a Ragged of them, without the symbols of begin and end. None, for the
                scores of the first symbol alone.
            own: the share of target symbols, drawn at random, in whose place the decoder reads the most probable symbol
                by its own scores (scheduled sampling, Bengio et al. 2015).

        Returns:
            one score per target symbol and then of the end: (batch, length + 1, outputs), or a Ragged if the target is.

        Raises:
            InputError: a source has no steps, or shapes do not fit.
            UsageError: ``own`` for a decoder with dropout, zoneout or variational dropout.
        """
        if target is None:
            target = torch.zeros(len(source), 0, dtype=torch.long, device=values_of(source).device)
        read = self.read(source)
        if own:
            return self._sampled(read, succeeded(target, self.end), own)
        scores: Series = self.decoder(preceded(target, self.begin), read.states or None, fixed=read.fixed)[0]
        return scores

    def read(self, source: Series) -> Source:
        """What the decoder gets from the encoder.

        >>> net.read(source).states[0].h.shape, net.read(source).fixed["M"].values.shape
        (torch.Size([2, 64]), torch.Size([10, 128]))

        Args:
            source: as for a call.

        Raises:
            InputError: a source has no steps.
        """
        rows, reached = self.encoder(source)
        _check_steps(rows)
        rows = each(self.dropout, rows)
        recurrence, device = self.decoder.circuit.recurrence, values_of(rows).device
        ranks = {n: len(recurrence.inputs[n].type.dims) for n in _looked_at(self.decoder.circuit)}
        if self.start != "summary" and 1 not in ranks.values():
            return Source(reached if self.start == "states" else (), dict.fromkeys(ranks, rows), device)
        summary = self.encoder.summary(rows)
        fixed = {n: rows if rank == 2 else summary for n, rank in ranks.items()}
        return Source(reached if self.start == "states" else tuple(self._started(summary)), fixed, device)

    def read_to_write(self, source: Series) -> Source:
        """What the decoder gets from the encoder, as fast as it can be without dropout and gradients: if it gets
        nothing but states, the embedding is folded into the first layer. Equal to ``read`` but for rounding.

        >>> net.read_to_write(source).states[0].h.shape
        torch.Size([2, 64])

        Args:
            source: as for a call.
        """
        if self.start != "states" or _looked_at(self.decoder.circuit) or not has_reader(self.encoder):
            return self.read(source)
        net = self._joined("reader", self.encoder, reader)
        states = read_with(net, self.encoder, source)
        _check_steps(source)
        return Source(states, {}, net._like().device)

    def log_probability(self, source: Series, target: Series) -> Tensor:
        """The logarithm of the probability of each target, with its end: (batch,).

        >>> net.log_probability(source, target).shape
        torch.Size([2])

        Args:
            source, target: as for a call.
        """
        scores, answers = self(source, target), succeeded(target, self.end)
        found = values_of(scores).log_softmax(-1).gather(-1, values_of(answers)[..., None])[..., 0]
        if not isinstance(answers, Ragged):
            return found.sum(-1)
        rows = torch.arange(len(answers)).repeat_interleave(answers.lengths).to(found.device)
        return found.new_zeros(len(answers)).index_add(0, rows, found)

    def attention(self, source: Series, target: Series) -> Tensor:
        """Where the last layer of the decoder looks while it writes each symbol of a target and the end: (batch,
        length + 1, steps of the source), each row with the sum 1.

        >>> net.attention(torch.randint(30, (2, 7)), torch.randint(1, 42, (2, 5))).shape
        torch.Size([2, 6, 7])

        Args:
            source: tokens (batch, time) or vectors (batch, time, inputs), not Ragged.
            target: tokens (batch, length).

        Raises:
            UsageError: the decoder returns no value with one entry per row of a memory.
        """
        recurrence = self.decoder.circuit.recurrence
        looks = by_row(recurrence)
        found = [n for n, x in recurrence.outputs.items() if n in looks and len(x.type.dims) == 1]
        if not found:
            raise UsageError(f"the decoder '{recurrence.name}' looks at no memory, or does not return where it looks")
        read, x = self.read(source), preceded(target, self.begin)
        x = x if self.decoder.embedding is None else each(self.decoder.embedding, x)
        for number, layer in enumerate(_layers(self.decoder)):
            state = read.states[number] if read.states else None
            out = layer(**{self.decoder.input: x, "state": state, **read.fixed})
            x = out[self.decoder.output]
        weights: Tensor = out[found[0]]
        return weights

    def write(
        self,
        source: Series,
        longest: int = LONGEST,
        temperature: float = 0.0,
        generator: torch.Generator | None = None,
    ) -> Written:
        """Write an answer for each source, symbol by symbol, without dropout.

        >>> net.write(source, longest=20).log_probability.shape
        torch.Size([2])

        Args:
            source: as for a call.
            longest: the largest number of symbols.
            temperature: 0 for the most probable symbol at each step; 1 to draw symbols as probable as they are, less
                to prefer probable ones.
            generator: of the drawn symbols.

        Raises:
            InputError: a source has no steps, or a number is out of range.
        """
        return write(self, source, longest, temperature, generator)

    def search(self, source: Series, beam: int = 5, longest: int = LONGEST, length_power: float = 1.0) -> list[Written]:
        """The ``beam`` best answers for each source, best first, by beam search, without dropout.

        >>> len(net.search(source, beam=3, longest=20))
        3

        At each step, the ``beam`` most probable beginnings of each source are continued; those of all sources are one
        batch. The answers are ranked by their log-probability divided by length ** length_power.

        Args:
            source: as for a call.
            beam: the number of beginnings of each source.
            longest: the largest number of symbols.
            length_power: 0 ranks by the probability, which prefers short answers; 1 by the mean over symbols (Wu et al.
                2016, section 7).

        Raises:
            InputError: a source has no steps, a number is out of range, or the beam is wider than the vocabulary.
        """
        return search(self, source, beam, longest, length_power)

    def _sampled(self, read: Source, answers: Series, own: float) -> Series:
        """The scores of a decoder that reads some symbols as it wrote them."""
        if not 0 <= own <= 1:
            raise UsageError(f"own must be a share from 0 to 1, got {own}")
        decoder = self.decoder
        if (
            decoder.dropout.p
            or decoder.weight_dropout
            or any(bool(x.circuit.recurrence.drawn) for x in _layers(decoder))
        ):
            raise UsageError("scheduled sampling needs a decoder without dropout, zoneout and variational dropout")
        known = each(lambda symbols: torch.rand(symbols.shape, device=symbols.device) >= own, answers)
        begin = torch.full((len(answers),), self.begin, device=read.device)
        start = state_of(begin, read.states)
        scores: Series = self.writer("scores")(state=start, given={SYMBOL: (answers, known)}, **read.fixed).o
        return scores

    def writer(self, purpose: Purpose) -> Recurrent:
        """The decoder as one circuit that reads its own last symbol: see ``joined``. It shares the parameters."""
        return self._joined(purpose, self.decoder, lambda model: joined(model, purpose))

    def _joined(self, purpose: str, model: SequenceModel, make: Callable[[SequenceModel], Recurrent]) -> Recurrent:
        """A joined circuit of a model, which is made again when a tensor that it shares is replaced."""
        shared: list[Tensor | None] = []
        shared += [w for layer in _layers(model) for w in layer._weights().values()]  # some may be computed
        for module in model.modules():
            shared += [*module._parameters.values(), *module._buffers.values()]
        known = self._writers.get(purpose)
        if known is None or len(known[0]) != len(shared) or not all(map(operator.is_, known[0], shared)):
            known = self._writers[purpose] = shared, make(model)
        return known[1]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_writers": {}}

    def _started(self, summary: Tensor) -> Iterator[State]:
        """The first states of each layer, from the summary of what was read."""
        for layer, linear in zip(_layers(self.decoder), self.starts, strict=False):
            sizes = _vector_states(layer)
            parts = torch.tanh(linear(summary)).split(list(sizes.values()), -1)
            yield State(**dict(zip(sizes, parts, strict=True)))

    def _check_states(self) -> None:
        """Refuse an encoder whose last states are not the first states of the decoder."""
        if self.encoder.backward_layers:
            raise CircuitError(
                "start='states' needs an encoder that reads in one direction. Use start='summary' to start from both"
            )
        for one, other in zip(_layers(self.encoder), _layers(self.decoder), strict=True):
            given, needed = ({n: layer.sizes[n] for n in layer.circuit.states} for layer in (one, other))
            if given != needed:
                raise CircuitError(
                    f"start='states' needs the same states in both: '{one.circuit.name}' has {_listed(given)}, "
                    f"'{other.circuit.name}' has {_listed(needed)}. Use start='summary'"
                )


Model = SequenceModel | EncoderDecoder  # what a training builds


def _check_steps(source: Series) -> None:
    if (source.shape[1] == 0) if isinstance(source, Tensor) else bool((source.lengths == 0).any()):
        raise InputError("a source has no steps: there is nothing to read. Give each at least one symbol")


def _layers(model: SequenceModel) -> list[Recurrent]:
    return [layer for layer in model.layers if isinstance(layer, Recurrent)]


def _looked_at(decoder: Circuit) -> list[str]:
    """The inputs that are fixed in time and come from the encoder; masks are drawn by the network itself."""
    return [n for n in decoder.recurrence.fixed if n not in decoder.recurrence.drawn]


def _vector_states(layer: Recurrent) -> dict[str, int]:
    """The sizes of the states that are vectors; others start at zero."""
    states = layer.circuit.recurrence.states
    return {n: layer.sizes[n] for n, node in states.items() if node.type.kind == REAL and len(node.type.dims) == 1}


def _listed(sizes: Mapping[str, int]) -> str:
    return ", ".join(f"{n}={size}" for n, size in sizes.items())
