"""Tools for testing circuits, the library's and your own: comparison, exact gradients, random circuits."""

from .compare import TOLERANCES, assert_close, relative_error
from .gradients import check_gradients, complex_step, engine_gradients

__all__ = [
    "TOLERANCES",
    "assert_close",
    "check_gradients",
    "complex_step",
    "engine_gradients",
    "relative_error",
]
