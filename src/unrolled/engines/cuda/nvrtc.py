"""NVIDIA's compiler for CUDA text, as a library. It comes with torch's own packages or with ``nvidia-cuda-nvrtc``, and
needs neither a GPU nor the CUDA toolkit.

Source: NVIDIA, NVRTC documentation, https://docs.nvidia.com/cuda/nvrtc/.
"""

from __future__ import annotations

import ctypes
import hashlib
import importlib.util
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from ...errors import EngineError
from ..c.cache import read, write, write_text

# --fmad=false: an operation is rounded in the same way whatever else is computed beside it; products name fma
OPTIONS = ("--fmad=false", "--std=c++17", "--disable-warnings", "--ptxas-options=-v")
INSTALL = "Install one with: pip install nvidia-cuda-nvrtc"
NAMES = ("libnvrtc.so.13", "libnvrtc.so.12", "nvrtc64_130_0.dll", "nvrtc64_120_0.dll")


class Nvrtc:
    """The library at a path."""

    def __init__(self, path: str) -> None:
        self.library = ctypes.CDLL(path)
        major, minor = ctypes.c_int(), ctypes.c_int()
        self._call("nvrtcVersion", ctypes.byref(major), ctypes.byref(minor))
        self.version = f"{major.value}.{minor.value}"

    def architectures(self) -> list[int]:
        """The architectures that it compiles for: 90 for sm_90."""
        count = ctypes.c_int()
        self._call("nvrtcGetNumSupportedArchs", ctypes.byref(count))
        found = (ctypes.c_int * count.value)()
        self._call("nvrtcGetSupportedArchs", found)
        return list(found)

    def compile(self, text: str, architecture: int) -> tuple[bytes, str]:
        """Compile a text.

        Args:
            text: CUDA text.
            architecture: such as 90 for sm_90.

        Returns:
            the compiled text for this architecture only, and the compiler's report: registers, spilled bytes.

        Raises:
            EngineError: the text cannot be compiled.
        """
        known = self.architectures()
        if architecture not in known:
            raise EngineError(
                f"NVRTC {self.version} does not compile for this GPU (sm_{architecture}); it knows "
                f'{", ".join(f"sm_{n}" for n in known)}. Install another version, or use engine="torch"'
            )
        program = ctypes.c_void_p()
        self._call("nvrtcCreateProgram", ctypes.byref(program), text.encode(), b"loop.cu", 0, None, None)
        try:
            options = [o.encode() for o in (f"--gpu-architecture=sm_{architecture}", *OPTIONS)]
            failed = self.library.nvrtcCompileProgram(program, len(options), (ctypes.c_char_p * len(options))(*options))
            report = self._got("ProgramLog", program).rstrip(b"\0").decode(errors="replace")
            if failed:
                kept = write_text(hashlib.sha256(text.encode()).hexdigest(), text, ".cu")
                raise EngineError(f"NVRTC {self.version} failed. The CUDA text was saved as {kept}:\n{report}")
            return self._got("CUBIN", program), report
        finally:
            self.library.nvrtcDestroyProgram(ctypes.byref(program))

    def _got(self, what: str, program: ctypes.c_void_p) -> bytes:
        size = ctypes.c_size_t()
        self._call(f"nvrtcGet{what}Size", program, ctypes.byref(size))
        found = ctypes.create_string_buffer(size.value)
        self._call(f"nvrtcGet{what}", program, found)
        return found.raw

    def _call(self, function: str, *arguments: object) -> None:
        if code := getattr(self.library, function)(*arguments):
            self.library.nvrtcGetErrorString.restype = ctypes.c_char_p
            raise EngineError(f"{function} failed: {self.library.nvrtcGetErrorString(code).decode()}")


@cache
def nvrtc() -> Nvrtc | None:
    """The library, None if there is none: that which the system finds, or that of an installed package."""
    for path in (*NAMES, *_packaged()):
        try:
            return Nvrtc(path)
        except (OSError, AttributeError):
            continue
    return None


def _packaged() -> Iterator[str]:
    """The paths of the library in the packages ``nvidia-cuda-nvrtc`` and ``nvidia-cuda-nvrtc-cu12``."""
    found = importlib.util.find_spec("nvidia")
    pattern = "*/bin/**/nvrtc64_*.dll" if sys.platform == "win32" else "*/lib/libnvrtc.so.*"
    for folder in (found.submodule_search_locations or ()) if found else ():
        yield from (str(path) for path in sorted(Path(folder).glob(pattern), reverse=True))


def compiled(text: str, architecture: int) -> bytes:
    """Compile a text, or take it from the cache on disk. The cache does not depend on batch sizes or lengths.

    Raises:
        EngineError: there is no NVRTC, or it cannot compile the text.
    """
    found = nvrtc()
    if found is None:
        raise EngineError(f'engine="cuda" is not available: NVRTC was not found. {INSTALL}')
    named = "\0".join(["cubin", found.version, str(architecture), *OPTIONS, text])
    key = hashlib.sha256(named.encode()).hexdigest()
    known = read(key)
    if known is None:
        known = found.compile(text, architecture)[0]
        write(key, known)
    return known
