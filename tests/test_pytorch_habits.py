"""What users do with ``torch.nn.LSTM``, done with ours beside it; and the table of it in docs/pytorch.md."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import unrolled
from cells_for_tests import needs_compiler
from pytorch_habits import HABITS

PAGE = Path(__file__).parents[1] / "docs" / "pytorch.md"
SAME, ALIKE, MORE = "the same", "refused in the same words", "works"


pytestmark = [
    needs_compiler,
    pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning", "ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning"),
]


def outcome(words: str, kind: type[nn.Module]) -> Any:
    """What comes of a habit, or what it raises."""
    try:
        return HABITS[words][1](kind)
    except Exception as problem:
        return problem


def equal(ours: Any, theirs: Any) -> bool:
    if isinstance(theirs, list):
        return len(ours) == len(theirs) and all(map(equal, ours, theirs))
    if isinstance(theirs, Tensor):
        close = {"rtol": 1e-5, "atol": 1e-6} if theirs.dtype == torch.float32 else {"rtol": 1e-9, "atol": 1e-10}
        return ours.shape == theirs.shape and torch.allclose(ours, theirs, **close)
    return bool(ours == theirs)


def verdict(words: str) -> tuple[str, str]:
    """What torch.nn.LSTM does, and what ours does, in words of the table."""
    theirs, ours = outcome(words, nn.LSTM), outcome(words, unrolled.nn.LSTM)
    refused = isinstance(theirs, Exception)
    if isinstance(ours, Exception):
        if refused and (type(ours), str(ours)) == (type(theirs), str(theirs)):
            return "refused", ALIKE
        return "refused" if refused else "works", f"refused: {str(ours).splitlines()[0]}"
    if not refused:
        assert equal(ours, theirs), f"{words}: {ours} is not {theirs}"
    return ("refused", MORE) if refused else ("works", SAME)


@pytest.fixture(scope="module")
def verdicts() -> dict[str, tuple[str, str]]:
    return {words: verdict(words) for words in HABITS}


@pytest.mark.parametrize("words", HABITS)
def test_a_habit(words, verdicts):
    assert verdicts[words][1] in (SAME, ALIKE, MORE), verdicts[words][1]


def test_the_table_says_what_happens(verdicts, request):
    rows = ["| | habit | torch.nn.LSTM | unrolled.nn.LSTM |", "| --- | --- | --- | --- |"]
    before = ""
    for words, (group, _) in HABITS.items():
        rows.append(
            f"| {group if group != before else ''} | {words} | {' | '.join(verdicts[words])} |".replace("|  |", "| |")
        )
        before = group
    assert len(HABITS) >= 60
    text = PAGE.read_text(encoding="utf-8")
    opening, _, _ = text.partition("\n| | habit |")
    wanted = opening + "\n" + "\n".join(rows) + "\n"
    if request.config.getoption("--update-golden"):
        PAGE.write_text(wanted, encoding="utf-8")
        return
    assert text == wanted, "the table has changed: python -m pytest tests/test_pytorch_habits.py --update-golden"
