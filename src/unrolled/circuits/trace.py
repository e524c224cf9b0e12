"""Tracing: calls the user's function once with symbols, which record every operation on them and its line.

A symbol has no size and no rank yet: ``W @ h`` is just ``W @ h``. ``circuits/resolve.py`` turns the recording into
typed nodes.
"""

from __future__ import annotations

import linecache
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from traceback import walk_tb
from types import FrameType
from typing import Any, NoReturn

from ..errors import CircuitError, SourceLine
from ..graph.language import FUNCTIONS
from .advice import advice

_HERE = str(Path(__file__).parent)
_ENTER = "Pass tensors to a circuit as arguments: inputs before the '*', parameters after it"


class Symbol:
    """A value inside a circuit: an operation and its arguments."""

    __array_ufunc__ = None  # tells numpy not to handle it

    def __init__(self, trace: Trace, op: str, args: tuple[Symbol, ...], attrs: dict[str, Any]) -> None:
        self._trace, self._op, self._args, self._attrs = trace, op, args, attrs
        self._source = trace.here()
        self._index = trace.recorded = trace.recorded + 1

    # arithmetic
    def __add__(self, other: object) -> Symbol:
        return record("add", self, other)

    def __radd__(self, other: object) -> Symbol:
        return record("add", other, self)

    def __sub__(self, other: object) -> Symbol:
        return record("sub", self, other)

    def __rsub__(self, other: object) -> Symbol:
        return record("sub", other, self)

    def __mul__(self, other: object) -> Symbol:
        return record("mul", self, other)

    def __rmul__(self, other: object) -> Symbol:
        return record("mul", other, self)

    def __truediv__(self, other: object) -> Symbol:
        return record("div", self, other)

    def __rtruediv__(self, other: object) -> Symbol:
        return record("div", other, self)

    def __matmul__(self, other: object) -> Symbol:
        return record("matmul", self, other)

    def __rmatmul__(self, other: object) -> Symbol:
        return record("matmul", other, self)

    def __neg__(self) -> Symbol:
        return record("neg", self)

    def __abs__(self) -> Symbol:
        return record("abs", self)

    def __pow__(self, power: object) -> Symbol:
        if not isinstance(power, int) or power < 1:
            self._refuse(f"'**' takes a positive integer, got {power!r}. For other powers, write exp(p * log(x))")
        result = self
        for _ in range(power - 1):
            result = result * self
        return result

    @property
    def T(self) -> Symbol:
        """The transpose of a matrix."""
        return record("transpose", self)

    # comparisons
    def __lt__(self, other: object) -> Symbol:
        return record("less", self, other)

    def __le__(self, other: object) -> Symbol:
        return record("less_equal", self, other)

    def __gt__(self, other: object) -> Symbol:
        return record("less", other, self)

    def __ge__(self, other: object) -> Symbol:
        return record("less_equal", other, self)

    def __eq__(self, other: object) -> Symbol:  # type: ignore[override]
        return record("equal", self, other)

    def __ne__(self, other: object) -> Symbol:  # type: ignore[override]
        self._refuse("'!=' is not supported for symbols. Write where(a == b, ...) and swap the branches")

    __hash__ = object.__hash__

    # what a symbol does not support
    def _refuse(self, message: str) -> NoReturn:
        raise CircuitError(message, self._trace.here())

    def __bool__(self) -> NoReturn:
        self._refuse(
            "a symbol has no truth value when the circuit is defined: it differs from step to step. "
            "Instead of 'if', 'and' or 'or', write where(condition, a, b). "
            "Instead of Python's max(a, b) and min(a, b), write maximum(a, b) and minimum(a, b)"
        )

    def __iter__(self) -> NoReturn:
        self._refuse(
            "a symbol cannot be iterated over. To split it into n equal pieces, write split(a, n). Instead of Python's "
            "sum(x), max(x) and min(x), write unrolled.sum(x), unrolled.max(x) and unrolled.min(x)"
        )

    def __len__(self) -> NoReturn:
        self._refuse("a symbol has no length yet: you choose sizes when you make the network, Recurrent(cell, h=...)")

    def __getitem__(self, index: object) -> NoReturn:
        self._refuse("a symbol cannot be indexed. To split it into n equal pieces, write split(a, n)")

    def __float__(self) -> NoReturn:
        self._refuse(
            "a symbol has no value yet, so it cannot become a number. Use the functions of unrolled instead of math"
        )

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):
            raise AttributeError(name)
        self._refuse(f"a symbol has no attribute '{name}'. {advice(name, FUNCTIONS)}")

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> NoReturn:
        from torch import Tensor

        given = [*args, *(kwargs or {}).values()]
        given += [v for a in given if isinstance(a, (list, tuple)) for v in a]  # cat([a, b]) takes a list
        symbol = next((a for a in given if isinstance(a, Symbol)), None)
        name = getattr(func, "__name__", str(func))
        if any(isinstance(a, Tensor) for a in given):
            message = f"'{name}' combines a tensor with a symbol. {_ENTER}"
        else:
            message = f"torch's '{name}' does not work on symbols. {advice(name, FUNCTIONS)}"
        raise CircuitError(message, symbol._trace.here() if symbol is not None else None)


