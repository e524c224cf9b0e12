"""Contestants that take turns on request, in this process or in their own, with one line of JSON in each direction.

    {"prepare": "problem.npz", "training": true}   {"results": "results.npz", "about": "", "seconds": 1.2}
    {"turn": 0.02}                                 {"seconds": [0.0011, 0.0011], "busy": 1.0}
                                                   {"error": "what went wrong"}

Needs only numpy, so that it runs in environments with other libraries than torch.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from .point import Arrays, Problem

FEWEST, MOST = 2, 200  # calls in a turn, however long they take


class Absent(Exception):
    """A contestant drops out: it failed, or exceeded its time limit."""


@dataclass(frozen=True)
class Run:
    """A prepared problem. ``call`` does the work once; it returns 'out' and the gradient of each parameter."""

    call: Callable[[], Mapping[str, Any]]
    about: str = ""


Prepare = Callable[[Problem, bool], Run]


@dataclass(frozen=True)
class Ready:
    """A contestant's results for a problem, and the ``seconds`` that building and the first call took."""

    results: Arrays
    about: str
    seconds: float


@dataclass(frozen=True)
class Turn:
    """Seconds of each call, and the mean number of busy processors by the system's count of processor time."""

    seconds: list[float]
    busy: float


class Player(Protocol):
    """A contestant that can be prepared for a problem and then takes turns of at least some seconds."""

    @property
    def name(self) -> str:
        """The name in the table."""
        ...

    def prepare(self, problem: Problem, training: bool) -> Ready:
        """Prepare a problem and make the first call."""
        ...

    def turn(self, at_least: float) -> Turn:
        """Call for at least some seconds."""
        ...


def take_turn(call: Callable[[], object], at_least: float) -> Turn:
    """Call repeatedly for at least some seconds, after one uncounted call that refills the processor's caches."""
    call()
    seconds: list[float] = []
    begin, work = time.perf_counter(), time.process_time()
    while len(seconds) < FEWEST or (time.perf_counter() - begin < at_least and len(seconds) < MOST):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return Turn(seconds, (time.process_time() - work) / (time.perf_counter() - begin))


def make_ready(prepare: Prepare, problem: Problem, training: bool) -> tuple[Run, Ready]:
    """Prepare a problem and make the first call."""
    start = time.perf_counter()
    run = prepare(problem, training)
    results = run.call()
    seconds = time.perf_counter() - start
    return run, Ready({n: np.asarray(v).copy() for n, v in results.items()}, run.about, seconds)


@dataclass
class Local:
    """A contestant in this process; ``enter`` is called before each of its turns."""

    name: str
    make: Prepare
    enter: Callable[[], object] = lambda: None
    run: Run | None = field(default=None, init=False)

    def prepare(self, problem: Problem, training: bool) -> Ready:
        """See ``Player.prepare``."""
        self.enter()
        self.run, ready = make_ready(self.make, problem, training)
        return ready

    def turn(self, at_least: float) -> Turn:
        """See ``Player.turn``."""
        assert self.run is not None, "prepare comes first"
        self.enter()
        return take_turn(self.run.call, at_least)


class Child:
    """A contestant in a process of its own, which starts at the first request and restarts after ``stop``.

    It runs in an empty temporary folder, which is removed when it stops.

    >>> with Child("JAX", [python, "jax_scan.py"], {"NPROC": "1"}, limit=60) as jax:
    ...     jax.prepare(problem, training=True).results["out"].shape
    (32, 100, 128)

    Raises:
        Absent: the process answers with an error, ends, or takes more than ``limit`` seconds to answer.
    """

    def __init__(self, name: str, command: list[str], environment: Mapping[str, str], limit: float = 120.0) -> None:
        self.name, self.command, self.limit = name, command, limit
        self.environment = {**os.environ, **environment}
        self._running: tuple[subprocess.Popen[bytes], tempfile.TemporaryDirectory[str]] | None = None

    def prepare(self, problem: Problem, training: bool) -> Ready:
        """See ``Player.prepare``."""
        path = Path(self._start()[1].name) / "problem.npz"
        problem.save(path)
        answer = self.ask({"prepare": str(path), "training": training})
        with np.load(answer["results"]) as found:
            return Ready(dict(found), answer["about"], answer["seconds"])

    def turn(self, at_least: float) -> Turn:
        """See ``Player.turn``."""
        return Turn(**self.ask({"turn": at_least}))

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """Send a request and wait for the answer."""
        process, _ = self._start()
        assert process.stdin and process.stdout
        with contextlib.suppress(BrokenPipeError):  # reading the answer fails as well, with a better message
            process.stdin.write(json.dumps(request).encode() + b"\n")
            process.stdin.flush()
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            if not selector.select(self.limit):
                self.stop()
                raise Absent(f"gave no answer within {self.limit:.0f} s")
        line = process.stdout.readline()
        if not line:
            raise Absent(self._last_words())
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise Absent(answer["error"])
        return answer

    def stop(self) -> None:
        """End the process. The next request starts another."""
        if self._running is not None:
            process, folder = self._running
            self._running = None
            process.kill()
            with contextlib.suppress(BrokenPipeError):
                process.communicate()
            folder.cleanup()

    def __enter__(self) -> Child:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _start(self) -> tuple[subprocess.Popen[bytes], tempfile.TemporaryDirectory[str]]:
        if self._running is None:
            folder = tempfile.TemporaryDirectory(prefix="unrolled-bench-")
            with open(Path(folder.name) / LOG, "w") as log:
                process = subprocess.Popen(
                    self.command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    env=self.environment,
                    cwd=folder.name,
                )
            self._running = process, folder
        return self._running

    def _last_words(self) -> str:
        """Why the process has ended, by its exit code and its last line on standard error."""
        process, folder = self._start()
        code = process.wait()
        said = (Path(folder.name) / LOG).read_text(errors="replace").strip().splitlines()
        self.stop()
        return f"its process exited with {code}: {said[-1] if said else 'it printed nothing'}"


LOG = "log.txt"


def serve(prepare: Prepare) -> None:
    """The other end of ``Child``: answer requests from standard input until it closes."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # libraries that print must not garble the answers
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    run: Run | None = None
    for line in sys.stdin:
        request = json.loads(line)
        try:
            if "prepare" in request:
                path = Path(request["prepare"])
                run, ready = make_ready(prepare, Problem.load(path), request["training"])
                results = path.with_name("results.npz")
                np.savez(results, **ready.results)  # type: ignore[arg-type]
                answer = {"results": str(results), "about": ready.about, "seconds": ready.seconds}
            else:
                assert run is not None, "prepare comes first"
                answer = vars(take_turn(run.call, request["turn"]))
        except Exception as problem:
            answer = {"error": f"{type(problem).__name__}: {problem}".splitlines()[0]}
        print(json.dumps(answer), file=answers, flush=True)
