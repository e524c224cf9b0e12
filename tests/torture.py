"""What a run folder must survive: `make torture`; the tests run a short version of it.

    python tests/torture.py kill --kills 100       # kill -9 at random instants of every phase, go on, compare
    python tests/torture.py mutate --folders 10000 # damaged model folders: each is refused, none read silently
    python tests/torture.py circuits --mutations 1000000 # damaged circuits: each is in order or refused, and soon

Killing: a training runs in a child process, which says by a byte of shared memory in which phase it is
(`train/phase.py`). It is killed at a random instant of a phase chosen in turn; what the byte says after its death is
what is counted. After each death the newest checkpoint must load; after the next start nothing half-written may be
left; and in the end checkpoints and log must be those of a training that nobody disturbed, bit for bit.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import mmap
import os
import random
import shutil
import signal
import struct
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

import mutated_circuits
from mutated_circuits import no_longer_than
from unrolled.cli import learn, main  # noqa: F401  (loaded here, the children need not)
from unrolled.errors import DataError
from unrolled.files.failpoints import FAILPOINTS, observed
from unrolled.run import checkpoint as ck
from unrolled.run.checkpoint import checkpoints
from unrolled.run.trained import Trained

TEXT = "".join(f"{i} green bottles hanging on the wall, {i * i % 97} of them fall.\n" for i in range(99, 19, -1))
UPDATES = 150
RUN = ("--cell", "lstm", "--hidden", "12", "--layers", "2", "--batch", "4", "--window", "24", "--rate", "0.01")
BUDGET = ("--updates", str(UPDATES), "--checkpoint-every", "4")
ENOUGH = 2  # deaths in every phase, at least
LATEST = 120.0  # seconds after which a training hangs
LIMIT = 20.0  # seconds that reading a damaged folder may take: more is a hang


# killing


class Marker:
    """Shared memory in which the child writes its phase, and how often it has entered each."""

    def __init__(self) -> None:
        self.memory = mmap.mmap(-1, 4 + 4 * len(FAILPOINTS))

    def clear(self) -> None:
        self.memory[:] = bytes(len(self.memory))

    def enter(self, phase: str) -> None:
        at = FAILPOINTS.index(phase)
        struct.pack_into("I", self.memory, 4 + 4 * at, self.count(phase) + 1)
        struct.pack_into("I", self.memory, 0, at + 1)

    def count(self, phase: str) -> int:
        found: int = struct.unpack_from("I", self.memory, 4 + 4 * FAILPOINTS.index(phase))[0]
        return found

    @property
    def phase(self) -> str:
        at = struct.unpack_from("I", self.memory, 0)[0]
        return FAILPOINTS[at - 1] if at else "start"


def start(arguments: list[str], marker: Marker) -> int:
    """Run a command line in a child process; its process id."""
    marker.clear()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # this process has no thread that holds a lock
        child = os.fork()
    if child:
        return child
    code = 99
    with contextlib.suppress(BaseException), open(os.devnull, "w") as nowhere, observed(marker.enter):
        for stream in (1, 2):
            os.dup2(nowhere.fileno(), stream)
        code = main(arguments)
    os._exit(code)


def wait(child: int) -> int | None:
    """The exit code of a child, None while it runs, minus the signal that ended it."""
    done, status = os.waitpid(child, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if done else None


def kill_in(child: int, phase: str, entries: int, delay: float, marker: Marker) -> int | None:
    """Kill a child a moment after it has entered a phase so many times; its exit code if it ends by itself."""
    deadline = time.monotonic() + LATEST
    while marker.count(phase) < entries:
        assert time.monotonic() < deadline, f"a child hangs in phase '{marker.phase}'"
        for _ in range(200):
            if marker.count(phase) >= entries:
                break
        if (code := wait(child)) is not None:
            return code
    until = time.perf_counter() + delay
    while time.perf_counter() < until:
        pass
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    return None if code == -signal.SIGKILL else code


def half_written(run: Path) -> set[Path]:
    return {path for path in run.rglob("*") if path.name.endswith(".part")}


def what_counts(run: Path) -> dict[str, Any]:
    """All of a finished run that must be the same in every bit: everything but the time it took."""
    found = {path.name: ck.read_checkpoint(path) for path in checkpoints(run)}
    content: dict[str, Any] = {}
    for name in found:
        for file in (ck.MODEL, ck.OPTIMIZER, ck.CONFIG):
            content[f"{name}/{file}"] = (run / "checkpoints" / name / file).read_bytes()
        content[f"{name}/progress"] = {k: v for k, v in found[name].progress.items() if k != "seconds"}
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    apart = ("seconds", "per_second", "memory", "run")
    content["log"] = [
        {k: v for k, v in line.items() if k not in apart} for line in lines if line["event"] in ("progress", "result")
    ]
    return content


def difference(found: Any, expected: Any) -> str:
    """Where two values differ, as far as they can be read."""
    if isinstance(found, dict) and isinstance(expected, dict):
        wrong = [k for k in {**found, **expected} if found.get(k) != expected.get(k)]
        return f"{wrong[0]}: {difference(found.get(wrong[0]), expected.get(wrong[0]))}"
    if isinstance(found, list) and isinstance(expected, list) and len(found) == len(expected):
        at = next(i for i, (a, b) in enumerate(zip(found, expected, strict=True)) if a != b)
        return f"[{at}] {difference(found[at], expected[at])}"
    return f"{found!r:.200} and {expected!r:.200}"


def kill(kills: int, seed: int, folder: Path, tell: Callable[[str], None]) -> Counter[str]:
    """Kill trainings so many times, and check everything; how many deaths there were in each phase.

    Raises:
        AssertionError: something was lost.
    """
    draw, marker, deaths = random.Random(seed), Marker(), Counter[str]()
    text = folder / "text.txt"
    text.write_text(TEXT)
    whole, run = folder / "whole", folder / "run"
    torch.optim.Adam([torch.zeros(1)])  # loads what torch loads late, so that the children need not
    child = start(["train", str(text), *RUN, *BUDGET, "--out", str(whole)], marker)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0, "the undisturbed training did not end well"
    expected, finished, orphans = what_counts(whole), 0, 0
    entered = {phase: marker.count(phase) for phase in FAILPOINTS}
    assert all(entered.values()), entered
    while sum(deaths.values()) < kills or min(deaths[p] for p in FAILPOINTS) < ENOUGH or not finished:
        missing = [p for p in FAILPOINTS if deaths[p] < ENOUGH and sum(deaths.values()) >= kills]
        phase = draw.choice(missing or FAILPOINTS)
        resumed = (run / ck.CONFIG).exists()
        command = ["train", "--resume", str(run)] if resumed else ["train", str(text), *RUN, *BUDGET, "--out", str(run)]
        left = half_written(run) if resumed else set()
        orphans += len(left)
        child = start(command, marker)
        enough = sum(deaths.values()) >= kills and not missing
        entries = 10**9 if enough else 1 + draw.randrange(max(1, entered[phase] // 8))
        code = kill_in(child, phase, entries, draw.choice((0.0, draw.uniform(0, 3e-4))), marker)
        if marker.count("forward"):
            assert not left & half_written(run), "what a killed process left is there after the next start"
        if code is None:
            deaths[marker.phase] += 1
            if (run / ck.CONFIG).exists():
                assert checkpoints(run), "there is no checkpoint"
                for path in checkpoints(run):
                    ck.read_checkpoint(path)
            continue
        assert code == 0, f"a resumed training ended with {code}"
        assert not half_written(run), "a finished run holds half-written files"
        found = what_counts(run)
        assert found.keys() == expected.keys(), (sorted(found), sorted(expected))
        for name in expected:
            same = found[name] == expected[name]
            assert same, f"{name} differs: {difference(found[name], expected[name])}"
        finished += 1
        shutil.rmtree(run)
    tell(f"{sum(deaths.values())} deaths: " + ", ".join(f"{deaths[p]} in {p}" for p in ("start", *FAILPOINTS)))
    tell(f"0 unreadable checkpoints; {orphans} half-written files, 0 of them after the next start")
    tell(f"{finished} trainings finished, each equal to the undisturbed one in every bit")
    return deaths


# mutating

Files = dict[str, bytes]


def mutated(files: Files, other: Files, draw: random.Random) -> tuple[str, Files]:
    """A model folder with one random damage, and its name."""
    name = draw.choice(sorted(files))
    content, changed = bytearray(files[name]), dict(files)
    at = draw.randrange(len(content))
    kind = draw.choice(("bit", "byte", "cut", "longer", "zeros", "insert", "remove", "gone", "swap", "other", "empty"))
    if kind == "bit":
        content[at] ^= 1 << draw.randrange(8)
    elif kind == "byte":
        content[at] = draw.randrange(256)
    elif kind == "cut":
        del content[at:]
    elif kind == "longer":
        content += draw.randbytes(draw.randint(1, 40))
    elif kind == "zeros":
        content[at : at + 64] = bytes(len(content[at : at + 64]))
    elif kind == "insert":
        content[at:at] = draw.choice((b" ", b"\n", b"0", b"9" * 5000, b"[" * 3000, draw.randbytes(4)))
    elif kind == "remove":
        del content[at : at + draw.randint(1, 8)]
    elif kind == "empty":
        content.clear()
    elif kind == "swap":
        second = draw.choice([n for n in sorted(files) if n != name])
        content, changed[second] = bytearray(files[second]), files[name]
    elif kind == "other":
        content = bytearray(other[name])
    changed[name] = bytes(content)
    if kind == "gone":
        del changed[name]
    return f"{kind} in {name}", changed


VALUES: tuple[Any, ...] = (None, 0, -1, 1, 2, 10**9, 1e300, "", "x", [], {}, True, [[[]]], 3.5, "format", 10**30)


def signed(files: Files, draw: random.Random) -> tuple[str, Files]:
    """A model folder in which a value of config.json or progress.json is another, with all checksums right."""
    name = draw.choice((ck.CONFIG, ck.CONFIG, ck.PROGRESS))
    values = json.loads(files[name])
    holder: Any = values
    while True:
        keys = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
        key = draw.choice(keys)
        if not isinstance(holder[key], (dict, list)) or not holder[key] or draw.random() < 0.1:
            break
        holder = holder[key]
    if draw.random() < 0.2:
        del holder[key]
    else:
        holder[key] = draw.choice(VALUES)
    changed = {**files, name: ck.as_json(values)}
    manifest = json.loads(files[ck.MANIFEST])
    del manifest["sha256"]
    manifest["files"][name] = {"bytes": len(changed[name]), "sha256": ck._sha256(changed[name])}
    manifest["sha256"] = ck._sha256(ck.as_json(manifest))
    changed[ck.MANIFEST] = ck.as_json(manifest)
    return f"signed {key} in {name}", changed


def mutate(folders: int, seed: int, folder: Path, tell: Callable[[str], None]) -> Counter[str]:
    """Damage a model folder in so many ways, and read each; how it went.

    Raises:
        AssertionError: a damaged folder was read as if nothing were, or another exception than DataError was raised.
    """
    draw, counts = random.Random(seed), Counter[str]()
    (folder / "text.txt").write_text(TEXT)
    made: list[Files] = []
    for cell in ("lstm", "gru"):
        run = folder / cell
        command = [
            "train",
            str(folder / "text.txt"),
            "--cell",
            cell,
            "--hidden",
            "6",
            "--updates",
            "3",
            "--out",
            str(run),
        ]
        assert main([*command, "--json"]) == 0
        made.append({path.name: path.read_bytes() for path in checkpoints(run)[-1].iterdir()})
    place = folder / "damaged"
    for _ in range(folders):
        resigned = draw.random() < 0.25
        name, files = signed(made[0], draw) if resigned else mutated(made[0], made[1], draw)
        if files == made[0]:
            counts["unchanged"] += 1
            continue
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        for file, content in files.items():
            (place / file).write_bytes(content)
        try:
            with no_longer_than(LIMIT):
                Trained.load(place)
        except DataError:
            counts["refused"] += 1
        except BaseException as problem:
            raise AssertionError(f"{name}: {type(problem).__name__}: {problem}") from problem
        else:
            assert resigned, f"{name}: read as if nothing were"
            counts["another valid model"] += 1
    tell(f"{folders} damaged model folders: " + ", ".join(f"{n} {what}" for what, n in sorted(counts.items())))
    tell("0 crashes, 0 hangs, one exception type (DataError), 0 damaged ones read")
    return counts


def circuits(mutations: int, seed: int, processes: int, tell: Callable[[str], None]) -> Counter[str]:
    """Read so many damaged circuits; how it went. Raises AssertionError as ``mutated_circuits.piece`` does."""
    counts, longest = mutated_circuits.mutate(mutations, seed, processes)
    tell(f"{mutations} damaged circuits: " + ", ".join(f"{n} {what}" for what, n in sorted(counts.items())))
    tell(f"0 crashes, 0 hangs, one exception type (DataError); the longest took {longest:.2f} s")
    return counts


def _main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("what", choices=("kill", "mutate", "circuits"))
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--folders", type=int, default=10_000)
    parser.add_argument("--mutations", type=int, default=1_000_000)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(4), "little"))
    given = parser.parse_args()
    print(f"seed {given.seed}", flush=True)

    def tell(line: str) -> None:
        print(line, file=sys.__stdout__, flush=True)

    with (
        tempfile.TemporaryDirectory() as name,
        open(os.devnull, "w") as nowhere,
        contextlib.redirect_stdout(nowhere),
    ):
        if given.what == "kill":
            kill(given.kills, given.seed, Path(name), tell)
        elif given.what == "circuits":
            circuits(given.mutations, given.seed, given.processes, tell)
        else:
            mutate(given.folders, given.seed, Path(name), tell)
    return 0


if __name__ == "__main__":
    sys.exit(_main())
