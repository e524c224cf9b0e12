"""Find the circuit that a user names as CELL: a published cell, or a circuit in a file of their own."""

from __future__ import annotations

import sys
import traceback
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

from ..circuits.circuit import Circuit
from ..errors import UnrolledError, UsageError, did_you_mean


def find_cell(name: str) -> Circuit:
    """Find a circuit by its name.

    Args:
        name: a published cell such as ``gru``; ``FILE.py:NAME``; or ``FILE.py`` if the file defines one circuit.

    Raises:
        UsageError: there is no such cell, file or name, or running the file fails.
        CircuitError: the equations do not make sense; the message names the user's line.
    """
    from ..cells import ALL

    file, colon, wanted = name.rpartition(":")
    if not colon and not name.endswith(".py"):
        if name not in ALL:
            hint = did_you_mean(name, ALL) or f". Choose one of {', '.join(ALL)}, or name your own as FILE.py:NAME"
            raise UsageError(f"there is no cell '{name}'{hint}")
        return ALL[name]
    path = Path(file if colon else name)
    if path.suffix != ".py":
        raise UsageError(f"'{path}' is not a Python file. Name your own cell as FILE.py:NAME, such as mycell.py:mine")
    return _circuit_in(path, wanted if colon else "")


def _circuit_in(path: Path, wanted: str) -> Circuit:
    found = vars(_run(path))
    own = {n: value for n, value in found.items() if isinstance(value, Circuit)}
    if not wanted and len(own) == 1:
        return next(iter(own.values()))
    if not own and wanted not in found:
        raise UsageError(f"'{path}' defines no circuit: put @circuit before a function of equations")
    if not wanted:
        raise UsageError(f"'{path}' defines several circuits: {', '.join(own)}. Name one as {path}:NAME")
    if wanted not in found:
        hint = did_you_mean(wanted, own) or f". It defines {', '.join(own)}"
        raise UsageError(f"'{path}' has no circuit '{wanted}'{hint}")
    if wanted not in own:
        kind = type(found[wanted]).__name__
        raise UsageError(f"'{wanted}' in '{path}' is a {kind}, not a circuit. Put @circuit before its definition")
    return own[wanted]


def _run(path: Path) -> ModuleType:
    """Run a user's file as a module; modules beside it can be imported."""
    from ..train.files import read_bytes

    read_bytes(path, "a Python file with a circuit")
    spec = spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None  # it is a .py file
    module = module_from_spec(spec)
    sys.path.insert(0, str(path.parent.resolve()))
    try:
        spec.loader.exec_module(module)
    except UnrolledError:
        raise
    except SyntaxError as problem:
        where = Path(problem.filename or path).name
        raise UsageError(f"{where}:{problem.lineno}: not valid Python ({problem.msg}): {_line(problem.text)}") from None
    except (Exception, SystemExit) as problem:
        place = traceback.extract_tb(problem.__traceback__)[-1]
        raise UsageError(
            f"{Path(place.filename).name}:{place.lineno}: the file raised an error: {_line(place.line)}\n"
            f"  {type(problem).__name__}: {problem}"
        ) from None
    finally:
        sys.path.pop(0)
    return module


def _line(text: str | None) -> str:
    return (text or "").strip()
