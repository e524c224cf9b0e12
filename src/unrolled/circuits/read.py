"""Reading a user's function as a recurrence: which values are inputs, states, parameters and outputs."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterable
from typing import Any

from ..errors import CircuitError, SourceLine, did_you_mean
from ..graph.language import RESERVED, RESERVED_FOR_STATES
from ..graph.recurrence import Recurrence
from .resolve import resolve
from .trace import Recording, Symbol, Trace, run


def read(
    function: Callable[..., Any],
    constants: Iterable[str] = (),
    vectors: Collection[str] = (),
    fixed: Collection[str] = (),
) -> Recurrence:
    """The recurrence that a function describes.

    Args:
        function: the equations of a step.
        constants: the parameters that are not trained.
        vectors: states that must be vectors although they could be scalars.
        fixed: the inputs that are fixed in time.

    Raises:
        CircuitError: the equations do not make sense; the message names the user's line.
    """
    if not inspect.isfunction(function):
        raise CircuitError(f"@circuit decorates a function, got {function!r}")
    trace = Trace(function, function.__name__)
    here = trace.definition()
    positional, parameters = _signature(function, here)
    symbols = {n: Symbol(trace, "?", (), {"name": n}) for n in (*positional, *parameters)}
    for symbol in symbols.values():
        symbol._source = here
    for n in constants:
        if n in parameters:
            symbols[n]._attrs["constant"] = True
    recording = run(function, [symbols[n] for n in positional], {n: symbols[n] for n in parameters})
    returned = _returned(recording, parameters, here)
    _forgotten_states(recording, positional, symbols, returned, here)
    for n, symbol in symbols.items():
        symbol._op = "parameter" if n in parameters else "state" if n in returned else "input"
    _mark_fixed(fixed, symbols, here)
    states = {n: symbols[n] for n in positional if n in returned}
    if not states:
        raise CircuitError(
            "the circuit is not recurrent: it returns none of its arguments. "
            f'Return the new value of a state under the name of its argument, such as {{"{positional[-1]}": ...}}',
            here,
        )
    for n in states:
        if n in RESERVED_FOR_STATES:
            raise CircuitError(f"'{n}' is reserved for states; rename the argument", here)
    local = {
        n: s for n, s in recording.local.items() if isinstance(s, Symbol) and n not in symbols and n not in returned
    }
    inputs = {n: symbols[n] for n in positional if n not in returned}
    return resolve(trace.name, inputs, states, {n: symbols[n] for n in parameters}, returned, local, here, vectors)


def _mark_fixed(fixed: Collection[str], symbols: dict[str, Symbol], here: SourceLine) -> None:
    """Mark the inputs that are fixed in time."""
    inputs = [n for n, symbol in symbols.items() if symbol._op == "input"]
    for n in fixed:
        if n in symbols and n not in inputs:
            kind = symbols[n]._op
            why = "is the same at every step anyway" if kind == "parameter" else "gets a new value at every step"
            raise CircuitError(f"fixed= names '{n}', but a {kind} {why}. Only inputs can be fixed in time", here)
        if n not in symbols:
            hint = did_you_mean(str(n), inputs) or f". Its inputs are {', '.join(inputs) or 'none'}"
            raise CircuitError(f"fixed= names '{n}', which is not an input{hint}", here)
        symbols[n]._attrs["fixed"] = True


def _signature(function: Callable[..., Any], here: SourceLine) -> tuple[list[str], list[str]]:
    positional, parameters = [], []
    for p in inspect.signature(function).parameters.values():
        if p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD):
            raise CircuitError(f"a circuit must name each of its arguments; '{p}' is not allowed", here)
        if p.kind is p.KEYWORD_ONLY:
            if p.default is p.empty:
                parameters.append(p.name)
        elif p.default is not p.empty:
            raise CircuitError(
                f"argument '{p.name}' gets a new value at every step, so it cannot have a default. "
                "Put constants after the '*', with their value as the default",
                here,
            )
        else:
            positional.append(p.name)
    if not positional:
        raise CircuitError("a circuit needs at least one state: an argument before the '*' that is also returned", here)
    for name in (*positional, *parameters):
        _check_name(name, "rename the argument", here)
    return positional, parameters


def _check_name(name: str, remedy: str, here: SourceLine) -> None:
    """Refuse a name under which a network could not take or return the value."""
    if name in RESERVED or (name.startswith("__") and name.endswith("__")):
        raise CircuitError(f"'{name}' is reserved; {remedy}", here)


def _returned(recording: Recording, parameters: list[str], here: SourceLine) -> dict[str, Symbol]:
    returned = recording.returned
    if not isinstance(returned, dict) or not returned:
        given = "nothing" if returned is None else f"a {type(returned).__name__}"
        raise CircuitError(f'a circuit must return a dictionary, such as {{"h": h, "o": o}}; got {given}', here)
    for name, value in returned.items():
        if not isinstance(name, str) or not name.isidentifier():
            raise CircuitError(f"returned names must be identifiers, got {name!r}", here)
        _check_name(name, "return the value under another name", here)
        if name in parameters:
            raise CircuitError(
                f"'{name}' is a parameter, which is the same at every step, so it cannot be returned. "
                "If it is a state, move it before the '*'",
                here,
            )
        if not isinstance(value, Symbol):
            given = f"the {type(value).__name__} {value!r}"
            raise CircuitError(f"'{name}' must be computed from the arguments, got {given}", here)
    return returned


def _forgotten_states(
    recording: Recording,
    positional: list[str],
    symbols: dict[str, Symbol],
    returned: dict[str, Symbol],
    here: SourceLine,
) -> None:
    for name in positional:
        value = recording.local.get(name)
        if name not in returned and isinstance(value, Symbol) and value is not symbols[name]:
            raise CircuitError(
                f"'{name}' gets a new value but is not returned, so the next step would not see it. "
                f'Add "{name}": {name} to the returned dictionary, or rename the value',
                value._source,
            )
