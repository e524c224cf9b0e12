"""Lower bounds on the time of a pass, from two limits of the machine, measured in the same run as the contestants.

A pass takes at least as long as the multiplications of its matrix products, at the rate of one large product. It also
takes at least as long as reading its recurrent weights at every step, which is the larger bound for small batches.
"""

from __future__ import annotations

import ctypes
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache

import torch

from ..cells import ALL
from ..engines.c.build import compiler, load
from ..graph.bind import bind
from ..graph.node import Node
from ..graph.recurrence import Recurrence
from .point import ROWS, Point


@dataclass(frozen=True)
class Work:
    """The least work of a pass over one step of one row."""

    multiply_adds: int  # in all matrix products
    weights: int  # bytes of the matrices that multiply the state, which every step reads
    reads: int  # how often each step reads them: once forward, once backward


def work(point: Point) -> Work:
    """Count the work of a point in the circuit's own graph.

    Training multiplies by each matrix once forward, once for the gradient of the matrix, and once for the gradient of
    its operand, unless that operand depends on inputs only.
    """
    recurrence = ALL[point.cell].recurrence
    sizes = bind(recurrence, point.sizes) | {"M.rows": ROWS[0]}  # the fewest rows of a memory
    fed = _from_states(recurrence)
    total = weights = 0
    for node in recurrence.nodes:
        if node.op == "matvec":
            matrix, v = node.args
            entries = matrix.type.entries(sizes)
            total += entries * ((3 if v in fed else 2) if point.training else 1)
            weights += 4 * entries if v in fed and matrix.op == "parameter" else 0
    return Work(total, weights, 2 if point.training else 1)


def _from_states(recurrence: Recurrence) -> set[Node]:
    found: set[Node] = set(recurrence.states.values())
    for node in recurrence.nodes:
        if not found.isdisjoint(node.args):
            found.add(node)
    return found


def matrix_rate(n: int = 1024) -> float:
    """Multiply-adds per second of one product of two n × n matrices in float32, with torch's threads."""
    a, b, out = _matrices(n)
    start = time.perf_counter()
    torch.mm(a, b, out=out)
    return n**3 / (time.perf_counter() - start)


@cache
def _matrices(n: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    return torch.randn(n, n), torch.randn(n, n), torch.empty(n, n)


READ = """
#if defined __AVX512F__
#define WIDTH 64
#elif defined __AVX__
#define WIDTH 32
#else
#define WIDTH 16
#endif
enum { LANES = WIDTH / 4, SUMS = 12, BLOCK = LANES * SUMS };
typedef float vec __attribute__((vector_size(WIDTH), aligned(4)));

float read_all(const float *data, long count, long times)
{
    vec sum[SUMS] = {{0}};
    for (long k = 0; k < times; k++) {
        for (long i = 0; i + BLOCK <= count; i += BLOCK)
            for (int j = 0; j < SUMS; j++) sum[j] += *(const vec *)(data + i + LANES * j);
        __asm__ volatile("" ::: "memory");  /* so that each time is read again */
    }
    float total = 0;
    for (int j = 0; j < SUMS; j++)
        for (int l = 0; l < LANES; l++) total += sum[j][l];
    return total;
}
"""


@cache
def read_bandwidth(size: int, threads: int = 1) -> float | None:
    """Bytes per second when ``size`` bytes are read repeatedly: from the cache that they fit into, or from memory.

    Each thread reads a part of its own. None without a C compiler.
    """
    if compiler() is None:
        return None
    read_all = load(READ, "read_all").read_all
    read_all.restype = ctypes.c_float
    count = max(192, size // 4 // threads // 192 * 192)  # whole blocks of any vector width
    times = max(2, 64_000_000 // (4 * count))
    parts = [torch.zeros(count) for _ in range(threads)]

    def read(part: torch.Tensor) -> None:
        read_all(ctypes.c_void_p(part.data_ptr()), ctypes.c_long(count), ctypes.c_long(times))

    rates = []
    with ThreadPoolExecutor(threads) as pool:
        for _ in range(5):
            start = time.perf_counter()
            list(pool.map(read, parts))
            rates.append(4 * count * times * threads / (time.perf_counter() - start))
    return max(rates)


@dataclass(frozen=True)
class Floor:
    """Two lower bounds on the seconds of a pass. The larger one counts."""

    products: float
    reading: float | None  # None if it could not be measured

    @property
    def seconds(self) -> float:
        """The larger bound."""
        return max(self.products, self.reading or 0.0)

    @property
    def bound(self) -> str:
        """Which bound is larger: 'products' or 'reading'."""
        return "products" if self.products >= (self.reading or 0.0) else "reading"


def floor(point: Point, rate: float) -> Floor:
    """The floor of a point.

    Args:
        point: the point of the table.
        rate: multiply-adds per second of a large matrix product, measured in the same run.
    """
    need = work(point)
    bandwidth = read_bandwidth(need.weights, point.threads)
    reading = point.steps * need.reads * need.weights / bandwidth if bandwidth else None
    return Floor(point.steps * point.batch * need.multiply_adds / rate, reading)
