"""The narrow weights of a network: which they are, where they are stored, and how they are loaded.

A narrow parameter W is stored as two buffers, its numbers W and, for int8, the scales W_scales of its rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ..errors import InputError
from ..sequence.rounding import KINDS, Narrow, check_kind, rounded
from ..transform.multiplied import multiplied

if TYPE_CHECKING:
    from .recurrent import Recurrent

FLOAT32 = "float32"
DTYPES = {"bf16": torch.bfloat16, "int8": torch.int8}
NONE: Mapping[str, Narrow] = {}
_SCALES = "_scales"


def check_weights(weights: object) -> str:
    """The kind of weights that a user asks for.

    Raises:
        InputError: there is no such kind.
    """
    if weights != FLOAT32:
        check_kind(weights, (FLOAT32, *KINDS))
    return str(weights)


def make_narrow(net: Recurrent, kind: str) -> None:
    """Round the matrices of a network that products read, in place. Its other parameters are not trained any more.

    Raises:
        InputError: the parameters are not float32, or a matrix is computed from others.
    """
    names = [n for n in multiplied(net.circuit.recurrence) if n not in net.circuit.constants]
    for n in names:
        if n not in net._parameters:
            raise InputError(f"parameter '{n}' is computed from others (parametrizations, pruning). Remove that first")
    hold(net, {n: rounded(net._parameters[n], kind) for n in names}, kind)  # type: ignore[arg-type]


def hold(net: Recurrent, weights: Mapping[str, Narrow], kind: str) -> None:
    """Replace parameters of a network with narrow ones, if it has them; it shares them with others that hold them."""
    weights = {n: w for n, w in weights.items() if n in net.circuit.parameters}
    if not weights:
        return
    for n, narrow in weights.items():
        del net._parameters[n]
        net.register_buffer(n, narrow.values)
        if narrow.scales is not None:
            net.register_buffer(n + _SCALES, narrow.scales)
    net._narrow, net._kind = tuple(weights), kind
    net._others = tuple(n for n in net.circuit.parameters if n not in weights)
    net._known.clear()
    net.requires_grad_(False)
    if not net._others:
        like = next((t for w in weights.values() for t in w.tensors), torch.empty(0))
        net.register_buffer("_anchor", torch.empty(0, dtype=torch.float32, device=like.device), persistent=False)


def narrow_weights(net: Recurrent) -> Mapping[str, Narrow]:
    """The narrow weights of a network by name; none if its weights are float32.

    Raises:
        InputError: they were converted or moved.
    """
    if not net._narrow:
        return NONE
    found = dict[str, Narrow]()
    for n in net._narrow:
        values, scales = _buffers(net, n)
        kinds = [values.dtype] + ([] if scales is None else [scales.dtype])
        if kinds != [DTYPES[net._kind], torch.float32][: len(kinds)]:
            raise InputError(
                f"the {net._kind} weights '{n}' of '{net.circuit.name}' were converted: they are {kinds[0]}. Convert "
                "the network with float32 weights, and make them narrow again"
            )
        found[n] = Narrow(values.contiguous(), None if scales is None else scales.contiguous())
    return found


def wide_weights(net: Recurrent) -> dict[str, Tensor]:
    """All weights of a network as float numbers, by name."""
    return {**net._weights(), **{n: w.wide() for n, w in narrow_weights(net).items()}}


def refuse_narrow(net: Recurrent, what: str, remedy: str) -> None:
    """Refuse a network with narrow weights.

    Raises:
        InputError: says what cannot be done with it, and what can be done instead.
    """
    if net._narrow:
        raise InputError(f"a network with {net._kind} weights cannot be {what}. {remedy}")


def addresses(net: Recurrent) -> list[int]:
    """The addresses of the narrow weights of a network."""
    return [t.data_ptr() for n in net._narrow for t in _buffers(net, n) if t is not None]


def _buffers(net: Recurrent, name: str) -> tuple[Tensor, Tensor | None]:
    return net._buffers[name], net._buffers.get(name + _SCALES)  # type: ignore[return-value]


def round_loaded(net: Recurrent, loaded: dict[str, Any], prefix: str) -> None:
    """Round the float32 weights among those that are loaded into a network with narrow ones.

    Raises:
        InputError: they are narrow in another way.
    """
    for n in net._narrow:
        value = loaded.get(prefix + n)
        if not isinstance(value, Tensor) or value.dtype == DTYPES[net._kind]:
            continue
        if value.dtype != torch.float32:
            raise InputError(
                f"'{prefix + n}' is {value.dtype}, but the weights of the network are {net._kind}. Load float32 or "
                f"{net._kind} weights"
            )
        narrow = rounded(value, net._kind)
        loaded[prefix + n] = narrow.values
        if narrow.scales is not None:
            loaded[prefix + n + _SCALES] = narrow.scales
