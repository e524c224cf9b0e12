"""Run the models in ONNX Runtime, and compare what they compute with the float64 reference."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from onnx import ModelProto
from torch import Tensor

from ...errors import EngineError
from ...graph.node import TOKEN
from ...graph.recurrence import Recurrence
from ...sequence.state import State
from ..c.reference import LIMIT, answer, drawn, error_of, net_of
from ..network import Network
from .models import STEPS, after, before, outputs_of

BATCH, TIME, CHUNKS, ROWS = 3, 40, 10, 6
QUIET = 3  # of the levels of ONNX Runtime's log: errors

Arrays = dict[str, NDArray[Any]]


class Found(NamedTuple):
    """The largest errors, relative to the largest output: of whole sequences and of single steps against the reference,
    and of sequences in ten pieces against whole ones."""

    sequence: float
    steps: float
    pieces: float


def check(
    network: Network, whole: ModelProto, step: ModelProto | None, scale: tuple[Tensor, Tensor] | None = None
) -> Found:
    """Compare the models of a network with the network.

    Args:
        network: what the models have to compute.
        whole: the model of whole sequences.
        step: the model of one step, if there is one.
        scale: the mean and the deviation of the columns that are read.

    Raises:
        EngineError: a model computes something else.
    """
    first = network.layers[0][0].recurrence
    inputs, start = _inputs(first, scale), {} if network.head else _start(first)
    exact, single = (_reference(network, inputs, start, dtype) for dtype in (torch.float64, torch.float32))
    limit = max(LIMIT, 4 * max(error_of(single[n].double(), exact[n]) for n in exact))
    feed = _arrays(first, inputs)
    run = _runner(whole)
    results = run(feed | start | _steps(first, TIME))
    found = Found(_error(results, exact, single), 0.0, 0.0)
    if step is not None:
        found = found._replace(steps=_error(_step_by_step(_runner(step), first, feed, start), exact, single))
        if network.answer == "every":
            pieces = _in_pieces(run, first, feed, start)
            found = found._replace(
                pieces=_error(pieces, joined := {n: torch.from_numpy(results[n]) for n in pieces}, joined)
            )
    if not max(found) <= limit:
        raise EngineError(
            f"the exported '{network.name}' does not compute what the network computes: in ONNX Runtime "
            f"{onnxruntime.__version__}, errors are {found.sequence:.2g} over sequences, {found.steps:.2g} step by "
            f"step and {found.pieces:.2g} in pieces, at most {limit:.2g} is right. Nothing was written"
        )
    return found


def _runner(model: ModelProto) -> Any:
    """A function from inputs by name to outputs by name."""
    onnx.checker.check_model(model, full_check=True)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = QUIET
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return lambda feed: dict(zip(names, session.run(None, feed), strict=True))


def _inputs(recurrence: Recurrence, scale: tuple[Tensor, Tensor] | None) -> dict[str, Tensor]:
    """Random inputs of a batch."""
    found = drawn(recurrence, ROWS + 1, scale, BATCH * TIME)
    for n, x in found.items():
        if n in recurrence.fixed:
            found[n] = torch.stack([x, x.flip(0), -x]) if x.is_floating_point() else x.expand(BATCH, *x.shape)
        else:
            found[n] = x.reshape(BATCH, TIME, *x.shape[1:])
    return found


def _reference(network: Network, inputs: Mapping[str, Tensor], start: Arrays, dtype: torch.dtype) -> dict[str, Tensor]:
    if network.head is not None:
        rows = [answer(network, {n: x[k] for n, x in inputs.items()}, None, dtype) for k in range(BATCH)]
        return {n: torch.stack([row[n] for row in rows]) for n in rows[0]}
    net, recurrence = net_of(network.layers[0][0], dtype), network.layers[0][0].recurrence

    def exact(x: Tensor) -> Tensor:
        return x.to(dtype) if x.is_floating_point() else x

    states = {n: exact(torch.from_numpy(start[before(n)])) for n in recurrence.states}
    scalars = {n for n, x in recurrence.states.items() if x.type.kind != TOKEN and not x.type.dims}
    state = State(**{n: x[:, 0] if n in scalars else x for n, x in states.items()}) if states else None
    with torch.no_grad():
        steps = None if recurrence.series else TIME
        out = net(**{n: exact(x) for n, x in inputs.items()}, state=state, steps=steps)
    values = {n: out[n] for n in outputs_of(recurrence)}
    return values if network.answer == "every" else {n: x[:, -1] for n, x in values.items()}


def _arrays(recurrence: Recurrence, inputs: Mapping[str, Tensor]) -> Arrays:
    """Inputs as ONNX Runtime takes them: scalars have a dimension of 1."""
    lead = {n: 1 if n in recurrence.fixed else 2 for n in inputs}
    found = {}
    for n, x in inputs.items():
        node = recurrence.inputs[n]
        scalar = node.type.kind != TOKEN and x.ndim == lead[n]
        found[n] = (x[..., None] if scalar else x).numpy()
    return found


def _start(recurrence: Recurrence) -> Arrays:
    """States before the first step: numbers from 0 to 1, or tokens, the same ones at every export."""
    source, found = torch.Generator().manual_seed(0), Arrays()
    for n, x in recurrence.states.items():
        if x.type.kind == TOKEN:
            value = torch.randint(x.type.dims[0].value({}), (BATCH,), generator=source)
        else:
            value = torch.rand(BATCH, *x.type.shape({}), generator=source)
        found[before(n)] = value.numpy()
    return found


def _steps(recurrence: Recurrence, count: int) -> Arrays:
    return {} if recurrence.series else {STEPS: numpy.array([count], numpy.int64)}


def _next(recurrence: Recurrence, results: Arrays) -> Arrays:
    return {before(n): results[after(n)] for n in recurrence.states}


def _in_pieces(run: Any, recurrence: Recurrence, feed: Arrays, state: Arrays) -> Arrays:
    """The outputs for ten pieces of the sequences, with the states carried on."""
    found, length = [], TIME // CHUNKS
    for k in range(CHUNKS):
        piece = {n: x if n in recurrence.fixed else x[:, k * length : (k + 1) * length] for n, x in feed.items()}
        results = run(piece | state | _steps(recurrence, length))
        state = _next(recurrence, results)
        found.append({n: results[n] for n in outputs_of(recurrence)})
    return {n: numpy.concatenate([piece[n] for piece in found], 1) for n in found[0]}


def _step_by_step(run: Any, recurrence: Recurrence, feed: Arrays, state: Arrays) -> Arrays:
    """The outputs for one step after the other."""
    found = []
    for k in range(TIME):
        results = run({n: x if n in recurrence.fixed else x[:, k] for n, x in feed.items()} | state)
        state = _next(recurrence, results)
        found.append({n: results[n if n in recurrence.outputs else after(n)] for n in outputs_of(recurrence)})
    return {n: numpy.stack([step[n] for step in found], 1) for n in found[0]}


def _error(found: Mapping[str, NDArray[Any]], exact: Mapping[str, Tensor], single: Mapping[str, Tensor]) -> float:
    """The largest error of all outputs. Of a network that answers once, the last step counts. A token is right if it is
    that of the reference in float64 or in float32, which differ where scores are equal up to rounding."""
    worst = 0.0
    for n, right in exact.items():
        value = torch.from_numpy(found[n])
        value = value[:, -1] if value.ndim > right.ndim and value.shape[-1] != 1 else value
        value = value.reshape(right.shape)
        if right.is_floating_point():
            worst = max(worst, error_of(value.double(), right.double()))
        elif bool(((value != right) & (value != single[n])).any()):
            worst = float("inf")
    return worst
