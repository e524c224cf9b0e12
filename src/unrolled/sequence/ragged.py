"""Ragged: sequences of different lengths in one batch, without padding."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor
from torch.compiler import is_compiling
from torch.nn.utils.rnn import PackedSequence

from ..errors import InputError
from . import layouts
from .container import container
from .layouts import some


@partial(container, check=lambda ragged: ragged._refuse_batches())
class Ragged:
    """Sequences of any lengths, concatenated in one tensor: no padding and no sorting; the lengths are on the CPU.

    >>> r = unrolled.Ragged([torch.randn(3, 8), torch.randn(0, 8), torch.randn(500, 8)])
    >>> len(r), r.lengths.tolist(), r.values.shape, r[2].shape
    (3, [3, 0, 500], torch.Size([503, 8]), torch.Size([500, 8]))

    Gradients flow back to the tensors that it is made from, and through every conversion.

    Args:
        sequences: one tensor (time_i, ...feature) each, or integers (time_i,) for tokens. A length may be 0.
        values, lengths: instead of ``sequences``, the concatenated tensor (sum of times, ...feature) and the length of
            each sequence (n,).

    Attributes:
        values: (sum of times, ...feature), contiguous, differentiable.
        lengths: the number of steps of each sequence: int64 (n,), on the CPU.
        offsets: the row of ``values`` at which each sequence begins, and the end of the last one: int64 (n + 1,), on
            the CPU.

    Raises:
        InputError: feature sizes, dtypes or devices differ; lengths are negative, or do not add up to the number of
            steps in ``values``.
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
        if is_compiling():  # checked when the compiled code runs
            torch._assert_async(self.lengths.sum() == len(values), "the lengths do not add up to the steps in values")
        elif (total := int(self.lengths.sum())) != len(values):
            raise InputError(
                f"lengths add up to {total} steps, but values, of shape {tuple(values.shape)}, has {len(values)}"
            )
        self.values = values.contiguous()
        self.offsets = torch.cat([self.lengths.new_zeros(1), self.lengths.cumsum(0)])

    # conversion from and to other layouts

    @staticmethod
    def from_padded(x: Tensor, lengths: Tensor | Sequence[int] | None = None, mask: Tensor | None = None) -> Ragged:
        """The valid steps of a padded tensor.

        >>> unrolled.Ragged.from_padded(torch.randn(2, 5, 8), lengths=[5, 3]).values.shape
        torch.Size([8, 8])

        The padding is never read. It may even be NaN: it reaches neither values nor gradients.

        Args:
            x: (batch, time, ...feature).
            lengths: the number of valid steps of each row (batch,), from 0 to time.
            mask: instead of ``lengths``, booleans (batch, time), true up to the end of each row and false after it.

        Raises:
            InputError: a length is out of range, or the mask has a gap; the message names its row and step.
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
        """A padded tensor (n, longest, ...feature), with ``value`` after the end of each sequence, and the lengths
        (n,)."""
        return layouts.to_padded(self.values, self.lengths, value), self.lengths.clone()

    def mask(self) -> Tensor:
        """The mask of the padded tensor: booleans (n, longest), true at valid steps."""
        longest = int(self.lengths.max()) if len(self) else 0
        return (torch.arange(longest, device="cpu") < self.lengths[:, None]).to(self.device)

    @staticmethod
    def from_packed(packed: PackedSequence) -> Ragged:
        """The sequences (time_i, ...feature) of a PackedSequence, in the order that they had before sorting."""
        if not isinstance(packed, PackedSequence):
            raise InputError(f"from_packed takes a torch.nn.utils.rnn.PackedSequence, got {_described(packed)}")
        values, lengths = layouts.from_packed(packed)
        return Ragged(values=values, lengths=lengths)

    def to_packed(self) -> PackedSequence:
        """A PackedSequence for torch's recurrent modules; its data is (sum of times, ...feature).

        Raises:
            InputError: a sequence has length 0, which torch does not allow.
        """
        return layouts.to_packed(self.values, self.lengths)

    @staticmethod
    def from_nested(nested: Tensor) -> Ragged:
        """The sequences of a nested tensor (n, ragged, ...feature) in jagged layout."""
        if not isinstance(nested, Tensor):
            raise InputError(f"from_nested takes a nested tensor, got {_described(nested)}")
        values, lengths = layouts.from_nested(nested)
        return Ragged(values=values, lengths=lengths)

    def to_nested(self) -> Tensor:
        """A nested tensor (n, ragged, ...feature) in jagged layout that shares memory with ``values``."""
        return layouts.to_nested(self.values, self.lengths)

    # the sequences

    def __len__(self) -> int:
        """The number of sequences."""
        return len(self.lengths)

    def __getitem__(self, i: int) -> Tensor:
        """Sequence i, a view (time_i, ...feature)."""
        if not isinstance(i, int):
            raise InputError(f"r[i] takes one integer, got {_described(i)}. For several rows, use r.select(...)")
        if not -len(self) <= i < len(self):
            raise IndexError(f"there is no sequence {i} in a batch of {len(self)}; sequences are numbered from 0")
        i %= len(self)
        return self.values[int(self.offsets[i]) : int(self.offsets[i + 1])]

    def __iter__(self) -> Iterator[Tensor]:
        return iter(self.values.split(self.lengths.tolist()))

    def select(self, rows: Tensor | Sequence[int]) -> Ragged:
        """Some of the sequences, in the given order.

        >>> r.select([2, 0]).lengths.tolist(), r.select(r.lengths > 0).lengths.tolist()
        ([500, 3], [3, 500])

        Args:
            rows: integers (k,), which may repeat, or booleans (n,).
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
            raise InputError(
                f"there is no sequence {int(outside[0])} in a batch of {len(self)}; sequences are numbered from 0"
            )
        chosen = chosen.long() % max(len(self), 1)
        lengths = self.lengths[chosen]
        which, times = layouts.rows_and_times(lengths)
        index = self.offsets[chosen][which] + times
        return Ragged(values=layouts.take(self.values, index), lengths=lengths)

    @property
    def last(self) -> Tensor:
        """The last valid step of every sequence: (n, ...feature).

        Raises:
            InputError: a sequence has length 0.
        """
        self._refuse_empty("last step")
        return layouts.take(self.values, self.offsets[1:] - 1)

    @property
    def means(self) -> Tensor:
        """The mean over the steps of every sequence: (n, ...feature).

        >>> r.select([0, 2]).means.shape
        torch.Size([2, 8])

        Raises:
            InputError: a sequence has length 0.
        """
        self._refuse_empty("mean")
        parts = [sequence.mean(0) for sequence in self]
        return torch.stack(parts) if parts else self.values.new_zeros(0, *self.values.shape[1:])

    def flip(self) -> Ragged:
        """Every sequence (time_i, ...feature) reversed in time.

        >>> unrolled.Ragged([torch.tensor([1, 2, 3]), torch.tensor([4, 5])]).flip().values
        tensor([3, 2, 1, 5, 4])
        """
        rows, times = layouts.rows_and_times(self.lengths)
        return self._with(layouts.take(self.values, self.offsets[1:][rows] - 1 - times))

    # all steps at once

    def map(self, f: Callable[[Tensor], Tensor]) -> Ragged:
        """Apply a function to all steps at once, as in ``r.map(linear)``.

        >>> r.map(torch.nn.Linear(8, 2)).values.shape
        torch.Size([503, 2])

        Args:
            f: takes ``values`` (sum of times, ...feature) and returns one row for each step.

        Raises:
            InputError: ``f`` returns another number of rows.
        """
        result = f(self.values)
        if not isinstance(result, Tensor) or not result.ndim or len(result) != len(self.values):
            raise InputError(
                f"the function given to map must return one row for each of the {len(self.values)} steps, "
                f"got {_described(result)}"
            )
        return Ragged(values=result, lengths=self.lengths)

    def sum(self) -> Tensor:
        """The sum of ``values`` (sum of times, ...feature): all entries of all valid steps, as a scalar tensor."""
        return self.values.sum()

    def mean(self) -> Tensor:
        """The mean of ``values`` (sum of times, ...feature): all entries of all valid steps, as a scalar tensor.

        Raises:
            InputError: there are no steps.
        """
        if not self.values.numel():
            raise InputError(f"the mean of no steps is not defined: {self!r}")
        return self.values.mean()

    def detach(self) -> Ragged:
        """The same values (sum of times, ...feature), detached from the gradient."""
        return self._with(self.values.detach())

    def to(self, *args: object, **kwargs: object) -> Ragged:
        """The values (sum of times, ...feature) moved or converted as by ``Tensor.to``; lengths stay on the CPU."""
        return self._with(self.values.to(*args, **kwargs))  # type: ignore[call-overload]

    @property
    def device(self) -> torch.device:
        """The device of the values."""
        return self.values.device

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of the values."""
        return self.values.dtype

    def _refuse_empty(self, what: str) -> None:
        empty = (self.lengths == 0).nonzero().flatten().tolist()
        if empty:
            raise InputError(
                f"a sequence of length 0 has no {what}; empty sequences: {some(empty)}. "
                "Remove them with r.select(r.lengths > 0)"
            )

    def _refuse_batches(self) -> None:
        if isinstance(self.lengths, Tensor) and self.lengths.ndim != 1:
            raise InputError("vmap cannot return a Ragged, only tensors. Return its values: out.h.values")

    def _with(self, values: Tensor) -> Ragged:
        return Ragged(values=values, lengths=self.lengths)

    def __repr__(self) -> str:
        feature = "".join(f", {size}" for size in self.values.shape[1:])
        return f"Ragged({len(self)} sequences, {len(self.values)} steps{feature}, {_short(self.dtype)})"


def _joined(sequences: Sequence[Tensor] | Tensor) -> tuple[Tensor, list[int]]:
    """The concatenated sequences (sum of times, ...feature) and their lengths. They may differ in nothing but
    length."""
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
    with torch._C._DisableAutocast():  # which cannot join float16 on the CPU
        return torch.cat(sequences), [len(sequence) for sequence in sequences]


def _feature(sequence: Tensor) -> str:
    return str(tuple(sequence.shape[1:])) if sequence.ndim > 1 else "none"


def _dtype(sequence: Tensor) -> str:
    return _short(sequence.dtype)


def _device(sequence: Tensor) -> str:
    return str(sequence.device)


def checked_lengths(given: object) -> Tensor:
    """A copy of the lengths as int64 (n,) on the CPU.

    Raises:
        InputError: the lengths are not integers (n,), or are negative.
    """
    try:
        lengths = torch.as_tensor(given, device="cpu").detach()
    except (TypeError, ValueError, RuntimeError):
        raise InputError(f"lengths must be integers of shape (n,), got {_described(given)}") from None
    whole = not (lengths.is_floating_point() or lengths.is_complex() or lengths.dtype == torch.bool)
    if lengths.ndim != 1 or not (whole or not lengths.numel()):
        raise InputError(f"lengths must be integers of shape (n,), got {_described(lengths)}")
    lengths = lengths.to(torch.int64, copy=True)
    if is_compiling():
        torch._assert_async((lengths >= 0).all(), "lengths must be 0 or more")
    elif isinstance(lengths, FakeTensor):
        raise InputError("lengths must have values, got a FakeTensor. Create the Ragged outside of FakeTensorMode")
    elif len(negative := (lengths < 0).nonzero()):
        row = int(negative[0])
        raise InputError(f"lengths must be 0 or more; sequence {row} has {int(lengths[row])}")
    return lengths


def _described(value: object) -> str:
    return f"{_short(value.dtype)} {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__


def _short(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
