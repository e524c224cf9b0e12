"""A step of an exported network in ONNX Runtime, for one sequence on one thread of the CPU."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

import unrolled


def steps_in_onnx_runtime(net: unrolled.Recurrent, count: int) -> Callable[[], dict[str, np.ndarray]]:
    """A call of ``count`` steps, one by one, each with the state of the one before; returns the last results by name.

    >>> steps_in_onnx_runtime(Recurrent(cells.gru, x=64, h=64), 200)()["h_out"].shape
    (1, 64)
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    with tempfile.TemporaryDirectory() as folder:
        _, file = unrolled.export(net, Path(folder) / "model.onnx").files
        session = onnxruntime.InferenceSession(file.read_bytes(), options, ["CPUExecutionProvider"])
    names, source = [value.name for value in session.get_outputs()], np.random.default_rng(0)
    shapes = {value.name: [1, *value.shape[1:]] for value in session.get_inputs()}
    inputs = {n: source.standard_normal(shape).astype(np.float32) for n, shape in shapes.items() if n[-3:] != "_in"}
    start = {n: np.zeros(shape, np.float32) for n, shape in shapes.items() if n[-3:] == "_in"}

    def call() -> dict[str, np.ndarray]:
        states, found = start, dict[str, np.ndarray]()
        for _ in range(count):
            found = dict(zip(names, session.run(None, {**inputs, **states}), strict=True))
            states = {n: found[n.removesuffix("_in") + "_out"] for n in start}
        return found

    return call
