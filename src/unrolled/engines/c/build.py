"""From C text to loaded functions, by the machine's own compiler or from the cache (cache.py)."""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import importlib.util
import os
import platform
import selectors
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from functools import cache
from pathlib import Path

from ...errors import EngineError
from .cache import loaded, private_folder, read, write, write_text

# prelude.c turns on the vectoriser of -O3, so -O2 gives a loop that is as fast, in half the time
FLAGS = ["-O2", "-march=native", "-std=gnu11", "-fPIC", "-shared", "-w"]
# otherwise gcc splits some chains of multiply-adds, depending on the shape of a loop, and rounds rows differently
FLAGS += ["--param=avoid-fma-max-bits=0"]
FLAGS += ["-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math", "-fopenmp-simd"]
WIDE = ["-mprefer-vector-width=512"]  # x86-64 only

INSTALL = (
    "no C compiler was found ($CC, cc, gcc, clang, zig). "
    'Install one with: pip install "unrolled[compiler]", or use engine="torch"'
)
SECONDS = 120  # time limit of a compiler, unless $UNROLLED_COMPILE_SECONDS is set
BYTES_A_SECOND = 2000  # of C text; each of them adds to the time limit
MOST_OUTPUT = 2**26  # bytes of messages after which a compiler is killed
SHOWN_OUTPUT = 2000  # bytes of messages that an error shows, the last ones

_locks: dict[str, threading.Lock] = {}  # by key: if several threads need the same functions, the first builds them

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_locks.clear)  # a lock may be held by a thread that the child does not have


@cache
def compiler() -> tuple[str, ...] | None:
    """The command of the first compiler found: $CC, cc, gcc, clang, or zig from the extra 'compiler'. None if there is
    none."""
    try:
        command = _words("CC")
    except EngineError:
        return None
    if command:
        return tuple(command) if shutil.which(command[0]) else None
    for name in ("cc", "gcc", "clang"):
        if path := shutil.which(name):
            return (path,)
    return (sys.executable, "-m", "ziglang", "cc") if importlib.util.find_spec("ziglang") else None


def missing() -> str:
    """Why no compiler was found, and what to do; empty if one was."""
    if compiler():
        return ""
    try:
        command = _words("CC")
    except EngineError as problem:
        return str(problem)
    if not command:
        return INSTALL
    return (
        f'$CC names the C compiler {command[0]!r}, which was not found. Change $CC or unset it, or use engine="torch"'
    )


def _words(name: str) -> list[str]:
    """An environment variable, split into words as a shell does."""
    try:
        return shlex.split(os.environ.get(name, ""))
    except ValueError as problem:
        reason = str(problem)[:1].lower() + str(problem)[1:]
        raise EngineError(
            f"${name} cannot be read as a shell reads it ({reason}): {os.environ[name]}. Change ${name} or unset it, "
            'or use engine="torch"'
        ) from None


def load(source: str, *functions: str) -> ctypes.CDLL:
    """Compile a C text, or take it from the cache, and load it.

    Args:
        source: the C text.
        functions: names that the library must have.

    Raises:
        EngineError: no compiler was found, or it did not make these functions.
    """
    command = compiler()
    if command is None:
        raise EngineError(missing())
    flags = FLAGS + (WIDE if platform.machine() in ("x86_64", "AMD64") else []) + _words("UNROLLED_CFLAGS")
    files = [_file(word) for word in command]
    key = hashlib.sha256("\0".join([*command, *flags, *files, _processor(), source]).encode()).hexdigest()
    with _locks.setdefault(key, threading.Lock()):
        known = read(key)
        if known is not None:
            with contextlib.suppress(OSError):
                return loaded(known)
        try:
            library = _compile([*command, *flags], source)
            found = _checked(library, functions)
        except _Failure as failure:
            kept = write_text(key, source)
            output = f":\n{failure.output}" if failure.output else "."
            raise EngineError(
                f"the C compiler {shlex.join(command)} {failure}. Its C text was saved as {kept}{output}\n"
                '  Name another compiler with $CC, or use engine="torch"'
            ) from None
        write(key, library)
        return found


