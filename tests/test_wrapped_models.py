"""Models in torch's wrappers for several processes have the gradients of the model alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from cells_for_tests import needs_compiler
from processes import in_processes

SCRIPT = Path(__file__).parent / "wrapped_models.py"


@needs_compiler
@pytest.mark.slow
def test_wrapped_models_have_the_gradients_of_the_model_alone(tmp_path: Path):
    for results in in_processes([str(SCRIPT)], 2, tmp_path / "found"):
        assert len(results) == 32
        for case, found in results.items():
            assert isinstance(found, dict) and len(found) >= 3, f"{case}: {found}"
            for name, (gradient, expected) in found.items():
                error = (gradient - expected).abs().max() / expected.abs().max()
                assert error < 1e-5, f"{case}, {name}: {error}"
