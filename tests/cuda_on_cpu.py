"""CUDA text that is run by a CPU, thread by thread (see cuda_on_cpu.c)."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from unrolled.engines.c.build import load
from unrolled.engines.cuda.gpu import addresses
from unrolled.engines.cuda.loop import CudaLoop
from unrolled.engines.cuda.render import Text
from unrolled.engines.cuda.shape import TILE, Shape
from unrolled.engines.planned import Planned

AROUND = (Path(__file__).parent / "cuda_on_cpu.c").read_text(encoding="utf-8")


class WrongThreads(AssertionError):
    """The threads of a launch did not run as they must."""


PROBLEMS = {
    1: "the threads of a block do not meet at one barrier",
    2: "memory behind the shared memory was written",
    3: "blocks wait for each other forever",
}


SMALL = Shape(TILE, lanes=2, width=4, depth=2)


@dataclass
class OnCpu:
    """A machine for texts of engine ``cuda``.

    changed: changes a text before it is compiled. launches: how many texts it has run.
    """

    all: Shape = SMALL
    changed: Callable[[str], str] = str
    launches: int = 0

    def shape(self, like: Tensor, sequences: int, entries: int, weights: int) -> Shape:
        return self.all

    def launch(self, text: Text, lanes: Tensor, fresh: Tensor | None, room: Tensor, pointers: Sequence[Tensor]) -> None:
        drive = driver(self.changed(text.text), text.memory.shared)
        drive.argtypes = [ctypes.c_void_p, ctypes.c_int64, ctypes.c_uint64, ctypes.c_int64]
        arrived = lanes.new_zeros(1)
        numbers = addresses(lanes, fresh, room, arrived, pointers)
        given = (ctypes.c_uint64 * len(numbers))(*numbers)
        self.launches += 1
        wrong = drive(given, text.shape.blocks_for(len(lanes)), self.launches, len(room))
        if wrong:
            raise WrongThreads(PROBLEMS[wrong])


def driver(text: str, shared: int) -> Any:
    """The function that runs a text, which needs this many bytes of shared memory."""
    return load("\n".join([AROUND, text, "#define DRIVER", f"#define SHARED {shared}", AROUND]), "drive").drive


def engine(machine: OnCpu | None = None) -> Planned:
    """Engine ``cuda`` on a CPU."""
    return Planned("cuda", CudaLoop(machine or OnCpu()))
