"""Writing until a stop symbol: the network runs in longer and longer pieces, of the sequences that have not ended."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from ..errors import InputError, did_you_mean
from ..graph.node import TOKEN
from ..sequence.ragged import Ragged
from ..sequence.state import State
from .result import Result

if TYPE_CHECKING:
    from .recurrent import Recurrent

FIRST, FIRST_OF_MANY, MANY = 16, 4, 32  # steps of the first piece; of many sequences, whose steps cost more than calls


class Pieces(NamedTuple):
    """What a network has written, piece by piece.

    pieces: the results of each.
    rows: the sequences of each piece.
    ends: how many steps of each of these sequences count.
    """

    pieces: list[Result]
    rows: list[Tensor]
    ends: list[Tensor]

    def joined(self) -> Result:
        """All values as Ragged, and the state after the last step of each sequence."""
        return _joined(self.pieces, self.rows, self.ends)


def write(
    net: Recurrent, inputs: Mapping[str, Any], state: State | None, steps: int | None, until: Mapping[str, int]
) -> Result:
    """Run a network until each sequence has a stop symbol, or for a number of steps.

    >>> out = write(net, {}, None, 200, until={"w": 0})
    >>> out.w.lengths.shape, int(out.w.lengths.max()) <= 200
    (torch.Size([1]), True)

    Args:
        net: the network.
        inputs: by name, series (batch, time, ...) and fixed inputs.
        state: the initial state.
        steps: the largest number of steps, if there are no series.
        until: the stop symbol of each of some returned tokens, by name.

    Returns:
        all values as Ragged. Each sequence ends with its first stop symbol; the state is that after its last step.

    Raises:
        InputError: a stop symbol is not a token of the network, or an argument does not fit.
    """
    return pieces_of(net, inputs, state, steps, until).joined()


def pieces_of(
    net: Recurrent, inputs: Mapping[str, Any], state: State | None, steps: int | None, until: Mapping[str, int]
) -> Pieces:
    """As ``write``, piece by piece."""
    _check(net, until)
    series = {n: x for n, x in inputs.items() if n not in net.circuit.recurrence.fixed}
    for n, x in series.items():
        if not isinstance(x, Tensor):
            raise InputError(f"with until=, input '{n}' must be a tensor (batch, time, ...), got a {type(x).__name__}")
    _, longest = net._incoming().extent(series, {}, steps)
    pieces, rows, ends, done = list[Result](), list[Tensor](), list[Tensor](), 0
    leave = not any(isinstance(x, Ragged) for x in inputs.values()) or not _states_of_data(net)
    batch = max(map(len, (*inputs.values(), *(state or {}).values())), default=1)
    going = torch.ones(batch, dtype=torch.bool)  # which of the sequences of the next piece have not ended
    while True:
        more = max(FIRST, done) if len(going) < MANY else max(FIRST_OF_MANY, done // 2)
        count = min(more, longest - done)
        given = {**inputs, **{n: x[:, done : done + count] for n, x in series.items()}}
        if pieces and leave:
            given = {n: _selected(x, rows[-1]) for n, x in given.items()}
        out = net(state=state, **given, **({} if series else {"steps": count}))
        first = torch.stack([_first(out[n], symbol) for n, symbol in until.items()]).amin(0).cpu()
        if not pieces:
            rows = [torch.arange(len(first))]
        pieces.append(out)
        ends.append((first + 1).clamp(max=count) * going)
        going, state, done = going & (first == count), out.state, done + count
        if done >= longest or not bool(going.any()):
            return Pieces(pieces, rows, ends)
        rows.append(rows[-1][going] if leave else rows[-1])
        if leave:
            going, state = going[going], state.select(going)


def _states_of_data(net: Recurrent) -> bool:
    """Whether a state has as many entries as the longest memory of the batch has rows."""
    return any(
        not net._sizes.keys() >= set(d.names) for s in net.circuit.recurrence.states.values() for d in s.type.dims
    )


def _check(net: Recurrent, until: Mapping[str, int]) -> None:
    """Refuse what is not the stop symbol of a token that the network returns."""
    returns = net.circuit.recurrence.returns
    tokens = [n for n, node in returns.items() if node.type.kind == TOKEN]
    if not isinstance(until, Mapping) or not until:
        raise InputError(f'until must name a token and its stop symbol, such as until={{"w": 0}}, got {until!r}')
    for n, symbol in until.items():
        if n not in tokens:
            hint = did_you_mean(n, tokens) or f". Its tokens are {', '.join(tokens) or 'none'}"
            what = "which is not a token" if n in returns else "which the network does not return"
            raise InputError(f"until= names '{n}', {what}{hint}")
        size = returns[n].type.dims[0]
        most = size.value(net._sizes) - 1 if net._sizes.keys() >= set(size.names) else None  # None: read from the data
        whole = isinstance(symbol, int) and not isinstance(symbol, bool)
        if not whole or symbol < 0 or (most is not None and symbol > most):
            limit = f"from 0 to {most}" if most is not None else "0 or more"
            raise InputError(f"the stop symbol of '{n}' must be an integer {limit}, got {symbol!r}")


def _first(tokens: Tensor, symbol: int) -> Tensor:
    """The first step at which each row of tokens (rows, steps) is a symbol; the number of steps if there is none."""
    hit = torch.cat([tokens == symbol, tokens.new_ones(len(tokens), 1, dtype=torch.bool)], 1)
    return hit.int().argmax(1)


def _selected(value: Any, rows: Tensor) -> Any:
    """Some sequences of an input (batch, ...) or a Ragged."""
    return value.select(rows) if isinstance(value, Ragged) else value[rows.to(value.device)]


def _joined(pieces: list[Result], rows: list[Tensor], ends: list[Tensor]) -> Result:
    """The results of all pieces, each of which has the sequences ``rows``, of which it counts the steps ``ends``."""
    if len(pieces) == 1:
        return _of_one(pieces[0], ends[0])
    sequence, source, first = list[Tensor](), list[Tensor](), 0
    for out, own, end in zip(pieces, rows, ends, strict=False):
        count = int(next(iter(out.values())).shape[1])
        there = torch.arange(count) < end[:, None]  # (rows, steps)
        sequence.append(own[:, None].expand_as(there)[there])
        source.append(first + there.flatten().nonzero().flatten())
        first += there.numel()
    of = torch.cat(sequence)
    index = torch.cat(source)[of.argsort(stable=True)]  # by sequence; the pieces are in the order of time
    lengths = torch.bincount(of, minlength=len(rows[0]))
    values = {
        n: Ragged(values=torch.cat([_rows(out[n], x.shape[2:]) for out in pieces])[index.to(x.device)], lengths=lengths)
        for n, x in pieces[0].items()
    }
    last = pieces[0].state if not len(index) else State.of({n: values[n].last for n in pieces[0].state})
    return Result(values, last)


def _of_one(piece: Result, ends: Tensor) -> Result:
    """The results of a single piece, of which the steps ``ends`` of each sequence count."""
    count = int(next(iter(piece.values())).shape[1])
    index = (torch.arange(count) < ends[:, None]).flatten().nonzero().flatten()
    values = {n: Ragged(values=x.flatten(0, 1)[index.to(x.device)], lengths=ends) for n, x in piece.items()}
    if not len(index):
        return Result(values, piece.state)
    last = torch.arange(len(ends)) * count + ends - 1
    return Result(values, State.of({n: piece[n].flatten(0, 1)[last.to(piece[n].device)] for n in piece.state}))


def _rows(series: Tensor, shape: torch.Size) -> Tensor:
    """A series (batch, time, ...) as rows of a shape. Where the memories of a piece have fewer rows, zeros follow."""
    missing = [n for have, want in zip(series.shape[:1:-1], reversed(shape), strict=True) for n in (0, want - have)]
    return (torch.nn.functional.pad(series, missing) if any(missing) else series).flatten(0, 1)
