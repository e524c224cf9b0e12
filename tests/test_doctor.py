"""The command doctor finds and reports faults."""

from __future__ import annotations

import json

import pytest
import torch

from unrolled.cells import gru, rnn
from unrolled.cli import main
from unrolled.engines.reference import Reference
from unrolled.engines.registry import ENGINES
from unrolled.testing import doctor
from unrolled.testing.doctor import available, cases, compare, examine
from unrolled.testing.many_operations import many_operations
from unrolled.transform.differentiate import VJP


class Wrong(Reference):
    """An engine with a planted fault."""

    name = "wrong"

    def __init__(self, fault: str) -> None:
        self.fault = fault

    def forward(self, call, keep):
        if self.fault == "raises":
            raise RuntimeError("the loop is broken")
        values, kept = super().forward(call, keep)
        if self.fault == "forward":
            values["h"] = values["h"] * (1 + 1e-5)
        if self.fault == "last step":
            values["h"][-1, -1] = 0.0
        return values, kept

    def backward(self, call, kept, grads, wanted):
        found = super().backward(call, kept, grads, wanted)
        if self.fault == "gradient":
            found["b"] = found["b"] * (1 + 1e-3)
        if self.fault == "poison":
            found["x"][0, 0] = torch.nan
        if self.fault == "long sequences" and call.layout.longest > 50:
            found["W"] = torch.zeros_like(found["W"])
        return found


FAULTS = {
    "forward": "h is off by",
    "last step": "h is off by",
    "gradient": "the gradient of b is off by",
    "poison": "the gradient of x is off by inf",
    "long sequences": "the gradient of W is off by",
    "raises": "RuntimeError: the loop is broken",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_wrong_engine_is_found(fault, monkeypatch):
    monkeypatch.setitem(ENGINES, "wrong", Wrong(fault))
    findings = list(examine(cases([rnn]), ["wrong"]))
    wrong = [f for f in findings if not f.agrees]
    assert wrong and FAULTS[fault] in str(wrong[0]) and "engine 'wrong', float32, rnn" in str(wrong[0])
    assert len(wrong) == (1 if fault == "long sequences" else 3)


def test_the_engines_agree_here():
    engines, _ = available(["reference", "torch"])
    findings = list(examine(cases([gru, many_operations]), engines))
    assert len(findings) == 2 * 3 * 3 and all(f.agrees for f in findings), [str(f) for f in findings if not f.agrees]
    assert any(f.error > 0 for f in findings), "not compared with themselves"


def test_the_doctor_tries_most_operations():
    used = {node.op for case in cases() for node in case.circuit.recurrence.nodes}
    rare = {"matmul", "less_equal", "equal", "outer", "size", "onehot", "neg", "argmax", "choose"}
    assert set(VJP) - used <= rare


def test_an_engine_that_cannot_be_used_is_named_with_the_reason(monkeypatch):
    from unrolled.engines import registry

    monkeypatch.setattr(registry, "_obstacle", lambda *_: "the moon is wrong")
    registry.choose.cache_clear()
    found, missing = available()
    registry.choose.cache_clear()
    assert "c" not in found and missing["c"] == 'engine="c" is not available: the moon is wrong'


def test_threads_are_given_back():
    before = torch.get_num_threads()
    compare(cases([rnn])[0], "torch", torch.float32)
    list(examine(cases([rnn]), ["torch"]))
    assert torch.get_num_threads() == before


@pytest.fixture
def brief(monkeypatch):
    """The command with a single circuit and without engine c, so that nothing is compiled."""
    monkeypatch.setattr(doctor, "cases", lambda: cases([rnn]))
    monkeypatch.setattr(doctor, "available", lambda: available(["reference", "torch", *(ENGINES.keys() & {"wrong"})]))


def test_the_command_says_that_all_is_well(brief, capsys):
    assert main(["doctor"]) == 0
    told = capsys.readouterr().out
    for word in ("processor", "vectors", "compiler", "cache", "GFLOP/s", "torch.nn", "agrees", "All engines agree"):
        assert word in told
    assert main(["doctor", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["agrees"] and len(found["findings"]) == 6 and found["speed"]["times"]["torch.nn"]["median"] > 0


def test_the_command_says_what_is_wrong_and_what_to_do(brief, capsys, monkeypatch):
    monkeypatch.setitem(ENGINES, "wrong", Wrong("gradient"))
    assert main(["doctor"]) == 1
    told = capsys.readouterr().out
    assert "3 of 9 comparisons disagree" in told and "the gradient of b is off by" in told
    assert 'What to do: use engine="torch", which agrees' in told
    monkeypatch.setitem(ENGINES, "wrong", Wrong("raises"))
    assert main(["doctor", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert not found["agrees"] and found["findings"][2]["problem"] == "RuntimeError: the loop is broken"
