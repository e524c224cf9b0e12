"""From C text to loaded functions: the machine's own compiler, and what it made before (see cache.py)."""

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

# -O2, with which prelude.c asks for the vectoriser of -O3: as fast a loop in half the time
FLAGS = ["-O2", "-march=native", "-std=gnu11", "-fPIC", "-shared", "-w"]
# gcc breaks up multiply-adds that are added to one sum where it takes that for faster: not one row like another
FLAGS += ["--param=avoid-fma-max-bits=0"]
FLAGS += ["-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math", "-fopenmp-simd"]
WIDE = ["-mprefer-vector-width=512"]  # x86-64 only

INSTALL = (
    "no C compiler was found ($CC, cc, gcc, clang, zig). "
    'Install one with: pip install "unrolled[compiler]", or use engine="torch"'
)
SECONDS = 120  # that a compiler has, and one more for each FASTER bytes of text; $UNROLLED_COMPILE_SECONDS
FASTER = 2000
SAID = 2**26  # bytes of messages after which a compiler is ended
SHOWN = 2000  # of these bytes, the last

_turns: dict[str, threading.Lock] = {}  # of threads that want the same functions, the first builds them

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_turns.clear)  # a thread that is not in the child may have had its turn


@cache
def compiler() -> tuple[str, ...] | None:
    """The command of the first compiler there is: $CC, cc, gcc, clang, or the zig of the extra 'compiler'."""
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
    """Why there is no compiler, and what to do; empty if there is one."""
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
    """The words of a command or of options in the environment."""
    try:
        return shlex.split(os.environ.get(name, ""))
    except ValueError as problem:
        reason = str(problem)[:1].lower() + str(problem)[1:]
        raise EngineError(
            f"${name} cannot be read as a shell reads it ({reason}): {os.environ[name]}. Change ${name} or unset it, "
            'or use engine="torch"'
        ) from None


def load(source: str, *functions: str) -> ctypes.CDLL:
    """The compiled functions of a C text. Raises EngineError if there is no compiler, or it does not make them."""
    command = compiler()
    if command is None:
        raise EngineError(missing())
    flags = FLAGS + (WIDE if platform.machine() in ("x86_64", "AMD64") else []) + _words("UNROLLED_CFLAGS")
    files = [_file(word) for word in command]
    key = hashlib.sha256("\0".join([*command, *flags, *files, _processor(), source]).encode()).hexdigest()
    with _turns.setdefault(key, threading.Lock()):
        known = read(key)
        if known is not None:
            with contextlib.suppress(OSError):
                return loaded(known)
        try:
            library = _compile([*command, *flags], source)
            found = _checked(library, functions)
        except _Failure as failure:
            kept = write_text(key, source)
            said = f":\n{failure.said}" if failure.said else "."
            raise EngineError(
                f"the C compiler {shlex.join(command)} {failure}. The text of the loop is kept as {kept}{said}\n"
                '  Name another compiler with $CC, or use engine="torch"'
            ) from None
        write(key, library)
        return found


@cache
def _file(word: str) -> str:
    """Which file a word of the command means; empty if none."""
    path = shutil.which(word)
    status = path and os.stat(path)
    return f"{status.st_size} {status.st_mtime_ns}" if status else ""


@cache
def _processor() -> str:
    """What the same flags mean on this machine: the abilities of its processor."""
    with contextlib.suppress(OSError), open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
        for line in file:
            if line.startswith(("flags", "Features")):
                return line
    return f"{platform.machine()} {platform.processor()}"


class _Failure(Exception):
    """What the compiler did instead of its work, and what it said."""

    def __init__(self, what: str, said: str = "") -> None:
        super().__init__(what)
        self.said = said


def _compile(command: list[str], source: str) -> bytes:
    try:
        with tempfile.TemporaryDirectory(dir=private_folder(), ignore_cleanup_errors=True) as folder:
            text, made = Path(folder) / "loop.c", Path(folder) / "loop.so"
            text.write_text(source, encoding="utf-8")
            said = _run([*command, "-o", str(made), str(text), "-lm"], _seconds(source))
            if not made.is_file():
                raise _Failure("made no library", said)
            return made.read_bytes()
    except OSError as problem:
        raise EngineError(
            f"there is no room for the compiler to work in: {problem}. Name a folder for temporary files with $TMPDIR, "
            'or use engine="torch"'
        ) from problem


def _seconds(source: str) -> float:
    """How long the compiler may take."""
    given = os.environ.get("UNROLLED_COMPILE_SECONDS", "")
    try:
        return float(given) if given else SECONDS + len(source) / FASTER
    except ValueError:
        raise EngineError(f"$UNROLLED_COMPILE_SECONDS must be a number of seconds, got {given!r}") from None


def _checked(library: bytes, functions: tuple[str, ...]) -> ctypes.CDLL:
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
    """Run a compiler for at most so many seconds. Returns the end of what it says."""
    until = time.monotonic() + seconds
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    try:
        process = subprocess.Popen(command, **pipes, start_new_session=True)  # type: ignore[call-overload]
    except OSError as problem:
        raise _Failure(f"could not be started ({problem.strerror})") from None
    try:
        said, much = _messages(process, until)
        if much:
            raise _Failure(f"wrote more than {SAID >> 20} MiB of messages and was ended", said)
        status = process.wait(max(until - time.monotonic(), 0))
    except subprocess.TimeoutExpired:
        raise _Failure(f"did not finish within {seconds:.0f} s ($UNROLLED_COMPILE_SECONDS) and was ended") from None
    finally:
        _end(process)
    if status:
        raise _Failure(f"was killed (signal {-status})" if status < 0 else f"failed (exit status {status})", said)
    return said


def _messages(process: subprocess.Popen[bytes], until: float) -> tuple[str, bool]:
    """The end of what a process says until it ends, and whether it says too much."""
    assert process.stdout is not None
    pipe, said, count = process.stdout.fileno(), b"", 0
    with selectors.DefaultSelector() as waiting:
        waiting.register(pipe, selectors.EVENT_READ)
        while (left := until - time.monotonic()) > 0 and count <= SAID:
            if waiting.select(min(left, 0.1)):
                if not (read := os.read(pipe, 2**16)):
                    break
                said, count = (said + read)[-SHOWN:], count + len(read)
            elif process.poll() is not None:  # a process that was forked from this one meanwhile holds the pipe, too
                break
    if count > len(said):
        said = said.partition(b"\n")[2]  # whole lines
    return said.decode("utf-8", errors="replace").strip(), count > SAID


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process and all that it has started, if it has not ended by itself."""
    if process.poll() is None:
        if hasattr(os, "killpg"):
            with contextlib.suppress(OSError):
                os.killpg(process.pid, signal.SIGKILL)
        process.kill()
        process.wait()
    if process.stdout:
        process.stdout.close()
