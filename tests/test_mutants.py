"""The planted faults can be planted, and the program that plants them tells caught, survived and stale ones apart."""

from __future__ import annotations

from pathlib import Path

import pytest

import mutants
from mutants import CAUGHT, STALE, SURVIVED, Mutant, judge_all, load

ALL = load()


@pytest.mark.parametrize("mutant", ALL, ids=lambda m: m.name)
def test_every_fault_can_be_planted_and_names_tests_that_there_are(mutant: Mutant):
    """When a line of the sources changes, its entry in tests/planted changes with it."""
    mutant.text(mutants.ROOT)
    for test in mutant.tests:
        file, _, name = test.partition("::")
        content = (Path(__file__).parent / file).read_text(encoding="utf-8")
        assert not name or f"def {name.partition('[')[0]}(" in content, f"there is no {test}"


def test_faults_are_planted_in_every_room_that_computes():
    assert len(ALL) >= 60
    rooms = {mutant.file.partition("/")[0] for mutant in ALL}
    computing = "graph sequence transform draw plan engines nn train data run diagnosis"
    assert rooms >= set(computing.split(" "))


SOURCE = """\
def add(a, b):
    return a + b


def count(n):
    while n > 0:
        n -= 1
    return n
"""
TESTS = """\
from unrolled.numbers import add, count


def test_add():
    assert add(0, 2) == 2


def test_count():
    assert count(3) == 0
"""
PLANTED = [
    Mutant("difference", "", "numbers.py", "a + b", "a - b", ("test_numbers.py::test_add",)),
    Mutant("second", "", "numbers.py", "a + b", "b", ("test_numbers.py::test_add",)),
    Mutant("endless", "", "numbers.py", "n -= 1", "n -= 0", ("test_numbers.py",)),
    Mutant("crash", "", "numbers.py", "return a + b", "import os; os.abort()", ("test_numbers.py",)),
    Mutant("no more there", "", "numbers.py", "a * b", "a", ("test_numbers.py",)),
    Mutant("twice", "", "numbers.py", "return", "yield", ("test_numbers.py",)),
    Mutant("no Python", "", "numbers.py", "a + b", "a +", ("test_numbers.py",)),
]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for folder in ("src/unrolled", "tests"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "src/unrolled/__init__.py").write_text("")
    (tmp_path / "src/unrolled/numbers.py").write_text(SOURCE)
    (tmp_path / "tests/test_numbers.py").write_text(TESTS)
    (tmp_path / "pyproject.toml").write_text("[tool.pytest.ini_options]\n")
    return tmp_path


@pytest.mark.slow
def test_caught_survived_and_stale(project: Path):
    told: list[str] = []
    found = judge_all(PLANTED, project, jobs=3, told=lambda verdict: told.append(verdict.mutant.name), spare=12.0)
    assert {verdict.mutant.name: verdict.outcome for verdict in found} == {
        "difference": CAUGHT,
        "second": SURVIVED,
        "endless": CAUGHT,
        "crash": CAUGHT,
        "no more there": STALE,
        "twice": STALE,
        "no Python": STALE,
    }
    assert sorted(told) == sorted(m.name for m in PLANTED)
    why = {verdict.mutant.name: verdict.why for verdict in found}
    assert "no end after" in why["endless"] and "2 times, not once" in why["twice"] and "1 passed" in why["second"]
    assert (project / "src/unrolled/numbers.py").read_text() == SOURCE, "the project itself is not touched"


@pytest.mark.slow
def test_tests_that_fail_without_the_fault_have_caught_nothing(project: Path):
    (project / "tests/test_numbers.py").write_text(TESTS.replace("== 2", "== 3"))
    unknown = Mutant("unknown", "", "numbers.py", "a + b", "a - b", ("test_numbers.py::test_nothing",))
    found = {v.mutant.name: v for v in judge_all([PLANTED[0], unknown], project, 1, lambda verdict: None)}
    assert {verdict.outcome for verdict in found.values()} == {STALE}
    assert "do not pass without it: 1 failed" in found["difference"].why
    assert "do not pass without it" in found["unknown"].why


def test_entries_that_say_too_little_are_refused(tmp_path: Path):
    entry = "[[mutant]]\nname = 'a'\nfault = 'f'\nfile = 'x.py'\nold = 'o'\nnew = 'n'\ntests = ['t']\n"
    (tmp_path / "some.toml").write_text(entry)
    assert [m.name for m in load(tmp_path)] == ["a"]
    for wrong, problem in (
        (entry + entry, "several planted faults are called a"),
        (entry.replace("fault = 'f'\n", ""), "some.toml: a: needs name, fault"),
        (entry.replace("'n'", "'o'"), "another new"),
    ):
        (tmp_path / "some.toml").write_text(wrong)
        with pytest.raises(ValueError, match=problem):
            load(tmp_path)
