"""Models with layers of this library in libraries around PyTorch, beside the same model with torch.nn.LSTM; and the
table of it in docs/pytorch.md."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from ecosystem.libraries import USES, X, model

PAGE = Path(__file__).parents[2] / "docs" / "pytorch.md"
HEAD = "| library | use | torch.nn.LSTM | unrolled.nn.LSTM | accelerated | Recurrent |"
KINDS = ("drop-in", "accelerated", "Recurrent")

pytestmark = pytest.mark.filterwarnings("ignore")


def outcome(words: str, kind: str) -> Any:
    """What comes of a use, or what it raises."""
    torch.manual_seed(0)
    try:
        return USES[words][1](model(kind))
    except Exception as problem:
        return problem


def equal(ours: Any, theirs: Any) -> bool:
    if isinstance(theirs, list):
        return len(ours) == len(theirs) and all(map(equal, ours, theirs))
    if isinstance(theirs, Tensor):
        return ours.shape == theirs.shape and torch.allclose(ours, theirs, rtol=1e-4, atol=1e-5)
    return bool(ours == theirs)


@pytest.fixture(scope="module")
def verdicts() -> dict[tuple[str, str], str]:
    """What each layer does, in words of the table."""
    found = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for words in USES:
            theirs = outcome(words, "torch")
            refused = isinstance(theirs, Exception)
            found[words, "torch"] = "refused" if refused else "works"
            first = theirs
            for kind in KINDS:
                ours = outcome(words, kind)
                if isinstance(ours, Exception):
                    found[words, kind] = f"refused: {str(ours).splitlines()[0]}"
                elif isinstance(first, Exception):
                    first, found[words, kind] = ours, "works"  # the others are compared with this one
                else:
                    agree = equal(ours, first)
                    found[words, kind] = ("works" if refused else "the same") if agree else f"not {first}, but {ours}"
    return found


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("words", USES)
def test_a_use(words, kind, verdicts):
    assert verdicts[words, kind] in ("works", "the same"), verdicts[words, kind]


@pytest.mark.parametrize("kind", KINDS)
def test_opacus_takes_the_step_of_clipped_gradients(kind):
    uses = {library: words for words, (library, _) in USES.items()}
    expected, found = outcome(uses["private gradients"], "torch"), outcome(uses["Opacus"], kind)
    assert equal(found, expected), (found, expected)
    assert not equal(model("torch")(X), expected)


def test_the_table_says_what_happens(verdicts, request):
    rows = [HEAD, "| --- | --- | --- | --- | --- | --- |"]
    for words, (library, _) in USES.items():
        cells = (library, words, *(verdicts[words, kind] for kind in ("torch", *KINDS)))
        rows.append(f"| {' | '.join(cells)} |")
    text = PAGE.read_text(encoding="utf-8")
    opening, _, rest = text.partition(HEAD)
    wanted = opening + "\n".join(rows) + "\n\n" + rest.partition("\n\n")[2]
    if request.config.getoption("--update-golden"):
        PAGE.write_text(wanted, encoding="utf-8")
        return
    assert text == wanted, "the table has changed: make test-ecosystem ARGS=--update-golden"
