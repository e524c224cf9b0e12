"""The front door: ``@circuit`` turns a function of equations into a Circuit, from which every view is taken."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any, NoReturn, overload

from ..draw.drawing import Drawing, draw_recurrence
from ..errors import CircuitError, did_you_mean
from ..graph.bind import bind, shapes
from ..graph.equations import equations
from ..graph.notation import Format
from ..graph.recurrence import Recurrence
from ..graph.stored import as_text, from_text
from ..plan.explain import explain
from ..plan.plan import Plan, make_plan
from ..transform.differentiate import differentiate, direct, loss_on
from ..transform.gradient_equations import gradient_equations
from ..transform.restrict import fed
from ..transform.unfold import unfold
from .initial import Packed, Start, default, fill, is_start, kept, packed, unpacked
from .read import read
from .trace import Symbol, Trace
from .unfolded import Graph

if TYPE_CHECKING:
    from torch import Tensor


class Circuit:
    """A recurrence, written once as its equations.

    ``circuit.equations()`` prints them, ``.adjoint()`` derives back-propagation through time, ``.unfold(n)`` writes
    n steps out, ``.draw()`` draws it, and ``Recurrent(circuit, x=..., h=...)`` runs it.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        recurrence: Recurrence,
        init: Mapping[str, Start] | None = None,
    ) -> None:
        self.function = function
        self.recurrence = recurrence
        self.init = dict(init or {})
        self._sized: dict[frozenset[str], Circuit] = {}
        self.__name__ = recurrence.name
        self.__doc__ = function.__doc__
        self.__module__ = function.__module__

    @classmethod
    def stored(cls, recurrence: Recurrence, init: Mapping[str, Start] | None = None, doc: str | None = None) -> Circuit:
        """A circuit that was read as data. It has equations, but no Python function to be used in another circuit."""
        made = cls(_no_function, recurrence, init)
        made.__doc__ = doc
        return made

    @property
    def name(self) -> str:
        return self.recurrence.name

    @cached_property
    def inputs(self) -> tuple[str, ...]:
        return tuple(self.recurrence.inputs)

    @cached_property
    def states(self) -> tuple[str, ...]:
        return tuple(self.recurrence.states)

    @cached_property
    def outputs(self) -> tuple[str, ...]:
        return tuple(self.recurrence.outputs)

    @cached_property
    def parameters(self) -> tuple[str, ...]:
        return tuple(self.recurrence.parameters)

    @property
    def constants(self) -> tuple[str, ...]:
        """Of the parameters, those that are not trained."""
        return self.recurrence.constants

    def shapes(self, **sizes: int) -> dict[str, tuple[int, ...]]:
        """The shape of every parameter: ``elman.shapes(x=3, h=4, o=2)["W"] == (4, 4)``."""
        recurrence = self.sized(sizes).recurrence
        return shapes(recurrence, bind(recurrence, sizes))

    def sized(self, names: Iterable[str]) -> Circuit:
        """The same equations with sizes for these names. A state that could be a scalar or a vector, as in
        ``h = tanh(h + mean(x))``, is a vector where a size is given for it, else a scalar."""
        vectors = frozenset(n for n in names if n in self.states and not self.recurrence.states[n].type.dims)
        if not vectors or self.function is _no_function:
            return self
        if vectors not in self._sized:
            self._sized[vectors] = Circuit(self.function, read(self.function, self.constants, vectors), self.init)
        return self._sized[vectors]

    def initialise(self, name: str, parameter: Tensor) -> None:
        """Fill a parameter in place with its starting values: those of an array, or drawn from torch's generator."""
        import torch

        start = self.init.get(name, default)
        with torch.no_grad():
            start(parameter) if callable(start) else fill(parameter, start, f"'{name}' of circuit '{self.name}'")

    def equations(self, format: Format = "text") -> str:
        """The equations of a step, one line per named value; format is 'text' or 'latex'."""
        _check_format(format)
        return equations(self.recurrence, format)

    def adjoint(self, of: str | tuple[str, ...] | None = None) -> Adjoint:
        """Back-propagation through time, derived: a circuit that runs backward.

        of: the returned values on which the loss depends directly. Unless named, that is 'L' if the circuit returns
        a scalar L (the total loss is then its sum over steps), else 'o' if it returns that, else its outputs, else
        its first state.
        """
        recurrence = self.recurrence
        if of is None:
            of = loss_on(recurrence)
        names = (of,) if isinstance(of, str) else tuple(of)
        for name in names:
            if name not in recurrence.returns:
                hint = did_you_mean(name, recurrence.returns) or f". It returns {', '.join(recurrence.returns)}"
                raise CircuitError(f"circuit '{self.name}' does not return '{name}'{hint}")
        return Adjoint(differentiate(recurrence, names))

    def unfold(self, steps: int) -> Graph:
        """The recurrence written out for a number of steps as one acyclic graph, each parameter present once.

        An autonomous circuit starts from its state at time 1, any other from its state at time 0.
        """
        return Graph(unfold(self.recurrence, _steps(self.recurrence, steps)))

    def plan(self, given: Iterable[str] = ()) -> PlanView:
        """How the circuit is run over a sequence: what leaves the loop over time, and what stays in it.

        given: states that are fed from outside (teacher forcing).
        """
        names = (given,) if isinstance(given, str) else tuple(given)
        for name in names:
            if name not in self.states:
                hint = did_you_mean(name, self.states) or f". Its states are {', '.join(self.states)}"
                raise CircuitError(f"circuit '{self.name}' has no state '{name}'{hint}")
        return PlanView(make_plan(fed(self.recurrence, names) if names else self.recurrence))

    def draw(self, steps: int = 3, *, gates: bool = True, gradient: bool = False) -> Drawing:
        """The circuit diagram, and beside it the graph unfolded for a number of steps.

        gates: False folds everything between inputs, states and outputs into the arrows.
        gradient: also the arrows along which the gradient flows back in time.
        """
        return draw_recurrence(self.recurrence, _steps(self.recurrence, steps), gates, gradient)

    def __call__(self, *args: Symbol, **kwargs: Symbol) -> Any:
        """Inside another circuit: the same equations on other symbols."""
        if not any(isinstance(a, Symbol) for a in (*args, *kwargs.values())):
            raise CircuitError(
                f"circuit '{self.name}' is a set of equations, not a network. "
                f"Make a network with unrolled.Recurrent({self.name}, ...) and call that"
            )
        return self.function(*args, **kwargs)

    def __copy__(self) -> Circuit:
        return self

    def __deepcopy__(self, memo: object) -> Circuit:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        """The equations, as text. A circuit that its module holds under its name is looked up there when it is loaded,
        and taken if its equations are still the same."""
        module, name = self.__module__, self.function.__qualname__
        place = (module, name) if _held(sys.modules.get(module), name) is self else None
        return _restored, (place, as_text(self.recurrence), self.__doc__, packed(self.init))

    def __repr__(self) -> str:
        return f"<circuit {self.name}({', '.join((*self.inputs, *self.states))}; {', '.join(self.parameters)})>"

    def _repr_html_(self) -> str:
        return self.draw().svg


