"""Series that replace states: teacher forcing, and per step with a mask (scheduled sampling)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from ..engines.border import ordinary, watched
from ..engines.last_rows import last_rows
from ..errors import InputError
from ..graph.recurrence import Recurrence
from ..sequence.layout import Layout
from ..sequence.ragged import Ragged
from ..transform.restrict import mask_of, target_of
from .incoming import Incoming
from .rows import flat, shifted

Tensors = dict[str, Tensor]


class Forced(NamedTuple):
    """The series that replace the states of a call, as rows.

    Attributes:
        targets: by name of the state.
        masks: for some of them, (rows, 1): 1 where the target is fed back, 0 where the state itself is.
        start: the initial states.
        layout: which rows belong to which sequence.
    """

    targets: Tensors
    masks: Tensors
    start: Tensors
    layout: Layout

    def inputs(self) -> Tensors:
        """The inputs of the step, which are those of the step before."""
        layout, start = self.layout, self.start
        whole = {n: shifted(x, start[n], layout) for n, x in self.targets.items() if n not in self.masks}
        if not self.masks:
            return whole
        mixed = {target_of(n): shifted(self.targets[n], start[n], layout) for n in self.masks}
        own = {mask_of(n): shifted(m, m.new_zeros(layout.count, 1), layout) for n, m in self.masks.items()}
        return whole | mixed | own

    def ends(self, recurrence: Recurrence, own: Mapping[str, Tensor]) -> Tensors:
        """The states after the last steps, (batch, size) by name, in which the next call continues.

        Args:
            recurrence: the step of the network.
            own: the network's own last states, of those that have a mask.
        """
        found = {n: last_rows(x, self.start[n], self.layout) for n, x in self.targets.items()}
        found = {n: x if recurrence.states[n].type.dims else x[:, 0] for n, x in found.items()}
        for n, mask in self.masks.items():
            last = last_rows(mask, mask.new_zeros(self.layout.count, 1), self.layout)[:, 0] > 0
            found[n] = torch.where(last.view(-1, *[1] * (found[n].ndim - 1)), found[n], own[n])
        return found


def with_masks(given: Mapping[str, object]) -> tuple[dict[str, object], dict[str, object]]:
    """The targets in ``given=``, and the masks of those that are given as a pair (targets, mask). A mask that is true
    everywhere is left out.

    Raises:
        InputError: a pair has another length.
    """
    targets, masks = dict[str, object](), dict[str, object]()
    for n, value in given.items():
        if not isinstance(value, (tuple, list)):
            targets[n] = value
            continue
        if len(value) != 2:
            raise InputError(f"given['{n}'] must be a series, or a pair (series, mask); got {len(value)} values")
        targets[n], mask = value
        values = mask.values if isinstance(mask, Ragged) else mask
        known = isinstance(values, Tensor) and values.dtype == torch.bool and ordinary(values) and not watched()
        if not (known and not values.is_meta and values.shape == _steps(targets[n], values) and bool(values.all())):
            masks[n] = mask
    return targets, masks


def _steps(series: object, mask: Tensor) -> torch.Size | None:
    """The shape of the steps of a series: (batch, time), or (rows,) of a Ragged."""
    values = series.values if isinstance(series, Ragged) else series
    return values.shape[: mask.ndim] if isinstance(values, Tensor) else None


def checked_mask(check: Incoming, name: str, mask: object, leading: int) -> Tensor:
    """Check the mask of a series that replaces a state: booleans (batch, time), or (rows,) of a Ragged. Returns numbers
    with one more dimension.

    Raises:
        InputError: it is anything else.
    """
    what = f"the mask in given['{name}']"
    if not isinstance(mask, Tensor) or mask.dtype != torch.bool or mask.ndim != leading:
        got = f"{mask.dtype} {tuple(mask.shape)}" if isinstance(mask, Tensor) else type(mask).__name__
        expected = "(batch, time)" if leading == 2 else "for each row of the Ragged"
        raise InputError(f"{what} must be booleans {expected}, true where the target is fed back; got {got}")
    check.check_device(what, mask)
    return mask.to(check.like.dtype)[..., None]


def rows_of(series: Tensors, layout: Layout) -> Tensors:
    """Series (batch, time, ...) as rows."""
    return {n: flat(x, layout) for n, x in series.items()}
