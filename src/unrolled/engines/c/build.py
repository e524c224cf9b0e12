"""From C text to loaded functions: the machine's own compiler, and a cache on disk.

The cache is keyed by source, compiler and processor. An entry is loaded only if it belongs to this user and its bytes
are those that were written; anything else is built again. Entries appear by renaming, so that processes that build the
same loop at once do not disturb each other.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import importlib.util
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
import threading
import warnings
from functools import cache
from pathlib import Path

from ...errors import EngineError

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

_turns: dict[str, threading.Lock] = {}  # of threads that want the same functions, the first builds them


@cache
def compiler() -> tuple[str, ...] | None:
    """The command of the first compiler there is: $CC, cc, gcc, clang, or the zig of the extra 'compiler'."""
    if command := shlex.split(os.environ.get("CC", "")):
        return tuple(command) if shutil.which(command[0]) else None
    for name in ("cc", "gcc", "clang"):
        if path := shutil.which(name):
            return (path,)
    return (sys.executable, "-m", "ziglang", "cc") if importlib.util.find_spec("ziglang") else None


def load(source: str) -> ctypes.CDLL:
    """The compiled functions of a C text. Raises EngineError if there is no compiler or it fails."""
    command = compiler()
    if command is None:
        raise EngineError(INSTALL)
    flags = FLAGS + (WIDE if platform.machine() in ("x86_64", "AMD64") else [])
    key = hashlib.sha256("\0".join([*command, *flags, _target(command[0]), source]).encode()).hexdigest()
    folder = cache_folder()
    with _turns.setdefault(key, threading.Lock()):
        if not _intact(folder, key):
            try:
                _build(command, flags, source, folder, key)
            except OSError as problem:  # a full disk, a folder that is gone
                folder = _without(folder, problem)
                _build(command, flags, source, folder, key)
    return ctypes.CDLL(str(folder / f"{key}.so"))


@cache
def _target(program: str) -> str:
    """What the same flags mean on this machine: the compiler's file and the processor's abilities."""
    stat = os.stat(shutil.which(program) or program)
    with contextlib.suppress(OSError), open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
        for line in file:
            if line.startswith(("flags", "Features")):
                return f"{stat.st_size} {stat.st_mtime_ns} {line}"
    return f"{stat.st_size} {stat.st_mtime_ns} {platform.machine()} {platform.processor()}"


@cache
def cache_folder() -> Path:
    """Where kernels are kept: $UNROLLED_CACHE, or the user's cache folder; else one for this process alone."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(os.environ.get("UNROLLED_CACHE") or Path(base) / "unrolled")
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError as problem:
        return _without(folder, problem)


def _without(folder: Path, problem: OSError) -> Path:
    """A folder for this process alone, where the cache cannot be written."""
    message = f"{folder} cannot be written ({problem.strerror}); kernels are not kept after this run"
    warnings.warn(message, stacklevel=4)
    return Path(_temporary().name)


@cache
def _temporary() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="unrolled-")


def _intact(folder: Path, key: str) -> bool:
    """Whether an entry is ours and unchanged."""
    library, digest = folder / f"{key}.so", folder / f"{key}.sha256"
    try:
        mine = not hasattr(os, "getuid") or library.stat().st_uid == os.getuid()
        return mine and digest.read_text() == hashlib.sha256(library.read_bytes()).hexdigest()
    except (OSError, UnicodeDecodeError):
        return False


def _build(command: tuple[str, ...], flags: list[str], source: str, folder: Path, key: str) -> None:
    with tempfile.TemporaryDirectory(dir=folder, ignore_cleanup_errors=True) as work:
        text, made, check = Path(work) / "loop.c", Path(work) / "loop.so", Path(work) / "sha256"
        text.write_text(source, encoding="utf-8")
        run = subprocess.run([*command, *flags, "-o", str(made), str(text), "-lm"], capture_output=True, text=True)
        if run.returncode:
            kept = folder / f"{key}.c"
            shutil.copy(text, kept)
            what = f"was killed (signal {-run.returncode})" if run.returncode < 0 else "failed"
            said = run.stderr.strip()[-2000:] or f"exit status {run.returncode}"
            raise EngineError(
                f"the C compiler {' '.join(command)} {what} on a rendered loop, kept as {kept}:\n{said}\n"
                '  Another compiler can be named with $CC; or use engine="torch"'
            )
        check.write_text(hashlib.sha256(made.read_bytes()).hexdigest())
        os.replace(made, folder / f"{key}.so")
        os.replace(check, folder / f"{key}.sha256")
