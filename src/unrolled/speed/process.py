"""Contestants that take turns on command: here, or in a process of their own, by one line of JSON each way.

    {"prepare": "problem.npz", "training": true}   {"results": "results.npz", "about": "", "seconds": 1.2}
    {"turn": 0.02}                                 {"seconds": [0.0011, 0.0011], "busy": 1.0}
                                                   {"error": "what went wrong"}

Needs numpy alone, so that it runs in environments that have other libraries than torch.
"""

from __future__ import annotations

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

FEWEST, MOST = 2, 200  # calls in a turn, whatever they take


class Absent(Exception):
    """A contestant that does not take part: it fails, or takes longer than it may."""


@dataclass(frozen=True)
class Run:
    """A problem made ready: ``call`` does the work once and gives the output as 'out', gradients by parameter."""

    call: Callable[[], Mapping[str, Any]]
    about: str = ""


Prepare = Callable[[Problem, bool], Run]


@dataclass(frozen=True)
class Ready:
    """What a contestant gives for a problem, in ``seconds`` from being asked: building and the first call."""

    results: Arrays
    about: str
    seconds: float


@dataclass(frozen=True)
class Turn:
    """Seconds of each call; and how many processors were at work in the mean, as the system counts their time."""

    seconds: list[float]
    busy: float


class Player(Protocol):
    @property
    def name(self) -> str: ...
    def prepare(self, problem: Problem, training: bool) -> Ready: ...
    def turn(self, at_least: float) -> Turn: ...


def take_turn(call: Callable[[], object], at_least: float) -> Turn:
    """Calls for at least so many seconds, after one that is not counted: others have had the caches meanwhile."""
    call()
    seconds: list[float] = []
    begin, work = time.perf_counter(), time.process_time()
    while len(seconds) < FEWEST or (time.perf_counter() - begin < at_least and len(seconds) < MOST):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return Turn(seconds, (time.process_time() - work) / (time.perf_counter() - begin))


def make_ready(prepare: Prepare, problem: Problem, training: bool) -> tuple[Run, Ready]:
    start = time.perf_counter()
    run = prepare(problem, training)
    results = run.call()
    seconds = time.perf_counter() - start
    return run, Ready({n: np.array(v) for n, v in results.items()}, run.about, seconds)


@dataclass
class Local:
    """A contestant in this process; ``enter`` is called before each of its turns."""

    name: str
    make: Prepare
    enter: Callable[[], object] = lambda: None
    run: Run | None = field(default=None, init=False)

    def prepare(self, problem: Problem, training: bool) -> Ready:
        self.enter()
        self.run, ready = make_ready(self.make, problem, training)
        return ready

    def turn(self, at_least: float) -> Turn:
        assert self.run is not None, "prepare comes first"
        self.enter()
        return take_turn(self.run.call, at_least)


class Child:
    """A contestant in a process of its own, started when it is first needed, and again after it was stopped.

    >>> jax = Child("JAX", [python, "jax_scan.py"], {"NPROC": "1"}, limit=60)
    >>> jax.prepare(problem, training=True).results["out"].shape
    (32, 100, 128)

    Raises:
        Absent: the process answers with an error, ends, or needs more than ``limit`` seconds for an answer.
    """

    def __init__(self, name: str, command: list[str], environment: Mapping[str, str], limit: float = 120.0) -> None:
        self.name, self.command, self.limit = name, command, limit
        self.environment = {**os.environ, **environment}
        self.process: subprocess.Popen[bytes] | None = None
        self.folder = tempfile.TemporaryDirectory(prefix="unrolled-bench-")

    def prepare(self, problem: Problem, training: bool) -> Ready:
        path = Path(self.folder.name) / "problem.npz"
        problem.save(path)
        answer = self.ask({"prepare": str(path), "training": training})
        with np.load(answer["results"]) as found:
            return Ready(dict(found), answer["about"], answer["seconds"])

    def turn(self, at_least: float) -> Turn:
        return Turn(**self.ask({"turn": at_least}))

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        if self.process is None:
            self.process = subprocess.Popen(
                self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log("w"), env=self.environment
            )
        assert self.process.stdin and self.process.stdout
        try:
            self.process.stdin.write(json.dumps(request).encode() + b"\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            raise Absent(self._last_words()) from None
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            if not selector.select(self.limit):
                self.stop()
                raise Absent(f"gave no answer within {self.limit:.0f} s")
        line = self.process.stdout.readline()
        if not line:
            raise Absent(self._last_words())
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise Absent(answer["error"])
        return answer

    def stop(self) -> None:
        """End the process; the next request starts another."""
        if self.process is not None:
            self.process.kill()
            self.process.communicate()
            self.process = None

    def _log(self, mode: str) -> Any:
        return open(Path(self.folder.name) / "log.txt", mode, errors="replace")

    def _last_words(self) -> str:
        """Why the process has ended, as far as it said."""
        assert self.process is not None
        code = self.process.wait()
        self.stop()
        with self._log("r") as log:
            said = log.read().strip().splitlines()
        return f"its process ended with {code}: {said[-1] if said else 'it said nothing'}"


def serve(prepare: Prepare) -> None:
    """The other side of ``Child``: answer requests from standard input until it ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no answer
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
