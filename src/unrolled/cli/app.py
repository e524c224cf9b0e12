"""The commands, and the one place where errors become messages."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from cyclopts import App, CycloptsError, MissingArgumentError, Parameter, UnusedCliTokensError

from .. import __version__
from ..errors import UnrolledError
from .bench import bench
from .cells import cells
from .demo import demo
from .diagnose import diagnose
from .doctor import doctor
from .draw import draw
from .equations import equations
from .evaluate import evaluate
from .look import look
from .plan import plan
from .predict import predict
from .replay import replay
from .sample import sample
from .stream import stream
from .train import train

WRONG, INTERRUPTED = 2, 130

app = App(
    name="unrolled",
    help="Recurrent networks, written once as their equations.",
    version=__version__,
    default_parameter=Parameter(negative=()),
    result_action="return_value",
    suppress_keyboard_interrupt=False,
)
COMMANDS = (
    demo,
    train,
    evaluate,
    predict,
    sample,
    stream,
    equations,
    plan,
    draw,
    look,
    diagnose,
    cells,
    replay,
    doctor,
    bench,
)
for command in COMMANDS:
    app.command(command, sort_key=len(list(app)))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line and give its exit code: 0, 2 for wrong use or bad data, 130 when interrupted."""
    for file in (sys.stdout, sys.stderr):
        if hasattr(file, "reconfigure"):
            file.reconfigure(errors="replace")  # a terminal without Unicode shows '?' where it must
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    try:
        code = app(arguments, print_error=False, exit_on_error=False, help_on_error=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except UnrolledError as problem:
        return _refuse("unrolled", str(problem))
    except CycloptsError as problem:
        name = " ".join(("unrolled", *(problem.command_chain or ())))
        return _refuse(name, f"{_sentence(problem)} See: {name} --help")
    except KeyboardInterrupt:
        return _refuse("unrolled", "interrupted", INTERRUPTED)
    except BrokenPipeError:  # the reader has gone, as in: unrolled cells | head -1
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _sentence(problem: CycloptsError) -> str:
    """What is wrong, without the parser's internals."""
    if isinstance(problem, MissingArgumentError) and problem.argument:
        name = problem.argument.name
        return f"{name} needs a value." if name.startswith("-") else f"{name} is missing."
    if isinstance(problem, UnusedCliTokensError) and problem.unused_tokens:
        return f"there is nothing for '{problem.unused_tokens[0]}' to be: one argument too many."
    problem.verbose = False
    text = " ".join(str(problem).split())
    return text[0].lower() + text[1:] + ("" if text.endswith((".", "?")) else ".")


def _refuse(name: str, message: str, code: int = WRONG) -> int:
    sys.stdout.flush()
    if os.environ.get("RANK", "0") == "0" or "TORCHELASTIC_RUN_ID" not in os.environ:  # under torchrun, one tells
        print(f"{name}: {message}", file=sys.stderr)
    return code
