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
from .render import Text
from .shape import GRID, LARGE, SHARED, TILE, Shape, grid, tile

OPT_IN = 8  # CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
DRIVER = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
INSTEAD = 'or use engine="torch" or engine="c"'


class Gpu:
    """The GPU of the tensors that a text reads. kind: of all launches, TILE or GRID; by default chosen by size."""

    def __init__(self, kind: str = "") -> None:
        self.kind = kind

    def shape(self, like: Tensor, sequences: int, entries: int, weights: int) -> Shape:
        """See ``loop.Machine``. A tile reads all weights at every step through one processor, which takes longer than
        two barriers of all processors if there are many weights. Measured nowhere yet."""
        about = torch.cuda.get_device_properties(like.device)
        processors = about.multi_processor_count
        shared: int = getattr(about, "shared_memory_per_block_optin", SHARED)
        if (self.kind or (GRID if weights >= LARGE else TILE)) == GRID:
            return grid(sequences, entries, processors, shared)
        return tile(sequences, entries, processors, shared)

    def launch(self, text: Text, lanes: Tensor, fresh: Tensor | None, room: Tensor, pointers: Sequence[Tensor]) -> None:
        """See ``loop.Machine``."""
        with torch.cuda.device(lanes.device):
            function = _function(text.text, lanes.device.index, *torch.cuda.get_device_capability())
            arrived = lanes.new_zeros(1)
            numbers = addresses(lanes, fresh, room, arrived, pointers)
            given = (ctypes.c_uint64 * len(numbers))(*numbers)
            of_launch = (ctypes.c_void_p * 1)(ctypes.addressof(given))
            shape, shared = text.shape, text.memory.shared
            if shared > SHARED:
                _call("cuFuncSetAttribute", function, OPT_IN, shared)
            threads = (shape.blocks_for(len(lanes)), 1, 1, shape.width, shape.depth, 1)
            stream = ctypes.c_void_p(torch.cuda.current_stream().cuda_stream)
            if shape.kind == GRID:
                _call("cuLaunchCooperativeKernel", function, *threads, shared, stream, of_launch)
            else:
                _call("cuLaunchKernel", function, *threads, shared, stream, of_launch, None)


def addresses(
    lanes: Tensor, fresh: Tensor | None, room: Tensor, arrived: Tensor, pointers: Sequence[Tensor]
) -> list[int]:
    """The arguments of a text as numbers (see prelude.cu)."""
    fixed = [lanes.data_ptr(), fresh.data_ptr() if fresh is not None else 0, room.data_ptr(), arrived.data_ptr()]
    return [*fixed, len(lanes), *(t.data_ptr() for t in pointers)]


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
