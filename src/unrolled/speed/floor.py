"""What the machine can do at most: the rate of a large matrix product, and how fast weights can be read over and over.

Both are measured in the same run as what they are the floor of. A pass can be faster than neither the multiplications
of its matrix products nor, where a step has few rows, the reading of the weights that every step needs.
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
from .point import Point


@dataclass(frozen=True)
class Work:
    """What a pass over one step of one row has to do at least."""

    multiply_adds: int  # of all matrix products
    weights: int  # bytes of the matrices that meet the state, which every step reads
    reads: int  # how often it reads them: forward, and backward


def work(point: Point) -> Work:
    """Counted in the circuit's own graph. Training multiplies with each matrix once forward, once for the gradient of
    the matrix, and once for that of what it multiplies, unless that is made of inputs alone."""
    recurrence = ALL[point.cell].recurrence
    sizes = bind(recurrence, point.sizes)
    fed = _from_states(recurrence)
    total = weights = 0
    for node in recurrence.nodes:
        if node.op == "matvec":
            matrix, v = node.args
            entries = matrix.type.entries(sizes)
            total += entries * ((3 if v in fed else 2) if point.training else 1)
            weights += 4 * entries if v in fed else 0
    return Work(total, weights, 2 if point.training else 1)


def _from_states(recurrence: Recurrence) -> set[Node]:
    found: set[Node] = set(recurrence.states.values())
    for node in recurrence.nodes:
        if not found.isdisjoint(node.args):
            found.add(node)
    return found


def matrix_rate(n: int = 1024) -> float:
    """Multiply-adds per second of one product of n × n matrices in float32, with torch's threads."""
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
    """Bytes per second when ``size`` bytes are read over and over, each thread its own part of them: from the cache
    that they fit into, or from memory. None without a C compiler."""
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
    """Seconds that a pass takes at least, by either bound; the larger of them counts."""

    products: float
    reading: float | None  # None where it is not known

    @property
    def seconds(self) -> float:
        return max(self.products, self.reading or 0.0)

    @property
    def bound(self) -> str:
        return "products" if self.products >= (self.reading or 0.0) else "reading"


def floor(point: Point, rate: float) -> Floor:
    """The floor of a point, at the rate of a matrix product that was measured beside it."""
    need = work(point)
    bandwidth = read_bandwidth(need.weights, point.threads)
    reading = point.steps * need.reads * need.weights / bandwidth if bandwidth else None
    return Floor(point.steps * point.batch * need.multiply_adds / rate, reading)
