"""The command line program: its list of commands, and the one place that turns errors into messages."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from cyclopts import App, CycloptsError, MissingArgumentError, Parameter, UnknownOptionError, UnusedCliTokensError

from .. import __version__
from ..errors import UnrolledError, command_line, reason
from .bench import bench
from .cells import cells
from .demo import demo
from .diagnose import diagnose
from .doctor import doctor
from .draw import draw
from .equations import equations
from .evaluate import evaluate
from .export import export
from .info import info
from .look import look
from .plan import plan
from .predict import predict
from .replay import replay
from .runs import runs
from .sample import sample
from .stream import stream
from .synonyms import synonym
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
    export,
    info,
    runs,
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


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code (see ``cli.main``).

    Args:
        arguments: the words after the program's name; by default those of this process.
    """
    for file in (sys.stdout, sys.stderr):
        if hasattr(file, "reconfigure"):
            file.reconfigure(errors="replace")  # a terminal without Unicode prints '?' instead of failing
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    try:
        code = app(arguments, print_error=False, exit_on_error=False, help_on_error=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except UnrolledError as problem:
        return _refuse("unrolled", str(problem))
    except CycloptsError as problem:
        chain = problem.command_chain or ()
        return _refuse(" ".join(("unrolled", *chain)), f"{_sentence(problem)} See: {command_line(*chain, '--help')}")
    except KeyboardInterrupt:
        return _refuse("unrolled", "interrupted", INTERRUPTED)
    except BrokenPipeError:  # the reader closed the pipe, as in: unrolled cells | head -1
        _discard_output()
        return 0
    except OSError as problem:  # no command gave a better message
        where = f"'{problem.filename}'" if problem.filename else "standard output"
        return _refuse("unrolled", f"{where}: {reason(problem)}")


def _sentence(problem: CycloptsError) -> str:
    """The parser's error as one sentence, without its internals."""
    if isinstance(problem, MissingArgumentError) and problem.argument:
        name = problem.argument.name
        return f"{name} needs a value." if name.startswith("-") else f"{name} is missing."
    if isinstance(problem, UnusedCliTokensError) and problem.unused_tokens:
        return f"unexpected argument '{problem.unused_tokens[0]}'."
    if isinstance(problem, UnknownOptionError):
        option = problem.token.keyword or problem.token.value
        known = [name for argument in problem.argument_collection for name in argument.names]
        if phrase := synonym(option, known):
            return f"unknown option: {option.partition('=')[0]}. {phrase}."
    problem.verbose = False
    text = " ".join(str(problem).split())
    return text[0].lower() + text[1:] + ("" if text.endswith((".", "?")) else ".")


def _discard_output() -> None:
    """Drop output that cannot be written, on a full disk for example, so that Python prints no error at exit."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _refuse(name: str, message: str, code: int = WRONG) -> int:
    _discard_output()
    if (
        os.environ.get("RANK", "0") == "0" or "TORCHELASTIC_RUN_ID" not in os.environ
    ):  # under torchrun, only rank 0 prints
        print(f"{name}: {message}", file=sys.stderr)
    return code
