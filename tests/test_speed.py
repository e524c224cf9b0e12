"""Benchmarks: all contestants do the same work, wrong ones are not timed, and all take turns on request."""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from cells_for_tests import compiler, needs_compiler
from unrolled import InputError
from unrolled.speed import floor, machine
from unrolled.speed.agree import disagreement, reference
from unrolled.speed.contestants import CONTESTANTS, make_problem, takes_part, torch_loop, unrolled
from unrolled.speed.loops import STEPS
from unrolled.speed.point import Point, Problem
from unrolled.speed.process import Absent, Child, Local, Ready, Run, Turn
from unrolled.speed.timing import Effort, Row, Time, digits, local, local_players, processors, time_point

ROOT = Path(__file__).parent.parent
BRIEF = Effort(turns=2, seconds=0.0)
SMALL = Point("gru", steps=6, batch=3, inputs=5, hidden=7)


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch):
    """``bench("targets")`` is benchmarks/targets.py."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))

    def load(name: str) -> ModuleType:
        return importlib.import_module(name)

    return load


# the contestants do the same work


@pytest.mark.parametrize("training", [True, False], ids=["training", "forward"])
@pytest.mark.parametrize("cell", [c if c in ("rnn", "gru") else pytest.param(c, marks=pytest.mark.slow) for c in STEPS])
def test_every_contestant_agrees_with_the_reference(cell, training):
    point = replace(SMALL, cell=cell, training=training)
    problem = make_problem(point)
    expected = reference(problem)
    for name in ("unrolled", "torch.nn", "torch loop"):
        if takes_part(name, point):
            results = {n: v.numpy() for n, v in CONTESTANTS[name](problem, training).call().items()}
            assert disagreement(results, expected, training) == "", name
            assert set(results) == (set(expected) if training else {"out"})


def test_a_problem_is_the_same_when_read_again(tmp_path):
    problem = make_problem(SMALL)
    problem.save(tmp_path / "problem.npz")
    again = Problem.load(tmp_path / "problem.npz")
    assert again.cell == "gru" and np.array_equal(again.x, problem.x) and np.array_equal(again.weight, problem.weight)
    assert {n: p.tolist() for n, p in again.parameters.items()} == {
        n: p.tolist() for n, p in problem.parameters.items()
    }
    assert np.array_equal(make_problem(SMALL).x, problem.x), "and the same when it is made again"


def spoiled(change):
    """The loop in torch, with changed results."""

    def prepare(problem, training):
        run = torch_loop(problem, training)
        return Run(lambda: change(dict(run.call())))

    return prepare


SPOILED = {
    "disagrees with the float64 reference: the gradient of W is off by": lambda r: r | {"W": r["W"] * 1.0005},
    "disagrees with the float64 reference: the output is off by": lambda r: r | {"out": r["out"] + 1e-3},
    "disagrees with the float64 reference: the gradient of b is off by inf": lambda r: r | {"b": r["b"] * torch.nan},
    "returns no d": lambda r: {n: v for n, v in r.items() if n != "d"},
}


@pytest.mark.parametrize("complaint", SPOILED)
def test_what_disagrees_is_not_timed(complaint):
    row = time_point(SMALL, [local("unrolled", 1), Local("other", spoiled(SPOILED[complaint]))], BRIEF)
    assert set(row.times) == {"unrolled"}
    assert row.absent["other"].startswith(complaint)
    assert row.ratio("other") is None


def test_this_library_is_not_timed_either_when_it_disagrees(monkeypatch):
    monkeypatch.setitem(CONTESTANTS, "unrolled", spoiled(lambda r: r | {"U": r["U"] + 1}))
    row = time_point(SMALL, local_players(SMALL), BRIEF)
    assert set(row.times) == {"torch.nn", "torch loop"} and "the gradient of U" in row.absent["unrolled"]


class Greedy:
    """A contestant that keeps two processors busy, with one allowed."""

    name = "greedy"

    def prepare(self, problem: Problem, training: bool) -> Ready:
        return Ready({n: v.numpy() for n, v in unrolled(problem, training).call().items()}, "", 0.0)

    def turn(self, at_least: float) -> Turn:
        return Turn([0.001], busy=1.9)


def test_who_uses_more_processors_than_were_asked_is_not_timed():
    assert time_point(SMALL, [Greedy()], BRIEF).absent == {"greedy": "kept 1.9 processors busy, with 1 allowed"}
    assert set(time_point(replace(SMALL, threads=2), [Greedy()], BRIEF).times) == {"greedy"}


def test_a_turn_measures_what_a_call_takes():
    def prepare(problem, training):
        run = torch_loop(problem, training)
        return Run(lambda: (time.sleep(0.02), run.call())[1])

    before = torch.get_num_threads()
    row = time_point(replace(SMALL, threads=2), [Local("slow", prepare)], BRIEF)
    assert 0.02 <= row.times["slow"].median < 0.2
    assert torch.get_num_threads() == before


def test_threads_and_processors_are_limited_and_given_back():
    before, allowed = torch.get_num_threads(), os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    with processors(1):
        assert torch.get_num_threads() == 1
        assert allowed is None or len(os.sched_getaffinity(0)) == 1
    assert torch.get_num_threads() == before
    assert allowed is None or os.sched_getaffinity(0) == allowed
    message = r"threads must be from 1 to \d+, the processors of this machine, got 4097"
    with pytest.raises(InputError, match=message), processors(4097):
        pass


# processes of their own

NUMPY = """
import os, sys, time
import numpy as np
from types import SimpleNamespace
from unrolled.speed.loops import STEPS, start
from unrolled.speed.process import Run, serve

