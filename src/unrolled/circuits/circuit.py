"""The front door: ``@circuit`` turns a function of equations into a Circuit, which offers all views of them."""

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
from ..graph.node import TOKEN
from ..graph.notation import Format
from ..graph.recurrence import Recurrence
from ..graph.stored import as_text, from_text
from ..plan.plan import Plan, make_plan
from ..transform.differentiate import differentiate, loss_on
from ..transform.restrict import fed
from ..transform.tangent import movable, tangent
from ..transform.unfold import unfold
from .adjoint import Adjoint, check_format, check_steps
from .initial import Packed, Start, constant, default, fill, is_start, kept, packed, unpacked
from .read import read
from .trace import Symbol, Trace
from .unfolded import Graph

if TYPE_CHECKING:
    from torch import Tensor


class Circuit:
    """A recurrence, written once as its equations. Make one with ``@circuit``.

    ``circuit.equations()`` prints the equations, ``.adjoint()`` derives back-propagation through time, ``.unfold(n)``
    unfolds n steps, ``.draw()`` draws the circuit, and ``Recurrent(circuit, x=..., h=...)`` is a network that runs it.
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
        """A circuit loaded from data. Without a Python function, it cannot be called inside another circuit."""
        made = cls(_no_function, recurrence, init)
        made.__doc__ = doc
        return made

    @property
    def name(self) -> str:
        """The name of the function."""
        return self.recurrence.name

    @cached_property
    def inputs(self) -> tuple[str, ...]:
        """The names of the inputs."""
        return tuple(self.recurrence.inputs)

    @cached_property
    def states(self) -> tuple[str, ...]:
        """The names of the states."""
        return tuple(self.recurrence.states)

    @cached_property
    def outputs(self) -> tuple[str, ...]:
        """The names of the returned values that are not states."""
        return tuple(self.recurrence.outputs)

    @cached_property
    def parameters(self) -> tuple[str, ...]:
        """The names of the parameters, including the constants."""
        return tuple(self.recurrence.parameters)

    @property
    def constants(self) -> tuple[str, ...]:
        """The names of the parameters that are not trained."""
        return self.recurrence.constants

    def shapes(self, **sizes: int) -> dict[str, tuple[int, ...]]:
        """The shape of every parameter, by name.

        >>> unrolled.cells.elman.shapes(x=3, h=4, o=2)["U"]
        (4, 3)

        Args:
            sizes: the sizes of inputs, states, outputs or other named values.

        Raises:
            CircuitError: a size is missing, unknown or contradicts the equations.
        """
        recurrence = self.sized(sizes).recurrence
        return shapes(recurrence, bind(recurrence, sizes))

    def sized(self, names: Iterable[str]) -> Circuit:
        """The same circuit when the user gives sizes for these names. A state that could be a scalar or a vector, as in
        ``h = tanh(h + mean(x))``, is a vector if it has a size and a scalar otherwise."""
        vectors = frozenset(n for n in names if n in self.states and not self.recurrence.states[n].type.dims)
        if not vectors or self.function is _no_function:
            return self
        if vectors not in self._sized:
            again = read(self.function, self.constants, vectors, self.recurrence.fixed)
            self._sized[vectors] = Circuit(self.function, again, self.init)
        return self._sized[vectors]

    def initialise(self, name: str, parameter: Tensor) -> None:
        """Fill a parameter in place with its starting values. Random values come from torch's generator.

        Args:
            name: the parameter.
            parameter: the tensor to fill, (rows, columns), (size,) or (1,), as ``shapes`` gives it.

        Raises:
            CircuitError: the starting value is an array of another shape.
        """
        import torch

        start = self.init.get(name, default)
        with torch.no_grad():
            start(parameter) if callable(start) else fill(parameter, start, f"'{name}' of circuit '{self.name}'")

    def equations(self, format: Format = "text") -> str:
        """The equations of a step, one line per named value.

        >>> print(unrolled.cells.rnn.equations())
        h(t) = tanh(b + W h(t-1) + U x(t))

        Args:
            format: 'text' or 'latex'.
        """
        check_format(format)
        return equations(self.recurrence, format)

    def adjoint(self, of: str | tuple[str, ...] | None = None) -> Adjoint:
        """Derive back-propagation through time: a recurrence that runs backward.

        >>> unrolled.cells.rnn.adjoint()
        <adjoint of rnn>

        Args:
            of: the returned values on which the loss depends directly. By default: 'L' if the circuit returns a scalar
                L (the total loss is then its sum over steps), or else 'o' if it returns that, or else its outputs, or
                else its first state.

        Raises:
            CircuitError: the circuit does not return such a value.
        """
        recurrence = self.recurrence
        if of is None:
            of = loss_on(recurrence)
        names = (of,) if isinstance(of, str) else tuple(of)
        for name in names:
            if name not in recurrence.returns:
                hint = did_you_mean(name, recurrence.returns) or f". It returns {', '.join(recurrence.returns)}"
                raise CircuitError(f"circuit '{self.name}' does not return '{name}'{hint}")
            if recurrence.returns[name].type.kind == TOKEN:
                raise CircuitError(f"'{name}' of circuit '{self.name}' is a token, through which no gradient flows")
        return Adjoint(differentiate(recurrence, names))

    def tangent(self, of: Iterable[str] | None = None) -> Circuit:
        """Derive forward-mode differentiation: a circuit that computes each value and its derivative in one direction.

        For each input x, the tangent also has an input ẋ; for each state h a state ḣ; and for each parameter W a
        parameter Ẇ, which starts at zero.

        >>> print(unrolled.cells.rnn.tangent(of=["x"]).equations())
        h(t) = tanh(b + W h(t-1) + U x(t))
        ḣ(t) = (1 - h(t)²) ⊙ (W ḣ(t-1) + U ẋ(t))

        Args:
            of: the inputs and parameters that have a tangent (default: all except tokens and constants).

        Raises:
            CircuitError: a name is not an input or a parameter, or has no tangent.
        """
        able = [n for n in movable(self.recurrence) if n not in self.states]
        names = able if of is None else [of] if isinstance(of, str) else list(of)
        for name in names:
            if name not in able:
                hint = did_you_mean(name, able) or f". Choose from: {', '.join(able) or 'nothing'}"
                raise CircuitError(f"circuit '{self.name}' has no tangent of '{name}'{hint}")
        made = tangent(self.recurrence, tuple(names))
        marked = [n for n in made.parameters if n not in self.recurrence.parameters]
        return Circuit.stored(made, {**self.init, **{n: constant(0.0) for n in marked}}, self.__doc__)

    def unfold(self, steps: int) -> Graph:
        """Unfold the recurrence for a number of steps: one acyclic graph that contains each parameter once.

        The graph starts from the state at time 0, or at time 1 if the circuit has no inputs.
        """
        return Graph(unfold(self.recurrence, check_steps(self.recurrence, steps)))

    def plan(self, given: Iterable[str] = ()) -> Plan:
        """How engines run the circuit over a sequence: what is computed outside the loop over time, and what in it.

        Args:
            given: states whose values are given from outside (teacher forcing).

        Raises:
            CircuitError: the circuit has no such state.
        """
        names = (given,) if isinstance(given, str) else tuple(given)
        for name in names:
            if name not in self.states:
                hint = did_you_mean(name, self.states) or f". Its states are {', '.join(self.states)}"
                raise CircuitError(f"circuit '{self.name}' has no state '{name}'{hint}")
        return make_plan(fed(self.recurrence, names) if names else self.recurrence)

    def draw(self, steps: int = 3, *, gates: bool = True, gradient: bool = False) -> Drawing:
        """Draw the circuit diagram, and beside it the unfolded graph.

        Args:
            steps: the number of unfolded steps to draw.
            gates: False draws only inputs, states and outputs as circles.
            gradient: True also draws the arrows along which the gradient flows back in time.
        """
        return draw_recurrence(self.recurrence, check_steps(self.recurrence, steps), gates, gradient)

    def __call__(self, *args: Symbol, **kwargs: Symbol) -> Any:
        """Use the equations inside another circuit, on its symbols."""
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
        """Pickle the equations as text. If a module holds the circuit under its name, loading takes the circuit of that
        module, provided that its equations are still the same."""
        module, name = self.__module__, self.function.__qualname__
        place = (module, name) if _held(sys.modules.get(module), name) is self else None
        return _restored, (place, as_text(self.recurrence), self.__doc__, packed(self.init))

    def __repr__(self) -> str:
        return f"<circuit {self.name}({', '.join((*self.inputs, *self.states))}; {', '.join(self.parameters)})>"

    def _repr_html_(self) -> str:
        return self.draw().svg


def _no_function(*args: Any, **kwargs: Any) -> NoReturn:
    """The function of a circuit that was loaded from data."""
    raise CircuitError("a circuit that was loaded from a file cannot be called inside another circuit")


# loading a pickle


def _held(module: object, name: str) -> object:
    """The value of a module under a name such as ``cell`` or ``Cells.cell``; None if there is none."""
    found = module
    for part in name.split("."):
        found = getattr(found, part, None)
    return found


def _restored(place: tuple[str, str] | None, text: str, doc: str | None, init: Packed) -> Circuit:
    recurrence = from_text(text)
    if place is not None:
        try:
            found = _held(import_module(place[0]), place[1])
        except Exception:  # importing a module may raise anything, and the pickle contains the equations
            found = None
        if isinstance(found, Circuit) and as_text(found.recurrence) == as_text(recurrence):
            return found
    return Circuit.stored(recurrence, unpacked(init), doc)


@overload
def circuit(function: Callable[..., Any], /) -> Circuit: ...
@overload
def circuit(
    *,
    init: Mapping[str, Start] | None = None,
    constant: Iterable[str] | Mapping[str, Start] = (),
    fixed: Iterable[str] = (),
) -> Callable[[Callable[..., Any]], Circuit]: ...
def circuit(
    function: Callable[..., Any] | None = None,
    /,
    *,
    init: Mapping[str, Start] | None = None,
    constant: Iterable[str] | Mapping[str, Start] = (),
    fixed: Iterable[str] = (),
) -> Any:
    """Read a function as the equations of a recurrent step.

    A positional argument that is also returned is a state: the argument is its value at t-1, and the returned entry is
    its value at t. The other positional arguments are inputs. Keyword-only arguments without a default are parameters,
    which all steps share; those with a default are ordinary Python constants. Returned names that are not arguments
    are outputs.

    >>> @circuit
    ... def elman(x, h, *, U, W, b, V, c):
    ...     h = tanh(b + W @ h + U @ x)
    ...     o = c + V @ h
    ...     return {"h": h, "o": o}
    >>> elman.shapes(x=3, h=4, o=2)["U"]
    (4, 3)

    Args:
        function: the equations, as a Python function without data-dependent control flow.
        init: starting values of parameters, by name: functions that fill a tensor, or arrays (tensors, numpy arrays or
            nested lists): ``@circuit(init={"W": orthogonal(), "b": [0.0, 1.0]})``.
        constant: parameters that are not trained, such as masks. They are saved and moved like the others. Either their
            names, with values in ``init``, or names and values: ``@circuit(constant={"M": mask})``.
        fixed: inputs that are fixed in time: ``@circuit(fixed=("s", "M"))``. They have one value per sequence, a vector
            (batch, size) or a matrix (batch, rows, size), whose number of rows may differ from call to call.

    Raises:
        CircuitError: the equations do not make sense; the message names the user's file and line.
    """
    names = (fixed,) if isinstance(fixed, str) else tuple(fixed)
    if function is None:
        return lambda f: circuit_of(f, init or {}, constant, names)
    return circuit_of(function, init or {}, constant, names)


def circuit_of(
    function: Callable[..., Any],
    init: Mapping[str, Start],
    constant: Iterable[str] | Mapping[str, Start] = (),
    fixed: tuple[str, ...] = (),
) -> Circuit:
    """The circuit of a function, as ``circuit`` makes it."""
    constants = tuple(constant) if isinstance(constant, Iterable) and not isinstance(constant, str) else (constant,)
    values = dict(constant) if isinstance(constant, Mapping) else {}
    recurrence = read(function, constants, fixed=fixed)

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
