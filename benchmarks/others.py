"""Contestants in processes of their own: those that need other libraries, and torch.compile, which may time out."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

from unrolled.speed.process import Child, Player
from unrolled.speed.timing import local

HERE = Path(__file__).parent
PYTHON = HERE.parent / ".venv-bench" / "bin" / "python"  # `make bench` creates it
COMPILE_LIMIT = 180.0  # seconds for one shape, forward and backward


def players(names: tuple[str, ...], threads: int) -> list[Player]:
    """The contestants with these names, on a number of threads.

    XLA counts the processors that its process may use. NPROC limits it where affinity cannot be set; XLA_FLAGS do not.
    """
    environment = {n: str(threads) for n in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NPROC")}
    environment |= {"PYTHONPATH": str(_sources()), "JAX_PLATFORMS": "cpu"}
    found: list[Player] = []
    for name in names:
        if name == "JAX":
            found.append(Child(name, [str(PYTHON), str(HERE / "jax_scan.py")], environment))
        elif name == "ONNX":
            found.append(Child(name, [str(PYTHON), str(HERE / "onnx_operators.py")], environment))
        elif name == "torch.compile":
            command = [sys.executable, str(HERE / "torch_compiled.py")]
            found.append(Child(name, command, environment, COMPILE_LIMIT))
        elif name == "unrolled, 1 thread":
            found.append(local("unrolled", 1, known_as=name))
        else:
            found.append(local(name, threads))
    return found


def obstacle(name: str) -> str:
    """Why a contestant cannot start here; empty if it can."""
    if name not in ("JAX", "ONNX"):
        return ""
    if not PYTHON.exists():
        return "needs .venv-bench: make bench creates it"
    module = {"JAX": "jax", "ONNX": "onnxruntime"}[name]
    there = subprocess.run([PYTHON, "-c", f"import {module}"], capture_output=True, check=False).returncode == 0
    return "" if there else f"needs {module}, which is not installed in .venv-bench"


def _sources() -> Path:
    """The folder from which the package is imported."""
    spec = importlib.util.find_spec("unrolled")
    assert spec is not None and spec.origin is not None
    return Path(spec.origin).parents[1]