m = SimpleNamespace(
    linear=lambda x, A, b=0: x @ A.T + b, tanh=np.tanh, sigmoid=lambda a: 1 / (1 + np.exp(-a)),
    split=lambda a, n: np.split(a, n, -1),
)

def prepare(problem, training):
    assert not training, "no gradients here"
    assert "torch" not in sys.modules
    print("a library that talks")
    def call():
        state = start(problem.cell, problem.parameters, len(problem.x), lambda *shape: np.zeros(shape, np.float32))
        out = []
        for t in range(problem.x.shape[1]):
            state = STEPS[problem.cell](m, problem.parameters, problem.x[:, t], *state)
            out.append(state[0])
        MORE
        return {"out": np.stack(out, 1)}
    return Run(call, f"numpy {os.environ['FROM_PARENT']}")

serve(prepare)
"""


def numpy_child(more: str = "pass", limit: float = 60.0) -> Child:
    environment = {"PYTHONPATH": str(ROOT / "src"), "FROM_PARENT": "with regards"}
    return Child("numpy", [sys.executable, "-c", NUMPY.replace("MORE", more)], environment, limit)


def test_a_contestant_in_a_process_of_its_own_takes_turns_on_command():
    forward = replace(SMALL, training=False)
    with numpy_child() as child:
        row = time_point(forward, [child, local("unrolled", 1)], BRIEF)
        assert row.absent == {} and set(row.times) == {"numpy", "unrolled"}
        assert row.about["numpy"] == "numpy with regards"
        with pytest.raises(Absent, match="AssertionError: no gradients here"):
            child.prepare(make_problem(SMALL), training=True)
        assert len(child.prepare(make_problem(forward), training=False).results["out"]) == 3, "and goes on"
        child.stop()
        assert len(child.prepare(make_problem(forward), training=False).results["out"]) == 3, "and starts again"


@pytest.mark.parametrize(
    ("more", "limit", "complaint"),
    [
        ("out[2] += 1e-3", 60.0, "disagrees with the float64 reference: the output"),
        ("time.sleep(60)", 2.0, "gave no answer within 2 s"),
        ("os._exit(7)", 60.0, "its process exited with 7: a library that talks"),
        ("1 / 0", 60.0, "ZeroDivisionError: division by zero"),
    ],
)
def test_a_process_that_is_wrong_slow_or_gone_is_not_timed(more, limit, complaint):
    with numpy_child(more, limit) as child:
        row = time_point(replace(SMALL, training=False), [child, local("unrolled", 1)], BRIEF)
    assert complaint in row.absent["numpy"] and set(row.times) == {"unrolled"}


@pytest.mark.slow
@pytest.mark.parametrize("training", [True, False], ids=["training", "forward"])
@pytest.mark.parametrize("name", ["JAX", "ONNX"])
def test_other_libraries_agree(bench, name, training):
    others, points = bench("others"), bench("points")
    if why := others.obstacle(name):
        pytest.skip(why)
    if name == "ONNX" and training:
        pytest.skip("ONNX Runtime runs inference")
    (player,) = others.players((name,), 1)
    with player:
        for cell in points.ONNX if name == "ONNX" else STEPS:
            row = time_point(replace(SMALL, cell=cell, training=training), [player], BRIEF)
            wrong = [
                why for why in row.absent.values() if "busy" not in why
            ]  # may happen by chance in such short turns
            assert not wrong and {*row.absent, *row.times} == {name}, (cell, wrong)


# the floor


def test_the_work_is_counted_in_the_graph():
    I, H, G = 5, 7, {"rnn": 1, "gru": 3, "lstm": 4, "mgu": 2}
    for cell, gates in G.items():
        point = Point(cell, 9, 3, I, H)
        assert floor.work(point) == floor.Work(gates * H * (2 * I + 3 * H), 4 * gates * H * H, 2)
        assert floor.work(replace(point, training=False)) == floor.Work(gates * H * (I + H), 4 * gates * H * H, 1)
    jordan = Point("jordan", 9, 3, I, H)  # the output is as large as the input
    assert floor.work(jordan) == floor.Work(H * (2 * I + 3 * I) + 3 * I * H, 4 * 2 * H * I, 2)


def test_the_floor_is_the_larger_bound(monkeypatch):
    point = Point("rnn", 10, 1, 4, 8)
    monkeypatch.setattr(floor, "read_bandwidth", lambda size, threads: 256.0 if threads == 1 else None)
    found = floor.floor(point, rate=1e9)
    assert (found.seconds, found.bound) == (10 * 2 * 4 * 64 / 256, "reading")
    found = floor.floor(replace(point, threads=2), rate=256.0)
    assert (found.seconds, found.bound) == (10 * (2 * 32 + 3 * 64) / 256, "products")


@needs_compiler
def test_reading_from_a_cache_is_faster_than_from_memory():
    near, far = floor.read_bandwidth(16_384), floor.read_bandwidth(256_000_000)
    assert near is not None and far is not None and near > far > 1e8
    assert floor.matrix_rate(256) > 1e8


@needs_compiler
def test_the_machine_is_described():
    here = machine.machine()
    assert here.vectors in machine.VECTORS.values() or here.vectors == "no vectors"
    assert here.compiler and here.processors >= 1 and torch.__version__ in str(here)


def test_figures_have_three_digits():
    assert [digits(v) for v in (0.012345, 1.5, 12.349, 999.6, 123456.0, 0.0)] == [
        "0.0123", "1.5", "12.3", "1,000", "123,000", "0",
    ]  # fmt: skip


# the table of benchmarks


def row(point: Point, **milliseconds: float) -> Row:
    found = Row(point, {n.replace("_", " "): Time(ms / 1000, 0.0, 1.0) for n, ms in milliseconds.items()})
    found.floor = floor.Floor(0.0008, None)
    return found


def test_the_summary_says_what_is_reached(bench):
    targets, once = bench("targets"), bench("once")
    heavy, alone = Point("gru", 100, 32, 64, 128), Point("gru", 500, 1, 40, 128)
    rows = [
        row(heavy, unrolled=1, JAX=2.0),
        row(alone, unrolled=2, JAX=1.8),
        row(replace(heavy, threads=2), unrolled=1, **{"unrolled, 1 thread": 1.6}),
        row(replace(heavy, training=False), unrolled=1, JAX=0.1),
    ]
    found = {t.text.split(":")[0]: t for t in targets.targets(rows, [once.FirstUse(10, 1.6, 0.04)], None)}
    assert found["JAX, geometric mean"].measured == pytest.approx((2.0 * 0.9) ** 0.5)
    assert found["JAX, geometric mean"].reached is True
    assert found["JAX, every point"].reached is False and "gru T=500 B=1" in found["JAX, every point"].worst
    assert found["two threads, batch 16 and more"].measured == pytest.approx(1.6)
    assert found["the floor, batch 32 and more, hidden 128-1024"].measured == pytest.approx(0.8)
    assert found["first use of a new circuit"].reached is False
    assert found["first use in a later process"].reached is True
    assert found["torch.nn, LSTM (oneDNN), anywhere"].reached is None


def test_the_full_table_bears_on_every_aim(bench):
    """If every contestant takes part, every aim has figures."""
    targets, once, points = bench("targets"), bench("once"), bench("points")
    rows = []
    for case in points.FULL:
        rows.append(row(case.point))
        rows[-1].times = {n: Time(1.0, 0.0, 1.0) for n in case.names}
    for aim in targets.targets(rows, [once.FirstUse(10, 1.0, 0.1)], once.Streaming(128, 1.0, 1.0)):
        assert aim.figures, aim.text


def test_a_selection_is_measured_and_written(bench, tmp_path, capsys):
    run = bench("run")
    choice = ["--quick", "--cells", "rnn", "--batch", "1", "--contestants", "unrolled", "torch.nn", "--turns", "2"]
    assert run.main([*choice, "--out", str(tmp_path)]) == 0
    told = capsys.readouterr().out
    assert "rnn T=200 B=1 I=40 H=128, 1 thread, training: unrolled" in told and "torch.nn" in told
    found = json.loads((tmp_path / "results.json").read_text())
    (only,) = found["runs"]
    first = only["rows"][0]
    theirs, ours = (first["times"][n]["median"] for n in ("torch.nn", "unrolled"))
    assert ours > 0 and (theirs > ours or compiler() is None)  # the loop in torch operations is about as fast as theirs
    page = (tmp_path / "RESULTS.md").read_text()
    assert "| rnn | 200, 1, 40, 128 |" in page and "### Training, one thread" in page and "### Aims" in page


def test_a_results_file_keeps_the_newest_run_of_each_machine(bench, tmp_path):
    results, run = bench("results"), bench("run")
    here = machine.machine()
    other = replace(here, vectors="vectors of another machine")
    rows = [row(Point("gru", 100, 32, 64, 128), unrolled=1, JAX=2)]

    def one(date: str, where: machine.Machine, note: str) -> object:
        return results.Results(date, where, BRIEF, rows, [], None, note)

    older, elsewhere, newer = one("2001-01-01", here, "a"), one("2001-01-02", other, "b"), one("2001-01-03", here, "c")
    for found in (older, elsewhere, newer):
        run.write(found, tmp_path)
    kept = [results.Results.of_dict(r) for r in json.loads((tmp_path / "results.json").read_text())["runs"]]
    assert kept == [newer, elsewhere]
    page = (tmp_path / "RESULTS.md").read_text()
    assert page.count("| gru | 100, 32, 64, 128 |") == 2 and page.index(here.vectors) < page.index(other.vectors)


def test_the_page_of_results_shows_the_numbers_of_the_results_file(bench):
    results, report = bench("results"), bench("report")
    found = json.loads((ROOT / "benchmarks" / "results.json").read_text(encoding="utf-8"))["runs"]
    runs = [results.Results.of_dict(r) for r in found]
    assert report.page(runs) == (ROOT / "benchmarks" / "RESULTS.md").read_text(encoding="utf-8")
    assert [r.as_dict() for r in runs] == found


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (["--cells", "grru"], "invalid choice: 'grru'"),
        (["--hidden", "31"], "no point of the table matches"),
        (["--turns", "0"], "--turns must be at least 1, got 0"),
    ],
)
def test_wrong_use_of_the_benchmarks_is_refused(bench, capsys, wrong, said):
    with pytest.raises(SystemExit) as refused:
        bench("run").main(wrong)
    assert refused.value.code == 2 and said in capsys.readouterr().err


def test_a_contestant_that_is_not_installed_is_named(bench, monkeypatch, tmp_path):
    others, points, run = bench("others"), bench("points"), bench("run")
    monkeypatch.setattr(others, "PYTHON", tmp_path / "python")
    case = points.Case(SMALL, ("unrolled", "JAX"))
    (found,) = run.run([case], BRIEF, quiet=True)
    assert set(found.times) == {"unrolled"} and "make bench creates it" in found.absent["JAX"]


def test_a_streaming_step_is_measured(bench):
    found = bench("once").streaming(hidden=5, turns=2, calls=5)
    assert found.unrolled > 0 and found.lstm_cell > 0


@needs_compiler
@pytest.mark.slow
def test_the_first_use_is_slower_than_a_later_one(bench):
    found = bench("once").first_use(10)
    assert found.empty > found.later > 0
