"""Tools for testing circuits, the library's and your own: comparison, exact gradients, random circuits."""

from .compare import TOLERANCES, assert_close, relative_error
from .gradients import check_gradients, complex_step, values_and_gradients

__all__ = [
    "TOLERANCES",
    "assert_close",
    "check_gradients",
    "complex_step",
    "relative_error",
    "values_and_gradients",
]
