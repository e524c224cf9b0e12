"""CUDA text that is run by a CPU, thread by thread (see cuda_on_cpu.c)."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from unrolled.engines.c.build import load
from unrolled.engines.cuda.loop import CudaLoop
from unrolled.engines.cuda.render import Text, Tile
from unrolled.engines.planned import Planned

AROUND = (Path(__file__).parent / "cuda_on_cpu.c").read_text(encoding="utf-8")


class WrongThreads(AssertionError):
    """The threads of a block did not run as they must."""


@dataclass
class OnCpu:
    """A machine for texts of engine ``cuda``.

    changed: changes a text before it is compiled. lanes: of a block; the number of launches is counted.
    """

    lanes: int = 2
    width: int = 4
    depth: int = 2
    changed: Callable[[str], str] = str
    launches: int = 0

    def processors(self, device: object) -> int:
        return 2

    def tile(self, lanes: int, entries: int) -> Tile:
        return Tile(self.lanes, self.width, self.depth)

    def launch(self, text: Text, lanes: Tensor, fresh: Tensor | None, room: Tensor, pointers: Sequence[Tensor]) -> None:
        drive = driver(self.changed(text.text), text.shared)
        drive.argtypes, drive.restype = [ctypes.c_void_p, ctypes.c_int64, ctypes.c_uint64], ctypes.c_int
        fixed = [lanes.data_ptr(), fresh.data_ptr() if fresh is not None else 0, room.data_ptr(), len(lanes)]
        numbers = [*fixed, *(t.data_ptr() for t in pointers)]
        self.launches += 1
        blocks = -(-len(lanes) // text.tile.lanes)
        wrong = drive((ctypes.c_uint64 * len(numbers))(*numbers), blocks, self.launches)
        if wrong:
            raise WrongThreads({1: "threads wait at different barriers", 2: "wrote behind the shared memory"}[wrong])


def driver(text: str, shared: int) -> Any:
    """The function that runs a text, which needs this many bytes of shared memory."""
    return load("\n".join([AROUND, text, "#define DRIVER", f"#define SHARED {shared}", AROUND]), "drive").drive


def engine(machine: OnCpu | None = None) -> Planned:
    """Engine ``cuda`` on a CPU."""
    return Planned("cuda", CudaLoop(machine or OnCpu()))
