"""What is computed once per sequence, before a call runs: see ``transform/hoist.py``."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from ..sequence.layout import Layout
from ..transform.hoist import hoisted
from .call import Call, Engine
from .registry import ENGINES

Run = Callable[[Engine, Call], dict[str, Tensor]]


def once_per_sequence(call: Call, run: Run) -> Call:
    """The call of the step alone, with the results of the first part as fixed inputs.

    Args:
        call: the call.
        run: runs the first part, differentiably: returns by name (sequences, ...), or (sequences,) for scalars. Its
            operations are large products over all sequences, so torch's are the fastest.
    """
    parts = hoisted(call.recurrence)
    if parts is None:
        return call
    first, step = parts
    found = run(
        ENGINES["torch"],
        call._replace(
            recurrence=first,
            inputs={n: call.inputs[n] for n in first.inputs},
            state={},
            parameters=call.values(first.parameters),
            narrow={},
            layout=Layout.dense(call.layout.count, 1),
        ),
    )
    found = {n: x if first.returns[n].type.dims else x[:, None] for n, x in found.items()}
    inputs = {**call.inputs, **found}
    return call._replace(
        recurrence=step,
        inputs={n: inputs[n] for n in step.inputs},
        parameters={n: p for n, p in call.parameters.items() if n in step.parameters},
    )
