"""ONNX Runtime's RNN, GRU and LSTM, forward only. ``run.py`` starts this in an environment that has onnxruntime.

For the operators, their gate orders and peepholes see https://onnx.ai/onnx/operators (RNN, GRU, LSTM, version 14).
"""

from __future__ import annotations

import os

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from unrolled.speed.point import Problem
from unrolled.speed.process import Run, serve

# the operator, and the index of each of its gates in our order: i f g o -> i o f g, r z n -> z r n
KINDS = {"rnn": ("RNN", [0]), "gru": ("GRU", [1, 0, 2]), "lstm": ("LSTM", [0, 3, 1, 2])}
KINDS["peephole_lstm"] = KINDS["lstm"]


def prepare(problem: Problem, training: bool) -> Run:
    """Prepare a problem, forward only."""
    assert not training, "ONNX Runtime runs inference"
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = int(os.environ["OMP_NUM_THREADS"])
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(model(problem).SerializeToString(), options, ["CPUExecutionProvider"])
    x = np.ascontiguousarray(problem.x.swapaxes(0, 1))

    def call():
        (y,) = session.run(None, {"X": x})
        return {"out": y[:, 0].swapaxes(0, 1)}

    return Run(call, f"onnxruntime {onnxruntime.__version__}")


def model(problem: Problem) -> onnx.ModelProto:
    """The ONNX model with the parameters of a problem."""
    operator, order = KINDS[problem.cell]
    p = problem.parameters
    hidden = p["W"].shape[1]

    def ordered(a: np.ndarray) -> np.ndarray:
        return np.concatenate([a.reshape(len(order), hidden, *a.shape[1:])[k] for k in order])[None]

    second = np.zeros_like(p["b"])
    if operator == "GRU":
        second[2 * hidden :] = p["d"]
    given = {"W": ordered(p["U"]), "R": ordered(p["W"]), "B": np.concatenate([ordered(p["b"]), ordered(second)], 1)}
    names = ["X", "W", "R", "B"]
    if problem.cell == "peephole_lstm":
        given["P"] = np.concatenate([p["p"], p["r"], p["q"]])[None]
        names += ["", "", "", "P"]
    extra = {"linear_before_reset": 1} if operator == "GRU" else {}
    node = helper.make_node(operator, names, ["Y"], hidden_size=hidden, **extra)
    graph = helper.make_graph(
        [node],
        problem.cell,
        [helper.make_tensor_value_info("X", TensorProto.FLOAT, [None, None, problem.x.shape[2]])],
        [helper.make_tensor_value_info("Y", TensorProto.FLOAT, [None, 1, None, hidden])],
        [numpy_helper.from_array(np.ascontiguousarray(a), n) for n, a in given.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)


if __name__ == "__main__":
    serve(prepare)
