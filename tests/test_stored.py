"""Stored circuits may come from anywhere: each is read as a valid recurrence or refused immediately."""

from __future__ import annotations

import json
import math
import struct
import time
from pathlib import Path

import pytest
import safetensors.torch

import mutated_circuits
from cells_for_tests import CIRCUITS
from mutated_circuits import no_longer_than
from unrolled import CircuitError, DataError, Recurrent, circuit, tanh
from unrolled.files.strict_json import from_json
from unrolled.files.tensors import metadata
from unrolled.graph import stored
from unrolled.graph.node import leaf, vector
from unrolled.graph.ops import constant, make
from unrolled.graph.recurrence import Recurrence
from unrolled.graph.size import Size
from unrolled.nn.stored import load_network, save_network


def _chain(nodes: int, step: dict[str, object]) -> dict[str, object]:
    """A stored circuit that applies one operation ``nodes`` times, each time to the previous result."""
    h = {"op": "state", "name": "h", "kind": "real", "dims": [{"constant": "0", "size h": "1"}]}
    rows = [h, *({**step, "args": [i] * len(step["args"])} for i in range(nodes))]
    groups = {"inputs": {}, "states": {"h": 0}, "parameters": {}, "returns": {"h": nodes}, "labels": {}}
    return {"format": 1, "name": "f", "nodes": rows, **groups}


def _gru(path: str, value: object) -> dict[str, object]:
    """The stored GRU with one value changed."""
    data = stored.dump(CIRCUITS["gru"].recurrence)
    *keys, last = [int(key) if key.isdigit() else key for key in path.split("/")]
    holder = data
    for key in keys:
        holder = holder[key]
    holder[last] = value
    return data


def _called(name: object) -> dict[str, object]:
    """The stored GRU with another name for its input."""
    data = json.loads(json.dumps(stored.dump(CIRCUITS["gru"].recurrence)))
    next(row for row in data["nodes"] if row["op"] == "input")["name"] = name
    data["inputs"] = {name: data["inputs"]["x"]}
    return data


HOSTILE = {
    "a size of a billion digits": (_gru("nodes/0/dims/0/constant", "1e999999999"), "an integer or a fraction"),
    "a number of many digits": (_gru("nodes/0/dims/0/constant", "1" * 100_000), "an integer or a fraction"),
    "a size of nothing": (_gru("nodes/0/dims", [{"constant": "0"}]), "a positive integer, got 0"),
    "a half": (_gru("nodes/0/dims", [{"constant": "1/2"}]), "a positive integer, got 1/2"),
    "a vector of 4 billion": (_gru("nodes/0/dims", [{"constant": "4294967296"}]), "larger than 2,147,483,648"),
    "a fine fraction": (_gru("nodes/0/dims/0/size x", "1/4097"), "a denominator larger than 4,096"),
    "three dimensions": (_gru("nodes/0/dims", [{"constant": "1"}] * 3), "at most two sizes"),
    "100,000 nodes in a row": (_chain(100_000, {"op": "tanh", "args": [0]}), "at most 2,000 operations"),
    "1,500 nodes in a row": (_chain(1_500, {"op": "tanh", "args": [0]}), "a chain of more than 1,000 operations"),
    "a doubling": (_chain(900, {"op": "concat", "args": [0, 0]}), "larger than 2,147,483,648"),
    "a concatenation of 100,000": (_chain(1, {"op": "concat", "args": [0] * 100_000}), "at most 1,000 values"),
    "many arguments": (_chain(11, {"op": "concat", "args": [0] * 1_000}), "more than 10,000 values"),
    "a node behind": (_gru("nodes/7/args", [-1, 0]), "is not before it in the list"),
    "a truth for a node": (_gru("nodes/7/args", [True, False]), "is not before it in the list"),
    "a return that is not there": (_gru("returns/h", -1), "a node that does not exist"),
    "an unused node": (
        _gru("nodes", [*_gru("name", "g")["nodes"], {"op": "tanh", "args": [0]}]),
        "an unused operation",
    ),
    "no operation": (_gru("nodes/7/op", "__import__"), "there is no operation '__import__'"),
    "a constant without a point": (
        _chain(1, {"op": "constant", "args": [], "attrs": {"dims": [], "value": 1}}),
        "point",
    ),
    "an infinity": (_chain(1, {"op": "constant", "args": [], "attrs": {"dims": [], "value": math.inf}}), "point"),
    "lists in lists": (_gru("nodes/0/dims", json.loads("[" * 900 + "]" * 900)), "a size must be an object"),
    "another format": (_gru("format", 7), "its format is 7, but this version reads 1"),
    "no object": ([], "it must be an object"),
    "a name in two lines": (_gru("name", "a\nb"), r"'a\\nb' is not a name"),
    "a name that is a path": (_called("../../x"), "is not a name"),
    "a name that is a script": (_called("<script>"), "is not a name"),
    "a name of Python's": (_called("__dict__"), "is reserved by Python"),
    "a name of ours": (_called("state"), "the name 'state' is reserved"),
    "a name without an end": (_called("x" * 101), "at most 100 characters"),
    "a number for a name": (_called(7), "is not a name"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_circuits_are_refused_at_once(name: str):
    data, why = HOSTILE[name]
    with no_longer_than(10.0), pytest.raises(DataError, match=why) as problem:
        stored.load(data)
    assert len(str(problem.value)) < 400


def test_what_cannot_be_read_back_is_not_stored():
    def f(x, h, *, W):
        for _ in range(700):
            h = tanh(h + x)
        return {"h": W @ h}

    with pytest.raises(CircuitError, match=r"'f' cannot be stored: it has a chain of more than 1,000 operations"):
        stored.dump(circuit(f).recurrence)
    stored.dump(circuit(lambda x, h, *, W: {"h": tanh(W @ h) + x}).recurrence)


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan, -0.0, 0.1, 1e-320])
def test_every_number_is_stored_in_strict_json(value: float):
    n = Size.of("h")
    h = leaf("state", vector(n), name="h")
    recurrence = Recurrence("f", {}, {"h": h}, {}, {"h": make("mul", h, constant(value, (n,)))})
    again = stored.load(from_json(json.dumps(stored.dump(recurrence), allow_nan=False)))
    found = again.returns["h"].args[1]["value"]
    assert struct.pack("d", found) == struct.pack("d", value)


