"""What every test may use: golden files, real data, and settings that make runs repeatable."""

from __future__ import annotations

import difflib
import os
import random
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import numpy
import pytest

GOLDEN = Path(__file__).parent / "golden"

if "PYTEST_XDIST_WORKER" in os.environ:  # one thread per worker, read by torch when a test first imports it
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("MKL_NUM_THREADS", "1")

# compiled loops are kept with the tests' own caches, not among the user's
os.environ.setdefault("UNROLLED_CACHE", str(Path(__file__).parent.parent / ".pytest_cache" / "kernels"))

hypothesis.settings.register_profile("local", deadline=None)
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "local")


def pytest_configure(config: pytest.Config) -> None:
    """pytest-randomly chooses the order alone; what is drawn is the same in every run (see ``alone``)."""
    if hasattr(config.option, "randomly_reset_seed"):
        config.option.randomly_reset_seed = False


def seed_all() -> None:
    random.seed(0)
    numpy.random.seed(0)
    if torch := sys.modules.get("torch"):
        torch.manual_seed(0)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """What a module shares is drawn the same, whichever of its tests is first."""
    seed_all()


LIBRARIES = (
    "PYTEST_",
    "TORCH",
    "_TORCH",
    "TRITON",
    "KMP_",
)  # beginnings of variables that libraries set when they are loaded


def shared_state() -> dict[str, object]:
    """What all tests of a process share, and any could change for those behind it."""
    state: dict[str, object] = {"the working folder": os.getcwd()}
    state |= {f"${name}": value for name, value in os.environ.items() if not name.startswith(LIBRARIES)}
    if torch := sys.modules.get("torch"):
        state |= {"torch's threads": torch.get_num_threads(), "torch's default dtype": torch.get_default_dtype()}
        state |= {"torch's deterministic mode": torch.are_deterministic_algorithms_enabled()}
    return state


@pytest.fixture(autouse=True)
def alone() -> Iterator[None]:
    """Every test draws the same random numbers, whatever ran before it, and leaves everything as it was."""
    seed_all()
    before = shared_state()
    yield
    after = shared_state()
    known = {name for name in {**before, **after} if name.startswith("$") or name in before}  # torch may come late
    changed = sorted(name for name in known if before.get(name) != after.get(name))
    assert not changed, f"the test leaves {', '.join(changed)} changed for those that come after it"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """How to have the order of this run again, where it may be the reason why a test has failed."""
    seed = getattr(config.option, "randomly_seed", None)
    if isinstance(seed, int) and (terminalreporter.stats.get("failed") or terminalreporter.stats.get("error")):
        terminalreporter.write_line(
            f"the same order again: --randomly-seed={seed}; in the order of the files: -p no:randomly"
        )


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden", action="store_true", help="write the golden files instead of comparing with them"
    )
    parser.addoption("--few", type=int, default=0, help="run at most so many cases of each test with parameters")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With ``--few``, keep the first cases of each test, in the order in which they are collected."""
    if most := config.getoption("--few"):
        count: Counter[str] = Counter()
        kept: list[pytest.Item] = []
        dropped: list[pytest.Item] = []
        for item in items:
            name = item.nodeid.partition("[")[0]
            count[name] += 1
            (kept if count[name] <= most else dropped).append(item)
        items[:] = kept
        config.hook.pytest_deselected(items=dropped)


def compare_golden(path: Path, text: str, update: bool) -> None:
    """Fail with a unified diff unless ``path`` holds exactly ``text``; with ``update``, write it."""
    if update:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")
        return
    again = "If this is what is wanted: pytest --update-golden, and review the change."
    if not path.exists():
        pytest.fail(f"the golden file {path.name} does not exist. {again}\n\n{text}", pytrace=False)
    expected = path.read_bytes().decode("utf-8")  # read_text would fold \r\n into \n
    if text == expected:
        return
    diff = difflib.unified_diff(
        expected.splitlines(), text.splitlines(), f"golden/{path.name}", "this run", n=3, lineterm=""
    )
    shown = "\n".join(diff) or "(the texts differ in their line ends only)"
    pytest.fail(f"{path.name} has changed. {again}\n\n{shown}", pytrace=False)


@pytest.fixture
def one_thread() -> Iterator[None]:
    """One thread for torch, whatever the machine has."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """``golden("elman.txt", text)`` compares ``text`` with ``tests/golden/elman.txt``."""
    update = request.config.getoption("--update-golden")
    return lambda name, text: compare_golden(GOLDEN / name, text, update)


@pytest.fixture
def data() -> Callable[[str], Path]:
    """``data("tinyshakespeare/input.txt")`` is that path in ``$UNROLLED_DATA``; absent, the test skips."""

    def find(name: str) -> Path:
        folder = os.environ.get("UNROLLED_DATA")
        if not folder:
            pytest.skip(f"needs {name}: set UNROLLED_DATA to the folder of the data sets")
        path = Path(folder, name)
        if not path.exists():
            pytest.skip(f"needs {name}, which is not in UNROLLED_DATA={folder}")
        return path

    return find