@cache
def _file(word: str) -> str:
    """Size and time of the file that a word of the command names; empty if it names none."""
    path = shutil.which(word)
    status = path and os.stat(path)
    return f"{status.st_size} {status.st_mtime_ns}" if status else ""


@cache
def _processor() -> str:
    """The processor's features: -march=native means something else on another machine."""
    with contextlib.suppress(OSError), open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
        for line in file:
            if line.startswith(("flags", "Features")):
                return line
    return f"{platform.machine()} {platform.processor()}"


class _Failure(Exception):
    """How the compiler failed, and its output."""

    def __init__(self, what: str, output: str = "") -> None:
        super().__init__(what)
        self.output = output


def _compile(command: list[str], source: str) -> bytes:
    try:
        with tempfile.TemporaryDirectory(dir=private_folder(), ignore_cleanup_errors=True) as folder:
            text, made = Path(folder) / "loop.c", Path(folder) / "loop.so"
            text.write_text(source, encoding="utf-8")
            output = _run([*command, "-o", str(made), str(text), "-lm"], _seconds(source))
            if not made.is_file():
                raise _Failure("made no library", output)
            return made.read_bytes()
    except OSError as problem:
        raise EngineError(
            f'the compiler has no folder for temporary files: {problem}. Name one with $TMPDIR, or use engine="torch"'
        ) from problem


def _seconds(source: str) -> float:
    """The time limit of the compiler."""
    given = os.environ.get("UNROLLED_COMPILE_SECONDS", "")
    try:
        return float(given) if given else SECONDS + len(source) / BYTES_A_SECOND
    except ValueError:
        raise EngineError(f"$UNROLLED_COMPILE_SECONDS must be a number of seconds, got {given!r}") from None


def _checked(library: bytes, functions: tuple[str, ...]) -> ctypes.CDLL:
    """Load a new library and look for its functions."""
    if not library:
        raise _Failure("made an empty file")
    try:
        found = loaded(library)
    except OSError as problem:
        raise _Failure("made a library that cannot be loaded", str(problem)) from None
    for name in functions:
        if not hasattr(found, name):
            raise _Failure(f"made a library without the function '{name}'")
    return found


def _run(command: list[str], seconds: float) -> str:
    """Run a compiler for at most ``seconds``. Returns the end of its output."""
    until = time.monotonic() + seconds
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    try:
        process = subprocess.Popen(command, **pipes, start_new_session=True)  # type: ignore[call-overload]
    except OSError as problem:
        raise _Failure(f"could not be started ({problem.strerror})") from None
    try:
        output, too_much = _output(process, until)
        if too_much:
            raise _Failure(f"wrote more than {MOST_OUTPUT >> 20} MiB of messages and was killed", output)
        status = process.wait(max(until - time.monotonic(), 0))
    except subprocess.TimeoutExpired:
        raise _Failure(f"did not finish within {seconds:.0f} s ($UNROLLED_COMPILE_SECONDS) and was killed") from None
    finally:
        _end(process)
    if status:
        raise _Failure(f"was killed (signal {-status})" if status < 0 else f"failed (exit status {status})", output)
    return output


def _output(process: subprocess.Popen[bytes], until: float) -> tuple[str, bool]:
    """The end of a process's output, read until it ends, and whether there was too much of it."""
    assert process.stdout is not None
    pipe, output, count = process.stdout.fileno(), b"", 0
    with selectors.DefaultSelector() as waiting:
        waiting.register(pipe, selectors.EVENT_READ)
        while (left := until - time.monotonic()) > 0 and count <= MOST_OUTPUT:
            if waiting.select(min(left, 0.1)):
                if not (read := os.read(pipe, 2**16)):
                    break
                output, count = (output + read)[-SHOWN_OUTPUT:], count + len(read)
            elif process.poll() is not None:  # the pipe may stay open in a process that was forked from this one
                break
    if count > len(output):
        output = output.partition(b"\n")[2]  # whole lines
    return output.decode("utf-8", errors="replace").strip(), count > MOST_OUTPUT


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill a process and the processes that it has started, unless it has ended."""
    if process.poll() is None:
        if hasattr(os, "killpg"):
            with contextlib.suppress(OSError):
                os.killpg(process.pid, signal.SIGKILL)
        process.kill()
        process.wait()
    if process.stdout:
        process.stdout.close()
