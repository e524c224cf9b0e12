"""C functions that all passes share, compiled once."""

from __future__ import annotations

import ctypes
from functools import cache

from .build import load
from .render import part

I64, P = ctypes.c_int64, ctypes.c_void_p
PRODUCTS = (
    *("product", "product_direct", "product_turned", "pack", "digest_all", "has_digest", "digest_size"),
    *("launch", "launch_bound", "assist", "hire", "crew_size"),
)
SUMS = ("outer_scratch", "outer_sums", "scatter_sum")


@cache
def products(double: bool) -> ctypes.CDLL:
    """Products, the packing and digests of matrices, and the launch of passes on several threads."""
    library = _compiled(double, ("prelude", "crew", "products", "launch"), PRODUCTS)
    library.digest_all.argtypes, library.digest_all.restype = [I64, P, P, P], None
    library.has_digest.argtypes, library.digest_size.restype = [I64, P, P, P], I64
    library.pack.argtypes = [P, *[I64] * 4, P]
    library.launch.argtypes, library.launch.restype = [P, P, P, P, ctypes.c_int, ctypes.c_int, P, P, P, I64], None
    library.launch_bound.argtypes, library.launch_bound.restype = [P, P, P, P], None
    library.assist.argtypes, library.assist.restype = [P, ctypes.c_int], None
    library.hire.argtypes, library.crew_size.restype = [P, ctypes.c_int], I64
    return library


@cache
def sums(double: bool) -> ctypes.CDLL:
    """Sums over time, for the gradients of parameters."""
    library = _compiled(double, ("prelude", "crew", "sums"), SUMS)
    library.outer_scratch.argtypes, library.outer_scratch.restype = [P, I64, I64], I64
    library.outer_sums.argtypes = [P, ctypes.c_int, P, I64, P, I64, P, I64]
    library.scatter_sum.argtypes = [P, P, P, I64, P, P]
    return library


def _compiled(double: bool, parts: tuple[str, ...], functions: tuple[str, ...]) -> ctypes.CDLL:
    return load("\n".join([*(["#define REAL_IS_DOUBLE"] if double else []), *map(part, parts)]), *functions)


def address(function: object) -> int:
    """The address of a loaded function."""
    return ctypes.cast(function, P).value or 0  # type: ignore[arg-type]
