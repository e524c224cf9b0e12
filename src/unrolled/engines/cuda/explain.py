"""How engine ``cuda`` runs a plan, in words: its phases, and what it stores in a block."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

from ...graph.size import Area, Size, total
from ...plan.plan import Pass, Plan
from ..lowering.buffers import PARTIALS, Buffer
from ..lowering.place import Begin, End
from ..lowering.statements import Copy, Loop, MatrixProduct, Product, Reduction, RowProduct, Transposed
from .loop import placed
from .phases import phases, waits_at_the_end
from .shape import LARGE, MOST_LANES
from .tasks import COLUMNS, ENTRIES, EXPONENTIALS, ROWS, TOP, TOTALS, Restart, Task, tasks


def explain(plan: Plan) -> str:
    """The phases of a step, forward and backward. Sizes are expressions of the circuit's size names.

    >>> print(unrolled.cells.mgu.plan().explain("cuda"))
    """
    step = plan.step
    trained = [n for n in step.parameters if n not in step.constants]
    backward = plan.backward(step.returns, trained)
    lines = [
        f"{step.name} on engine 'cuda'",
        "  one launch for all steps; products and operations before and after the loop: by torch",
        f"  launch kind 'tile', for matrices of fewer than {LARGE:,} numbers: a block takes some sequences,",
        f"    1 to {MOST_LANES}, as many as keep all processors of the GPU busy, and its threads wait for each other",
        "  launch kind 'grid', for larger ones: all blocks share the entries of all sequences and wait for each other;",
        "    each block keeps its part of the matrices in shared memory",
    ]
    for title, way in (("forward", plan.forward(keep=True)), ("backward", backward)):
        lines += ["", f"{step.name}, {title}", *_pass(way)]
    return "\n".join(lines)


def _pass(way: Pass) -> Iterator[str]:
    placement = placed(way.loop)
    step = phases(tasks(placement, way.loop.totals))
    if not step:
        yield "  no loop: no cycle is left"
        return
    waits = len(step) - (not waits_at_the_end(step))
    waiting = f"threads wait for each other {_counted(waits, 'time')} in a step"
    yield f"  {_counted(len(step), 'phase')}; {waiting}"
    for number, phase in enumerate(step, 1):
        yield from (
            f"    {number if i == 0 else ' ' * len(str(number))}  {words}" for i, words in enumerate(_of_phase(phase))
        )
    yield f"  scratch memory: {_memory([*placement.scratch, *_partials(step)])} for each sequence"


def _partials(step: tuple[tuple[Task, ...], ...]) -> dict[Buffer, None]:
    return dict.fromkeys(b for phase in step for task in phase for b in task.partials)


def _memory(buffers: list[Buffer]) -> str:
    """The numbers that a sequence needs, as an expression of sizes."""
    linear = total(b.size for b in buffers if b.kind != PARTIALS and isinstance(b.size, Size))
    parts = [str(linear)] if linear.terms or linear.constant else []
    areas = Counter(str(b.size) for b in buffers if isinstance(b.size, Area))
    parts += [f"{times} × {area}" if times > 1 else area for area, times in areas.items()]
    count = sum(b.kind == PARTIALS for b in buffers)
    parts += [f"{count} × threads of a sequence"] if count else []
    return f"{' + '.join(parts) or '0'} numbers"


def _of_phase(phase: tuple[Task, ...]) -> Iterator[str]:
    """A line for each kind of task of a phase."""
    for words, times in Counter(map(_words, phase)).items():
        yield f"{words}, {times} times" if times > 1 else words


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"


def _words(task: Task) -> str:
    s = task.of
    if isinstance(s, Loop):
        return _of_loop(s, task)
    if isinstance(s, Reduction):
        what = f"{s.op} of {s.size}{f' × {s.columns}' if s.columns else ''} entries"
        return f"{what}, { ({TOP: 'each thread its part', EXPONENTIALS: 'exponentials'}.get(task.part, 'the result')) }"
    found = next((words for kind, words in WORDS.items() if isinstance(s, kind)), None)
    return found(s) if found else f"{type(s).__name__.lower()}: {task.entries} entries"


WORDS: dict[type, Callable[..., str]] = {
    Product: lambda s: f"product ({s.rows} × {s.columns}) for all sequences of the block",
    RowProduct: lambda s: f"product of a matrix of each sequence ({s.rows} × {s.columns})",
    MatrixProduct: lambda s: f"product of two matrices of each sequence ({s.rows} × {s.inner} × {s.columns})",
    Transposed: lambda s: f"transpose ({s.rows} × {s.columns})",
    Copy: lambda s: f"copy of {s.size} numbers",
    Begin: lambda _: "states begin",
    Restart: lambda _: "states restart where a sequence is reset",
    End: lambda _: "states end",
}


def _of_loop(s: Loop[Buffer], task: Task) -> str:
    size = f"{s.size} × {s.columns}" if s.columns else str(s.size)
    if task.part == ENTRIES:
        sums = f", each thread its part of {_counted(len(task.partials), 'sum')}" if task.partials else ""
        of = "one number" if size == "1" else f"each of {size} entries"
        return f"{_counted(len(s.lines), 'operation')} on {of}{sums}"
    return {TOTALS: "the sums", ROWS: f"sums over rows of {size}", COLUMNS: f"sums over columns of {size}"}[task.part]