class PlanView:
    """The plan of a circuit, to be read."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan

    def explain(self) -> str:
        """In words: what is computed once, before the loop, in it and after it, forward and backward."""
        return explain(self.plan)

    def __reduce__(self) -> tuple[Any, ...]:
        return _plan_again, (as_text(self.plan.step),)

    def __repr__(self) -> str:
        return f"<plan of {self.plan.step.name}>"


class Adjoint:
    """The derived backward pass of a circuit: one step, running backward in time, and the sums over time."""

    def __init__(self, recurrence: Recurrence) -> None:
        self.recurrence = recurrence

    def equations(self, format: Format = "text", *, last_only: bool = False, inputs: bool = False) -> str:
        """The gradient equations in the order of computation.

        last_only: for a loss at the last step alone (read everything, answer once).
        inputs: also the gradients of the inputs.
        """
        _check_format(format)
        return gradient_equations(self.recurrence, format, last_only=last_only, inputs=inputs)

    def draw(self, steps: int = 3, *, gates: bool = True) -> Drawing:
        """The circuit and its unfolded graph, with the arrows along which these equations send the gradient back.

        >>> unrolled.cells.elman.adjoint().draw(4)
        <drawing: Circuit elman and its graph unfolded for 4 steps.>
        """
        assert self.recurrence.primal is not None
        return draw_recurrence(self.recurrence.primal, _steps(self.recurrence.primal, steps), gates, gradient=True)

    def _repr_svg_(self) -> str:
        return self.draw().svg

    def __reduce__(self) -> tuple[Any, ...]:
        assert self.recurrence.primal is not None
        primal, inputs = self.recurrence.primal, self.recurrence.inputs
        return _adjoint_again, (as_text(primal), tuple(n for n in primal.returns if direct(n) in inputs))

    def __repr__(self) -> str:
        return f"<adjoint of {self.recurrence.primal.name if self.recurrence.primal else '?'}>"


def _steps(recurrence: Recurrence, steps: int) -> int:
    least = 1 if recurrence.inputs else 2
    if not isinstance(steps, int) or isinstance(steps, bool) or steps < least:
        raise CircuitError(f"the number of steps to unfold '{recurrence.name}' must be {least} or more, got {steps!r}")
    return steps


def _no_function(*args: Any, **kwargs: Any) -> NoReturn:
    """In the place of the function of a circuit that was read as data."""
    raise CircuitError("a circuit that was loaded from a file cannot be called inside another circuit")


# from a pickle


def _held(module: object, name: str) -> object:
    """What a module holds under a name such as ``cell`` or ``Cells.cell``; None for nothing."""
    found = module
    for part in name.split("."):
        found = getattr(found, part, None)
    return found


def _restored(place: tuple[str, str] | None, text: str, doc: str | None, init: Packed) -> Circuit:
    recurrence = from_text(text)
    if place is not None:
        try:
            found = _held(import_module(place[0]), place[1])
        except Exception:  # whatever a module does when it is imported; the equations are here
            found = None
        if isinstance(found, Circuit) and as_text(found.recurrence) == as_text(recurrence):
            return found
    return Circuit.stored(recurrence, unpacked(init), doc)


def _adjoint_again(text: str, of: tuple[str, ...]) -> Adjoint:
    return Adjoint(differentiate(from_text(text), of))


def _plan_again(text: str) -> PlanView:
    return PlanView(make_plan(from_text(text)))


@overload
def circuit(function: Callable[..., Any], /) -> Circuit: ...
@overload
def circuit(
    *, init: Mapping[str, Start] | None = None, constant: Iterable[str] | Mapping[str, Start] = ()
) -> Callable[[Callable[..., Any]], Circuit]: ...
def circuit(
    function: Callable[..., Any] | None = None,
    /,
    *,
    init: Mapping[str, Start] | None = None,
    constant: Iterable[str] | Mapping[str, Start] = (),
) -> Any:
    """Read a function as the equations of a recurrent step.

    Positional arguments are what flows in at a step; one that is also returned is a state (the argument is its value
    at t-1, the returned entry its value at t), the others are inputs. Keyword-only arguments without a default are
    parameters, shared by all steps; those with a default are constants. Returned names that are no arguments are
    outputs.

    >>> @circuit
    ... def elman(x, h, *, U, W, b, V, c):
    ...     h = tanh(b + W @ h + U @ x)
    ...     o = c + V @ h
    ...     return {"h": h, "o": o}
    >>> elman.shapes(x=3, h=4, o=2)["U"]
    (4, 3)

    Args:
        function: the equations, as a Python function without data-dependent control flow.
        init: how parameters start, by name: functions that fill a tensor, or arrays (tensors, numpy arrays, nested
            lists): ``@circuit(init={"W": orthogonal(), "b": [0.0, 1.0]})``.
        constant: parameters that are not trained, but saved and moved with the others, such as masks: their names, with
            values in ``init``, or names and values: ``@circuit(constant={"M": mask})``.

    Raises:
        CircuitError: at the user's file and line, for equations that do not make sense.
    """
    if function is None:
        return lambda f: circuit_of(f, init or {}, constant)
    return circuit_of(function, init or {}, constant)


def circuit_of(
    function: Callable[..., Any], init: Mapping[str, Start], constant: Iterable[str] | Mapping[str, Start] = ()
) -> Circuit:
    constants = tuple(constant) if isinstance(constant, Iterable) and not isinstance(constant, str) else (constant,)
    values = dict(constant) if isinstance(constant, Mapping) else {}
    recurrence = read(function, constants)

    def refuse(message: str) -> NoReturn:
        raise CircuitError(message, Trace(function, recurrence.name).definition())

    for word, names in (("init", init), ("constant", constants)):
        for name in names:
            if not isinstance(name, str) or name not in recurrence.parameters:
                hint = did_you_mean(str(name), recurrence.parameters)
                refuse(f"{word}= names '{name}', which is not a parameter{hint}")
    for name in constants:
        if name not in init and name not in values:
            refuse(f"constant '{name}' has no value. Give it one: constant={{\"{name}\": array}}")
        if name in init and name in values:
            refuse(f"constant '{name}' has two values, one in init= and one in constant=. Remove one of them")
    starts = {**init, **values}
    for name, start in starts.items():
        if not is_start(start):
            refuse(
                f"the starting value of '{name}' must be an array (a tensor, a numpy array or nested lists) or a "
                f"function that fills a tensor, such as orthogonal() or constant(0.5); got {start!r}"
            )
    return Circuit(function, recurrence, {name: kept(start) for name, start in starts.items()})


def _check_format(format: str) -> None:
    if format not in ("text", "latex"):
        raise CircuitError(f"format must be 'text' or 'latex', got {format!r}{did_you_mean(format, ('text', 'latex'))}")
