"""Ragged: sequences of different lengths in one batch, without padding."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from ..errors import InputError
from . import layouts
from .layouts import some


class Ragged:
    """Sequences of any lengths, one behind the other in one tensor: no padding, no sorting, lengths on the CPU.

    >>> r = unrolled.Ragged([torch.randn(3, 8), torch.randn(0, 8), torch.randn(500, 8)])
    >>> len(r), r.lengths.tolist(), r.values.shape, r[2].shape
    (3, [3, 0, 500], torch.Size([503, 8]), torch.Size([500, 8]))

    Gradients flow to whatever it was made from, and through whatever it is converted to.

    Args:
        sequences: one tensor (time_i, ...feature) each, or whole numbers (time_i,) for tokens. Lengths 0 and 1 are
            legal.
        values, lengths: the same in one piece: a tensor (sum of times, ...feature), and n whole numbers.

    Attributes:
        values: (sum of times, ...feature), contiguous, differentiable.
        lengths: steps of each sequence: int64 (n,), on the CPU.
        offsets: where each begins in ``values``, and at last where all end: int64 (n + 1,), on the CPU.

    Raises:
        InputError: sequences of different feature sizes, dtypes or devices; lengths that are negative or do not add
            up to the steps of ``values``.
    """

    values: Tensor
    lengths: Tensor
    offsets: Tensor

    def __init__(
        self,
        sequences: Sequence[Tensor] | None = None,
        *,
        values: Tensor | None = None,
        lengths: Tensor | Sequence[int] | None = None,
    ) -> None:
        if sequences is not None and values is None and lengths is None:
            values, lengths = _joined(sequences)
        elif sequences is not None or values is None or lengths is None:
            raise InputError("Ragged takes either a list of tensors or both values= and lengths=")
        if not isinstance(values, Tensor) or not values.ndim:
            raise InputError(f"values must be a tensor of shape (sum of times, ...feature), got {_described(values)}")
        self.lengths = checked_lengths(lengths)
        if (total := int(self.lengths.sum())) != len(values):
            raise InputError(
                f"lengths add up to {total} steps, but values, of shape {tuple(values.shape)}, has {len(values)}"
            )
        self.values = values.contiguous()
        self.offsets = torch.cat([self.lengths.new_zeros(1), self.lengths.cumsum(0)])

    # from and to other layouts

    @staticmethod
    def from_padded(x: Tensor, lengths: Tensor | Sequence[int] | None = None, mask: Tensor | None = None) -> Ragged:
        """The valid steps of a padded tensor.

        >>> unrolled.Ragged.from_padded(torch.randn(2, 5, 8), lengths=[5, 3]).values.shape
        torch.Size([8, 8])

        Padding is never read: whatever it holds, NaN too, reaches neither values nor gradients.

        Args:
            x: (batch, time, ...feature).
            lengths: valid steps of each row, from 0 to time; or
            mask: booleans (batch, time), true up to the end of each row and false behind it.

        Raises:
            InputError: lengths out of range; a mask with a hole, with its row and step.
        """
        if not isinstance(x, Tensor) or x.ndim < 2:
            raise InputError(f"a padded tensor must have shape (batch, time, ...feature), got {_described(x)}")
        if (lengths is None) == (mask is None):
            raise InputError("from_padded takes either lengths= or mask=")
        if lengths is None:
            if not isinstance(mask, Tensor) or mask.dtype != torch.bool or mask.shape != x.shape[:2]:
                raise InputError(f"mask must be a boolean tensor {tuple(x.shape[:2])}, got {_described(mask)}")
            valid = layouts.prefix_lengths(mask)
        else:
            valid = checked_lengths(lengths)
            if len(valid) != len(x):
                raise InputError(f"lengths must have one entry for each of the {len(x)} rows, got {len(valid)}")
            if len(long := (valid > x.shape[1]).nonzero()):
                row = int(long[0])
                raise InputError(
                    f"row {row} has length {int(valid[row])}, but the padded tensor has only {x.shape[1]} steps"
                )
        return Ragged(values=layouts.from_padded(x, valid), lengths=valid)

    def to_padded(self, value: float = 0.0) -> tuple[Tensor, Tensor]:
        """(n, longest, ...feature), with ``value`` behind the end of each sequence; and the lengths."""
        return layouts.to_padded(self.values, self.lengths, value), self.lengths.clone()

    def mask(self) -> Tensor:
        """Booleans (n, longest): the valid steps of the padded tensor."""
        longest = int(self.lengths.max()) if len(self) else 0
        return (torch.arange(longest, device="cpu") < self.lengths[:, None]).to(self.device)

    @staticmethod
    def from_packed(packed: PackedSequence) -> Ragged:
        """The sequences of torch's PackedSequence, in the order that they had before it was sorted."""
        if not isinstance(packed, PackedSequence):
            raise InputError(f"from_packed takes a torch.nn.utils.rnn.PackedSequence, got {_described(packed)}")
        values, lengths = layouts.from_packed(packed)
        return Ragged(values=values, lengths=lengths)

    def to_packed(self) -> PackedSequence:
        """A PackedSequence for torch.nn.LSTM and its kin, which take no sequence of length 0."""
        return layouts.to_packed(self.values, self.lengths)

    @staticmethod
    def from_nested(nested: Tensor) -> Ragged:
        """The sequences of a nested tensor (n, ragged, ...feature) in jagged layout."""
        if not isinstance(nested, Tensor):
            raise InputError(f"from_nested takes a nested tensor, got {_described(nested)}")
        values, lengths = layouts.from_nested(nested)
        return Ragged(values=values, lengths=lengths)

    def to_nested(self) -> Tensor:
        """A nested tensor (n, ragged, ...feature) in jagged layout, on the same memory."""
        return layouts.to_nested(self.values, self.lengths)

    # the sequences

    def __len__(self) -> int:
        """How many sequences."""
        return len(self.lengths)

    def __getitem__(self, i: int) -> Tensor:
        """Sequence i, a view (time_i, ...feature)."""
        if not isinstance(i, int):
            raise InputError(f"r[i] takes one integer, got {_described(i)}. For several rows, use r.select(...)")
        if not -len(self) <= i < len(self):
            raise IndexError(f"no sequence {i}: the batch has {len(self)}, numbered from 0")
        i %= len(self)
        return self.values[int(self.offsets[i]) : int(self.offsets[i + 1])]

    def __iter__(self) -> Iterator[Tensor]:
        return iter(self.values.split(self.lengths.tolist()))

    def select(self, rows: Tensor | Sequence[int]) -> Ragged:
        """Some sequences in the order given: whole numbers, of which some may come twice, or booleans (n,).

        >>> r.select([2, 0]).lengths.tolist(), r.select(r.lengths > 0).lengths.tolist()
        ([500, 3], [3, 500])
        """
        chosen = torch.as_tensor(rows, device="cpu")
        chosen = chosen.long() if not chosen.numel() and chosen.dtype != torch.bool else chosen
        if chosen.dtype == torch.bool:
            if chosen.shape != self.lengths.shape:
                raise InputError(f"a mask over rows must be a boolean tensor ({len(self)},), got {_described(chosen)}")
            chosen = chosen.nonzero().flatten()
        if chosen.ndim != 1 or chosen.is_floating_point() or chosen.is_complex():
            raise InputError(f"rows must be integers (k,) or booleans ({len(self)},), got {_described(chosen)}")
        outside = chosen[(chosen < -len(self)) | (chosen >= len(self))]
        if len(outside):
            raise InputError(f"no sequence {int(outside[0])}: the batch has {len(self)}, numbered from 0")
        chosen = chosen.long() % max(len(self), 1)
        lengths = self.lengths[chosen]
        which, times = layouts.rows_and_times(lengths)
        index = self.offsets[chosen][which] + times
        return Ragged(values=layouts.take(self.values, index), lengths=lengths)

    @property
    def last(self) -> Tensor:
        """The last valid step of every sequence: (n, ...feature).

        Raises:
            InputError: sequences of length 0, which have none.
        """
        self._refuse_empty("last step")
        return layouts.take(self.values, self.offsets[1:] - 1)

    @property
    def means(self) -> Tensor:
        """The mean over the steps of every sequence: (n, ...feature).

        >>> r.select([0, 2]).means.shape
        torch.Size([2, 8])

        Raises:
            InputError: sequences of length 0, which have none.
        """
        self._refuse_empty("mean")
        parts = [sequence.mean(0) for sequence in self]
        return torch.stack(parts) if parts else self.values.new_zeros(0, *self.values.shape[1:])

    def flip(self) -> Ragged:
        """Each sequence from its end to its beginning.

        >>> unrolled.Ragged([torch.tensor([1, 2, 3]), torch.tensor([4, 5])]).flip().values
        tensor([3, 2, 1, 5, 4])
        """
        rows, times = layouts.rows_and_times(self.lengths)
        return self._with(layouts.take(self.values, self.offsets[1:][rows] - 1 - times))

    # all steps at once

    def map(self, f: Callable[[Tensor], Tensor]) -> Ragged:
        """The same sequences with f applied to each step: ``r.map(linear)``. f gets ``values`` as they are."""
        result = f(self.values)
        if not isinstance(result, Tensor) or not result.ndim or len(result) != len(self.values):
            raise InputError(
                f"the function given to map must return one row for each of the {len(self.values)} steps, "
                f"got {_described(result)}"
            )
        return Ragged(values=result, lengths=self.lengths)

    def sum(self) -> Tensor:
        """The sum of all entries of all valid steps."""
        return self.values.sum()

    def mean(self) -> Tensor:
        """The mean of all entries of all valid steps; of a loss per step: the mean per step."""
        if not self.values.numel():
            raise InputError(f"the mean of no steps is not defined: {self!r}")
        return self.values.mean()

    def detach(self) -> Ragged:
        """The same values, cut off from the gradient."""
        return self._with(self.values.detach())

    def to(self, *args: object, **kwargs: object) -> Ragged:
        """Values moved or converted as ``Tensor.to`` does; lengths stay on the CPU."""
        return self._with(self.values.to(*args, **kwargs))  # type: ignore[call-overload]

    @property
    def device(self) -> torch.device:
        return self.values.device

    @property
    def dtype(self) -> torch.dtype:
        return self.values.dtype

    def _refuse_empty(self, what: str) -> None:
        empty = (self.lengths == 0).nonzero().flatten().tolist()
        if empty:
            raise InputError(
                f"sequences of length 0 have no {what}: {some(empty)}. Remove them with r.select(r.lengths > 0)"
            )

    def _with(self, values: Tensor) -> Ragged:
        return Ragged(values=values, lengths=self.lengths)

    def __repr__(self) -> str:
        feature = "".join(f", {size}" for size in self.values.shape[1:])
        return f"Ragged({len(self)} sequences, {len(self.values)} steps{feature}, {_short(self.dtype)})"


