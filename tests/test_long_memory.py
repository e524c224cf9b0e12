"""The classic tests of memory: their data, and that the network learns short ones."""

from __future__ import annotations

import importlib.util
import random
import re
import sys
from pathlib import Path

import pytest
import torch

from unrolled.train.loop import Training
from unrolled.train.settings import Settings


@pytest.fixture(scope="module")
def memory():
    path = Path(__file__).parents[1] / "examples" / "long_memory.py"
    spec = importlib.util.spec_from_file_location("long_memory", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_the_sum_is_that_of_the_marked_numbers(memory):
    x, y = memory.adding(random.Random(1), 40)
    marked = x[:, 1].nonzero().flatten()
    assert len(marked) == 2 and marked[0] < 20 <= marked[1]
    assert y.item() == pytest.approx(x[marked, 0].sum().item())


def test_the_order_is_that_of_the_two_symbols(memory):
    for seed in range(20):
        x, y = memory.order(random.Random(seed), 100)
        symbols = x.argmax(1)
        first, second = symbols[(symbols == 5) | (symbols == 6)].tolist()
        assert y == 2 * (first - 5) + second - 5 and symbols[0] == 0 and symbols[-1] == 7 and 100 <= len(x) <= 110


def test_words_are_of_the_embedded_reber_grammar(memory):
    after_x = r"(?:XT*VP)*(?:S|XT*VV)"
    inner = rf"B(?:TS*X{after_x}|PT*V(?:P{after_x}|V))E"
    for seed in range(50):
        x, y = memory.reber(random.Random(seed), 9)
        word = "".join(memory.SYMBOLS[i] for i in [*x.argmax(1).tolist(), y[-1].item()])
        assert word[0] == "B" and word[1] == word[-2] and word[-1] == "E" and len(word) >= 9
        assert re.fullmatch(inner, word[2:-2]), word


@pytest.mark.parametrize(("cell", "gates"), [("lstm", 4), ("gru", 3)])
def test_units_start_with_memories_of_every_length(memory, cell: str, gates: int):
    problem = memory.Problem("adding", cell, 400, 50, 1, 0)
    bias = problem.model.first.get_parameter("b").detach().chunk(gates)
    steps = bias[1].exp()
    assert 1 <= steps.min() < 5 and 45 < steps.max() <= 49 and steps.mean() == pytest.approx(25, abs=2)
    assert cell == "gru" or torch.equal(bias[0], -bias[1])


@pytest.mark.parametrize(("name", "steps"), [("adding", 10), ("order", 20), ("reber", 9)])
@pytest.mark.slow
def test_short_ones_are_learned(memory, one_thread, name: str, steps: int):
    problem = memory.Problem(name, "lstm", 32, steps, 32, 0)
    before = problem.score()
    for _ in Training(problem, Settings(updates=400, rate=1e-2)).run():
        pass
    assert problem.score() < 0.02 < before if name == "adding" else problem.score() > 0.9 > before