def test_a_thousand_mutations_of_circuits_are_in_order_or_refused():
    counts, longest = mutated_circuits.mutate(1_000, 5, processes=1)
    assert counts["refused"] > 500 and counts["read"] > 50 and longest < 5, (counts, longest)


def test_the_mutations_see_a_reader_without_limits(monkeypatch: pytest.MonkeyPatch):
    """Without either of the checks, some mutation gives neither a circuit nor DataError."""
    for check in ("_check_limits", "_check_name"):
        with monkeypatch.context() as patch:
            patch.setattr(stored, check, lambda *args: None)
            with pytest.raises(AssertionError, match="mutation"):
                mutated_circuits.mutate(2_000, 5, processes=1)


@pytest.mark.parametrize(
    "sizes",
    [
        {"x": 3, "h": 2**33, "o": 2},
        {"x": 3, "h": 4, "o": 2},
        {"x": 3, "h": True, "o": 2},
        {"h": 5},
        [],
        {"engine": "c"},
    ],
)
def test_a_network_of_other_sizes_takes_no_memory(tmp_path: Path, sizes: object):
    """The sizes stored with a circuit may come from anywhere, too: they are compared with the parameters before use."""
    path = tmp_path / "net.safetensors"
    save_network(Recurrent(CIRCUITS["elman"], x=3, h=5, o=2), path)
    about = json.loads(metadata(path.read_bytes())["network"])
    tensors = safetensors.torch.load_file(path)
    about["sizes"] = sizes
    path.write_bytes(safetensors.torch.save(tensors, {"network": json.dumps(about)}))
    with no_longer_than(10.0), pytest.raises(DataError, match="is not a network, or is damaged"):
        load_network(path)


def test_nested_data_are_refused_without_writing_all_of_them():
    nested: object = 0
    for _ in range(17):
        nested = [nested, nested, {"constant": nested}]  # 3 ** 17 numbers
    begun = time.process_time()
    with pytest.raises(DataError, match=r"its format is \[\[\["):
        stored.load(_gru("format", nested))
    assert time.process_time() - begun < 1