class Trace:
    """The reading of one user function: finds the file, the line and the text for messages."""

    def __init__(self, function: Callable[..., Any], name: str) -> None:
        self.name = name
        self.code = function.__code__
        self.recorded = 0

    def here(self) -> SourceLine:
        """The user's line that is being executed: the innermost frame outside this room and tensor libraries."""
        frame: FrameType | None = sys._getframe(1)
        while frame is not None and _is_not_the_users(frame):
            frame = frame.f_back
        if frame is None:
            return self.at(self.code.co_filename, self.code.co_firstlineno)
        return self.at(frame.f_code.co_filename, frame.f_lineno)

    def raised(self, problem: Exception) -> SourceLine:
        """The user's line that raised an error."""
        frames = [(frame, line) for frame, line in walk_tb(problem.__traceback__) if not _is_not_the_users(frame)]
        frame, line = frames[-1]
        return self.at(frame.f_code.co_filename, line)

    def at(self, file: str, line: int) -> SourceLine:
        """The place in a message for a line of a file."""
        text = linecache.getline(file, line).strip()
        return SourceLine(os.path.basename(file), line, text, self.name)

    def definition(self) -> SourceLine:
        """The line of the ``def``."""
        file, first = self.code.co_filename, self.code.co_firstlineno
        for line in range(first, first + 20):
            if linecache.getline(file, line).lstrip().startswith("def "):
                return self.at(file, line)
        return self.at(file, first)


def _is_not_the_users(frame: FrameType) -> bool:
    package = frame.f_globals.get("__name__", "").partition(".")[0]
    return frame.f_code.co_filename.startswith(_HERE) or package in ("torch", "numpy", "einops")


def record(op: str, *args: object, **attrs: Any) -> Symbol:
    """The symbol for ``op`` applied to symbols and numbers.

    Raises:
        CircuitError: an argument is neither a symbol of this circuit nor a number.
    """
    trace = next((a._trace for a in args if isinstance(a, Symbol)), None)
    if trace is None:
        raise CircuitError(f"'{op}' needs at least one symbol of a circuit among its arguments, got {args!r}")
    return Symbol(trace, op, tuple(_symbol(trace, op, a) for a in args), attrs)


def _symbol(trace: Trace, op: str, value: object) -> Symbol:
    if isinstance(value, Symbol):
        if value._trace is not trace:
            raise CircuitError(
                f"a symbol of circuit '{value._trace.name}' is used inside circuit '{trace.name}'. "
                "Pass it as an argument",
                trace.here(),
            )
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        try:
            return Symbol(trace, "constant", (), {"value": float(value)})
        except OverflowError:
            raise CircuitError(
                f"an operand of '{op}' is an integer with more than 308 digits, too large for a float. "
                "For infinity, write math.inf",
                trace.here(),
            ) from None
    given = f"{type(value).__module__}.{type(value).__qualname__}".removeprefix("builtins.")
    raise CircuitError(
        f"an operand of '{op}' must be a symbol or a number, got {given}. {_ENTER}",
        trace.here(),
    )


@dataclass(frozen=True)
class Recording:
    """The result of a traced call: the returned dictionary, and the local variables when it returned."""

    returned: Any
    local: dict[str, Any]


def run(function: Callable[..., Any], args: list[Symbol], kwargs: dict[str, Symbol]) -> Recording:
    """Call the function and record its local variables, which are the user's names for intermediate values."""
    local: dict[str, Any] = {}

    def watch(frame: FrameType, event: str, arg: object) -> None:
        if event == "return" and frame.f_code is function.__code__:
            local.clear()
            local.update(frame.f_locals)

    before = sys.getprofile()
    sys.setprofile(watch)
    try:
        returned = function(*args, **kwargs)
    except TypeError as problem:  # from int(h), h % 2 or numpy.tanh(h), for example
        symbol = next(iter((*args, *kwargs.values())), None)
        if "Symbol" not in str(problem) or symbol is None:
            raise
        known = f"Equations can use + - * / @ **, comparisons, and {', '.join(FUNCTIONS)}"
        raise CircuitError(
            f"this does not work on symbols: {problem}. {known}", symbol._trace.raised(problem)
        ) from None
    finally:
        _restore(before)
    return Recording(returned, local)


def _restore(profiler: Any) -> None:
    """Restore the previous profiler. Those of cProfile are objects with a method ``enable``, not functions."""
    if hasattr(profiler, "enable"):
        profiler.enable()
    else:
        sys.setprofile(profiler)
