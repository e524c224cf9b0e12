"""Texts on a GPU: loaded with the driver, launched on torch's current stream.

Source: NVIDIA, CUDA driver API, https://docs.nvidia.com/cuda/cuda-driver-api/.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Sequence
from functools import cache

import torch
from torch import Tensor

from ...errors import EngineError
from .nvrtc import INSTALL, compiled, nvrtc
from .render import Text, Tile

THREADS = 512  # most threads of a block
WARP = 32  # threads that a GPU runs in step
DRIVER = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
INSTEAD = 'or use engine="torch" or engine="c"'


class Gpu:
    """The GPU of the tensors that a text reads."""

    def processors(self, device: torch.device) -> int:
        """How many blocks run at the same time."""
        return torch.cuda.get_device_properties(device).multi_processor_count

    def tile(self, lanes: int, entries: int) -> Tile:
        """Enough threads for the entries of the largest value, in whole warps."""
        width = WARP
        while width < min(entries, THREADS):
            width *= 2
        return Tile(lanes, width, min(lanes, THREADS // width))

    def launch(self, text: Text, lanes: Tensor, fresh: Tensor | None, room: Tensor, pointers: Sequence[Tensor]) -> None:
        """See ``loop.Machine``."""
        with torch.cuda.device(lanes.device):
            function = _function(text.text, lanes.device.index, *torch.cuda.get_device_capability())
            fixed = [lanes.data_ptr(), fresh.data_ptr() if fresh is not None else 0, room.data_ptr(), len(lanes)]
            numbers = [*fixed, *(t.data_ptr() for t in pointers)]
            given = (ctypes.c_uint64 * len(numbers))(*numbers)
            of_launch = (ctypes.c_void_p * 1)(ctypes.addressof(given))
            blocks, tile = -(-len(lanes) // text.tile.lanes), text.tile
            stream = ctypes.c_void_p(torch.cuda.current_stream().cuda_stream)
            _call(
                "cuLaunchKernel",
                function,
                blocks,
                1,
                1,
                tile.width,
                tile.depth,
                1,
                text.shared,
                stream,
                of_launch,
                None,
            )


@cache
def missing() -> str:
    """Why there is no GPU to use, and what to do; empty if there is one."""
    if not torch.backends.cuda.is_built():
        return f"torch {torch.__version__} was built without CUDA. Install another build of torch, {INSTEAD}"
    if torch.version.hip:
        return f"torch {torch.__version__} is built for GPUs of AMD. Install another build of torch, {INSTEAD}"
    if not torch.cuda.is_available():
        return f"torch {torch.__version__} finds no NVIDIA GPU, or no driver for it. See nvidia-smi, {INSTEAD}"
    if nvrtc() is None:
        return f"NVRTC, the compiler for CUDA text, was not found. {INSTALL}, {INSTEAD}"
    return ""


@cache
def _function(text: str, device: int, major: int, minor: int) -> ctypes.c_void_p:
    """The function of a text, loaded on a device."""
    cubin = compiled(text, 10 * major + minor)
    module, function = ctypes.c_void_p(), ctypes.c_void_p()
    _call("cuModuleLoadData", ctypes.byref(module), cubin)
    _call("cuModuleGetFunction", ctypes.byref(function), module, b"run")
    return function


@cache
def _driver() -> ctypes.CDLL:
    return ctypes.CDLL(DRIVER)


def _call(function: str, *arguments: object) -> None:
    driver = _driver()
    if code := getattr(driver, function)(*arguments):
        reason = ctypes.c_char_p()
        driver.cuGetErrorString(code, ctypes.byref(reason))
        said = (reason.value or b"unknown error").decode()
        raise EngineError(f'engine="cuda": {function} failed: {said} ({code}). Use engine="torch"')
