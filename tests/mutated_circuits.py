"""Stored circuits with random damage: each is read to a recurrence that is in order, or refused with DataError, soon.

Part of ``tests/torture.py``. Damage is done to the values (other numbers, names, references; parts removed, copied,
exchanged, repeated a hundred thousand times, nested) and to the text (characters removed, inserted, changed).
"""

from __future__ import annotations

import copy
import json
import random
import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from typing import Any

from unrolled.cells import ALL
from unrolled.errors import DataError
from unrolled.files.strict_json import from_json
from unrolled.graph.stored import GROUPS, LAMBDA, dump, load
from unrolled.graph.verify import verify
from unrolled.testing.many_operations import many_operations

TEXTS = [json.dumps(dump(circuit.recurrence)) for circuit in (*ALL.values(), many_operations)]
LIMIT = 5.0  # seconds on the processor that one may take
HANGS = 60.0  # seconds by the clock, after which it is stopped
PIECE = 5_000  # mutations of a process at a time
MANY = (3, 70, 1_001, 2_500, 30_000)

HOSTILE: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 7, 2**31, 2**63, 10**400, 0.0, -0.0, 1.5, 1e308,
    float("inf"), float("-inf"), float("nan"), "inf", "nan", "", "x", "h", "W", "self", "size", "size h",
    "0", "1", "-1", "1/2", "1/0", "0/1", "4/2", "1/4097", "2147483649", "1e999999999", "1" * 10_000, "1/" + "9" * 4_000,
    "٣", "1_0", " 1 ", "<script>", "../../x", "__dict__", "__class__", "a\nb", "a\0b", "\ud800", "state", "steps",
    "batch", "input", "parameter", "tanh", "concat", "broadcast", "real", "token", "mask",
    [], {}, [[]], [{}], [0], [-1], [True], {"constant": "1"}, {"constant": "0"}, {"constant": "-3", "size h": "1"},
    {"constant": "0", "size h": "1/3"}, {"size h": "1"}, {"op": "tanh", "args": [0]},
)  # fmt: skip


def mutated(text: str, draw: random.Random) -> Any:
    """A stored circuit with one to three damages. Raises ValueError or RecursionError if it is no JSON any more."""
    if draw.random() < 0.2:
        return from_json(damaged_text(text, draw))
    data = json.loads(text)
    for _ in range(draw.choice((1, 1, 1, 2, 3))):
        damage(data, draw)
    return data


def damaged_text(text: str, draw: random.Random) -> str:
    for _ in range(draw.choice((1, 1, 2, 4))):
        at = draw.randrange(len(text))
        new = draw.choice(
            ("", draw.choice('0123456789{}[]",:ahx-eE./ '), draw.choice(("9" * 50, "[" * 2000, "NaN", "1e9")))
        )
        text = text[:at] + new + text[at + draw.randint(0, 3) :]
    return text


def damage(data: Any, draw: random.Random) -> None:
    """Change one place of a value."""
    holder, key = place(data, draw)
    kind = draw.choice(("value", "value", "remove", "copy", "swap", "repeat", "nest", "key", "number"))
    value = holder[key]
    if kind == "value":
        holder[key] = copy.deepcopy(draw.choice(HOSTILE))
    elif kind == "remove":
        del holder[key]
    elif kind == "copy":
        other, there = place(data, draw)
        other[there] = copy.deepcopy(value)
    elif kind == "swap":
        other, there = place(data, draw)
        holder[key], other[there] = copy.deepcopy(other[there]), copy.deepcopy(value)
    elif kind == "nest":
        for _ in range(draw.choice((1, 2, 500))):
            value = [value] if draw.random() < 0.5 else {"constant": value}
        holder[key] = value
    elif kind == "number" and isinstance(value, int):
        holder[key] = value + draw.choice((-2, -1, 1, 2, 5))
    elif kind == "key" and isinstance(holder, dict):
        name = draw.choice([h for h in HOSTILE if isinstance(h, str)])
        holder[draw.choice((name, f"size {name}"))] = holder.pop(key)
    elif kind == "repeat":
        repeat(holder, key, draw.choice(MANY))


def repeat(holder: Any, key: Any, many: int) -> None:
    """Repeat an entry of a list; of an object, under other names. A node that takes values takes the one before it."""
    if isinstance(holder, dict):
        holder.update({f"{key}{i}": holder[key] for i in range(many)})
    elif isinstance(holder[key], dict) and "args" in holder[key] and holder[key]["args"]:
        row = holder[key]
        holder[key : key + 1] = [{**row, "args": [key - 1 + i, *row["args"][1:]]} for i in range(many)]
    else:
        holder[key:key] = [holder[key]] * many


def place(data: Any, draw: random.Random) -> tuple[Any, Any]:
    """A random place in a value, near or far: what holds it, and its key or position there."""
    holder = data
    while True:
        keys = list(holder) if isinstance(holder, dict) else range(len(holder))
        if not keys:
            holder = data
            continue
        key = draw.choice(keys)
        inner = holder[key]
        if not isinstance(inner, (dict, list)) or not inner or draw.random() < 0.15:
            return holder, key
        holder = inner


def check(data: Any) -> str:
    """How a stored circuit is read. Raises AssertionError, or whatever else went wrong."""
    try:
        recurrence = load(data)
    except DataError as problem:
        assert len(str(problem)) < 1_000 and "\n" not in str(problem), "a long or broken message"
        return "refused"
    verify(recurrence)
    again = dump(recurrence)
    assert json.dumps(dump(load(json.loads(json.dumps(again, allow_nan=False))))) == json.dumps(again)
    names = [n for group in GROUPS for n in again[group]] + [recurrence.name]
    assert all((n.isidentifier() and n.isprintable()) or n == LAMBDA for n in names), names
    return "read"


@contextmanager
def no_longer_than(seconds: float) -> Iterator[None]:
    """Raises TimeoutError in the block when it takes longer."""

    def late(*_: object) -> None:
        raise TimeoutError(f"more than {seconds} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def piece(work: tuple[str, int]) -> tuple[Counter[str], float]:
    """Some mutations: how each was read, and the longest time on the processor that one took.

    Raises:
        AssertionError: with the damaged circuit, if it is not too long.
    """
    seed, count = work
    draw, counts, longest = random.Random(seed), Counter[str](), 0.0
    for number in range(count):
        try:
            data = mutated(draw.choice(TEXTS), draw)
        except (ValueError, RecursionError):
            counts["no JSON"] += 1
            continue
        begun = time.process_time()
        try:
            with no_longer_than(HANGS):
                counts[check(data)] += 1
            taken = time.process_time() - begun
            assert taken < LIMIT, f"it took {taken:.1f} s"
        except BaseException as problem:
            what = f"mutation {number} of seed {seed}: {type(problem).__name__}: {problem!s:.500}\n{data!r:.3000}"
            raise AssertionError(what) from problem
        longest = max(longest, taken)
    return counts, longest


def mutate(mutations: int, seed: int, processes: int) -> tuple[Counter[str], float]:
    """Read so many mutations in some processes; how it went, and the longest time that one took."""
    work = [(f"{seed} {at}", min(PIECE, mutations - at)) for at in range(0, mutations, PIECE)]
    counts, longest = Counter[str](), 0.0
    if processes == 1:
        done = map(piece, work)
        for found, time_taken in done:
            counts, longest = counts + found, max(longest, time_taken)
        return counts, longest
    with get_context("spawn").Pool(processes) as pool:
        for found, time_taken in pool.imap_unordered(piece, work):
            counts, longest = counts + found, max(longest, time_taken)
    return counts, longest
