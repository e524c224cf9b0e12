"""torch's recurrent operators while ``torch.compile`` or ``torch.export`` traces them: each direction of each layer
becomes one operator (``operator.py``), and the rest is torch's.

torch.compile reads this code instead of running it, so it is plain.

Letters: B batch, D directions, H hidden, T time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.compiler import is_exporting

from ..engines.c.build import compiler, missing
from ..graph.bind import bind, nameable
from .compiled import outside, untraceable
from .description import SEQUENCES, STEP, described, stored
from .memory import Store
from .operator import run
from .torch_layout import LAYERS

Tensors = tuple[Tensor, ...]


def forward(eager: Any, module: Any, x: Any, hx: Any) -> Any:
    """The result of a layer or a cell: by torch's own code, in which ``layers`` and ``step`` replace its operators."""
    if reason := untraceable() or _obstacle(module, x):
        return outside(eager, reason, module, x, hx)
    if not is_exporting() or isinstance(module, nn.RNNCellBase):
        return module._on_tensors(x, hx)
    before = module._flat_weights, module._flat_weight_refs
    found = module._on_tensors(x, hx)
    module._flat_weights, module._flat_weight_refs = before  # else torch warns that they were assigned
    return found


def _obstacle(module: Any, x: Any) -> str:
    """Why our operator cannot run; empty if it can."""
    if not isinstance(x, Tensor):
        return "packed and Ragged sequences have lengths that are data"
    own = "torch's own operator, which torch.compile does not trace, runs"
    if x.device.type != "cpu" or x.dtype not in (torch.float32, torch.float64):
        return f"{own} in {x.dtype} on {x.device.type}"
    if torch.is_autocast_enabled("cpu"):
        return f"{own} under autocast"
    if reason := _missing():
        return f"{own}: {reason}"
    return ""


def _missing() -> str:
    return "" if compiler() else missing()


def layers(
    name: str,
    data: Tensor,
    states: Sequence[Tensor],
    weights: Sequence[Tensor],
    biases: bool,
    count: int,
    dropout: float,
    bidirectional: bool,
    batch_first: bool,
) -> Tensors:
    """The series of the last layer in the layout of ``data``, and the last states (layers D, B, H)."""
    if not (data.shape[1] if batch_first else data.shape[0]):
        raise RuntimeError("Expected sequence length to be larger than 0 in RNN")  # as torch
    values, ends = data if batch_first else data.transpose(0, 1), []
    directions = 1 + bidirectional
    each = len(weights) // (count * directions)
    for layer in range(count):
        found = []
        if layer and dropout:
            values = nn.functional.dropout(values, dropout)
        for backward in range(directions):
            k = layer * directions + backward
            read = values.flip(1) if backward else values
            results = _run(name, SEQUENCES, read, [s[k] for s in states], weights[k * each : (k + 1) * each], biases)
            found.append(results[0].flip(1) if backward else results[0])
            ends.append(results[len(states) : 2 * len(states)])
        values = torch.cat(found, -1) if bidirectional else found[0]
    output = values if batch_first else values.transpose(0, 1).contiguous()
    return output, *(torch.stack([e[n] for e in ends]) for n in range(len(states)))


def step(name: str, x: Tensor, states: Sequence[Tensor], weights: Sequence[Tensor], biases: bool) -> Sequence[Tensor]:
    """The new states (B, H)."""
    return _run(name, STEP, x, states, weights, biases)[: len(states)]


def _run(
    name: str, kind: str, x: Tensor, states: Sequence[Tensor], weights: Sequence[Tensor], biases: bool
) -> Sequence[Tensor]:
    if not biases:
        none = weights[0].new_zeros(weights[0].shape[0])
        weights = [*weights[:2], none, none, *weights[2:]]
    names = ["h", "c"][: len(states)]
    circuit = f"{name}_projected" if len(weights) % 2 else name
    network = _network(circuit, weights[0].shape[1], tuple([s.shape[-1] for s in states]))
    text = described(network, kind, "c", Store(), ["x"], [], names)
    tensors = [*weights, x, *states]
    keep = torch.is_grad_enabled() and not is_exporting() and any([t.requires_grad for t in tensors])
    return run(tensors, [], None, None, text, keep)


def _network(name: str, inputs: int, hidden: tuple[int, ...]) -> str:
    """The text of a cell with torch's parameters."""
    recurrence = LAYERS[name].recurrence
    bound = bind(recurrence, {"x": inputs, **dict(zip(recurrence.states, hidden, strict=True))})
    return stored(recurrence, tuple((n, size.value(bound)) for n, size in nameable(recurrence).items()))


for known in (_missing, _network):
    known._dynamo_marked_constant = True  # type: ignore  # torch.compile calls it while it traces