def _joined(sequences: Sequence[Tensor] | Tensor) -> tuple[Tensor, list[int]]:
    """All sequences one behind the other, which must agree in everything but length."""
    if isinstance(sequences, Tensor):
        raise InputError(
            f"Ragged takes a list of tensors, got one {_described(sequences)}. "
            "For a padded tensor, use Ragged.from_padded(x, lengths=...)"
        )
    sequences = list(sequences)
    if not sequences:
        raise InputError("an empty list has no feature size. Write Ragged(values=..., lengths=[])")
    for i, sequence in enumerate(sequences):
        if not isinstance(sequence, Tensor) or not sequence.ndim:
            raise InputError(f"sequence {i} must be a tensor of shape (time, ...feature), got {_described(sequence)}")
        for what, of in (("feature size", _feature), ("dtype", _dtype), ("device", _device)):
            if of(sequence) != of(sequences[0]):
                raise InputError(
                    f"all sequences must have the same {what}: sequence 0 has {of(sequences[0])}, "
                    f"sequence {i} has {of(sequence)}"
                )
    return torch.cat(sequences), [len(sequence) for sequence in sequences]


def _feature(sequence: Tensor) -> str:
    return str(tuple(sequence.shape[1:])) if sequence.ndim > 1 else "none"


def _dtype(sequence: Tensor) -> str:
    return _short(sequence.dtype)


def _device(sequence: Tensor) -> str:
    return str(sequence.device)


def checked_lengths(given: object) -> Tensor:
    """Lengths as a batch keeps them: int64 (n,) on the CPU, its own copy; an InputError for what is none."""
    try:
        lengths = torch.as_tensor(given, device="cpu").detach()
    except (TypeError, ValueError, RuntimeError):
        raise InputError(f"lengths must be integers of shape (n,), got {_described(given)}") from None
    whole = not (lengths.is_floating_point() or lengths.is_complex() or lengths.dtype == torch.bool)
    if lengths.ndim != 1 or not (whole or not lengths.numel()):
        raise InputError(f"lengths must be integers of shape (n,), got {_described(lengths)}")
    lengths = lengths.to(torch.int64, copy=True)
    if len(negative := (lengths < 0).nonzero()):
        row = int(negative[0])
        raise InputError(f"lengths must be 0 or more; sequence {row} has {int(lengths[row])}")
    return lengths


def _described(value: object) -> str:
    return f"{_short(value.dtype)} {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__


def _short(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
