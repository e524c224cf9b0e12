"""The machine that measurements ran on: processor, C compiler, vector instructions, versions."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import torch

from ..engines.c.build import FLAGS, compiler

# macros that the compiler defines for its target, widest vectors first
VECTORS = {
    "__AVX512F__": "AVX-512 (64 bytes)",
    "__AVX2__": "AVX2 (32 bytes)",
    "__AVX__": "AVX (32 bytes)",
    "__SSE2__": "SSE2 (16 bytes)",
    "__ARM_FEATURE_SVE": "SVE",
    "__ARM_NEON": "NEON (16 bytes)",
    "__ALTIVEC__": "AltiVec (16 bytes)",
}


@dataclass(frozen=True)
class Machine:
    """Processor, number of processors, vectors, compiler, and versions of torch and Python.

    Without a C compiler, ``compiler`` is empty, and ``vectors`` are those that torch uses.
    """

    processor: str
    processors: int
    vectors: str
    compiler: str
    torch: str
    python: str

    def __str__(self) -> str:
        compiled = self.compiler or "no C compiler"
        versions = f"torch {self.torch}, Python {self.python}"
        return f"{self.processor}, {self.processors} processors, {self.vectors}; {versions}; {compiled}"


def machine() -> Machine:
    """A description of this machine."""
    return Machine(
        processor(),
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        vectors(),
        compiler_version(),
        torch.__version__,
        platform.python_version(),
    )


def processor() -> str:
    """The name of the processor."""
    path = Path("/proc/cpuinfo")
    for line in path.read_text(errors="replace").splitlines() if path.exists() else []:
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def vectors() -> str:
    """The widest vector instructions that kernels are compiled for."""
    command = compiler()
    if command is None:
        return torch.backends.cpu.get_cpu_capability()
    target = [flag for flag in FLAGS if flag.startswith("-m")]
    macros = _output([*command, *target, "-dM", "-E", "-x", "c", os.devnull])
    defined = {line.split()[1] for line in macros.splitlines() if line.startswith("#define ")}
    return next((name for macro, name in VECTORS.items() if macro in defined), "no vectors")


def compiler_version() -> str:
    """The compiler's command and the first line of its version; empty without a compiler."""
    command = compiler()
    if command is None:
        return ""
    version = _output([*command, "--version"]).splitlines()
    return f"{' '.join(command)}: {version[0]}" if version else " ".join(command)


def peak_memory() -> int:
    """The peak memory of this process in bytes; 0 where the system does not report it (Windows)."""
    try:
        import resource
    except ImportError:
        return 0
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else 1024 * most


def _output(command: list[str]) -> str:
    """The output of a program; empty if it fails."""
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return ""
