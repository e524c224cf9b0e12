"""Engine ``cuda`` without a GPU: the text that a GPU runs is compiled as C, and a CPU runs every thread of every block
in random order (see cuda_on_cpu.c). ``make test-cuda`` runs all cells and hundreds of random circuits."""

from __future__ import annotations

import ctypes
import os
from contextlib import nullcontext
from pathlib import Path
from random import Random
from types import SimpleNamespace

import pytest
import torch

import unrolled
from cells_for_tests import CIRCUITS, SIZES, needs_compiler
from cuda_on_cpu import SMALL, OnCpu, WrongThreads, driver, engine
from test_gradients import EVERY_OP, OF_MATRICES
from unrolled import EngineError
from unrolled.engines.c.build import load
from unrolled.engines.call import Call
from unrolled.engines.cuda import gpu, nvrtc
from unrolled.engines.cuda.loop import CudaLoop, placed
from unrolled.engines.cuda.phases import phases, waits_at_the_end
from unrolled.engines.cuda.shape import GRID, SHARED, TILE, Shape, grid, tile
from unrolled.engines.cuda.tasks import tasks
from unrolled.engines.planned import Planned
from unrolled.engines.registry import ENGINES, choose
from unrolled.graph.bind import bind
from unrolled.plan.plan import make_plan
from unrolled.sequence.layout import Layout
from unrolled.testing import calls
from unrolled.testing.compare import assert_close, largest
from unrolled.testing.gradients import random_leaves, random_weights, values_and_gradients
from unrolled.testing.strategies import random_circuit

ON_CPU = "cuda on a CPU"
RANDOM = int(os.environ.get("UNROLLED_CUDA_CIRCUITS", "2"))
QUICK = ("gru", "layernorm_lstm", "lecture_output_recurrence")
CELLS = CIRCUITS if RANDOM > 2 else QUICK
TOLERANCE = {torch.float32: "engines, float32", torch.float64: "engines, float64"}
SHAPES = [
    Shape(kind, lanes, width, depth, blocks, shared)
    for lanes in (1, 2, 4)
    for depth in (1, 2, 4)
    for width in (1, 3, 8)
    for kind, blocks, shared in ((TILE, 1, SHARED), (TILE, 1, 300), (GRID, 1, 0), (GRID, 3, SHARED), (GRID, 2, 500))
    if depth <= lanes
]

pytestmark = needs_compiler


@pytest.fixture(autouse=True)
def compile_quickly(monkeypatch):
    monkeypatch.setenv("UNROLLED_CFLAGS", "-O0 -Werror=implicit-function-declaration")


def use(monkeypatch, machine: OnCpu) -> OnCpu:
    monkeypatch.setitem(ENGINES, ON_CPU, engine(machine))
    return machine


def compared(name: str, dtype: torch.dtype) -> None:
    """Compare all values and all gradients of a cell with the reference in float64."""
    compared_circuit(CIRCUITS[name].recurrence, bind(CIRCUITS[name].recurrence, SIZES[name]), dtype)


def compared_circuit(recurrence, sizes, dtype: torch.dtype, steps: int = 4, batch: int = 5) -> None:
    values, weights = random_leaves(recurrence, sizes, steps, batch), random_weights(recurrence, sizes, steps, batch)
    expected = values_and_gradients(recurrence, sizes, values, weights)
    values, weights = (
        {n: t.to(dtype) if t.is_floating_point() else t for n, t in v.items()} for v in (values, weights)
    )
    actual = values_and_gradients(recurrence, sizes, values, weights, ON_CPU)
    scale = largest([*expected[1].values(), *weights.values()])
    for n, value in expected[0].items():
        assert_close(n, actual[0][n].to(value.dtype), value, TOLERANCE[dtype], max(largest([value]), 1))
    for n, gradient in expected[1].items():
        assert_close(f"gradient of {n}", actual[1][n].double(), gradient, TOLERANCE[dtype], scale)


@pytest.mark.parametrize("name", CELLS)
def test_cells_in_float64(monkeypatch, name):
    machine = use(monkeypatch, OnCpu())
    compared(name, torch.float64)
    assert machine.launches == 2


@pytest.mark.parametrize("name", CELLS if RANDOM > 2 else ["lstm"])
def test_cells_in_float32(monkeypatch, name):
    use(monkeypatch, OnCpu(Shape(GRID, lanes=4, width=2, depth=2, blocks=3)))
    compared(name, torch.float32)


@pytest.mark.parametrize(
    "circuit, sizes, shape",
    [(EVERY_OP, {"x": 2, "h": 4}, Shape(GRID, 4, 2, 2, blocks=2)), (OF_MATRICES, {"X": (3, 2)}, SMALL)],
    ids=["of vectors", "of matrices"],
)
def test_every_operation(monkeypatch, circuit, sizes, shape):
    use(monkeypatch, OnCpu(shape))
    compared_circuit(circuit.recurrence, bind(circuit.recurrence, sizes), torch.float64)


@pytest.mark.parametrize("number", range(RANDOM))
def test_random_circuits_in_random_calls(monkeypatch, number):
    """Dense, ragged and empty batches, resets, given values, snapshots, single steps; odd sizes."""
    use(monkeypatch, OnCpu(Random(number).choice(SHAPES)))
    circuit = random_circuit(Random(number).choice, matrices=number % 2 == 0, tokens=number % 3 == 0)
    if number % 3 == 0 and not circuit.circuit.recurrence.tokens:  # a token that is only passed on is any vector
        circuit = random_circuit(Random(number).choice, matrices=number % 2 == 0)
    assert calls.check(calls.random_case(circuit, number), ON_CPU) in ("equal", "unbounded")


@pytest.mark.parametrize("name, shape", [("gru", SMALL), ("bahdanau", Shape(GRID, 2, 3, 1, blocks=2))])
def test_ragged_sequences_and_resets(monkeypatch, name, shape):
    use(monkeypatch, OnCpu(shape))
    lengths, found = (3, 0, 1, 4, 2), []
    rows = torch.randn(10, 3, dtype=torch.float64)
    resets = torch.tensor([False, True, False, True, False, False, True, True, False, True])
    fixed = {n: torch.randn(5, 7, 6, dtype=torch.float64) for n in CIRCUITS[name].recurrence.fixed}
    for chosen in ("reference", ON_CPU):
        torch.manual_seed(0)
        net = unrolled.Recurrent(CIRCUITS[name], engine=chosen, dtype=torch.float64, **SIZES[name])
        x, memory = rows.clone().requires_grad_(), {n: m.clone().requires_grad_() for n, m in fixed.items()}
        given = unrolled.Ragged(values=x, lengths=torch.tensor(lengths))
        out = net(given, reset=unrolled.Ragged(values=resets, lengths=torch.tensor(lengths)), **memory)
        loss = (out.h.values.sin() * torch.arange(1, 5)).sum() + out.state.h.cos().sum()
        found.append([out.h.values, out.state.h, *torch.autograd.grad(loss, [*net.parameters(), x, *memory.values()])])
    for k, (expected, actual) in enumerate(zip(*found, strict=True)):
        assert_close(f"result {k}", actual, expected, "engines, float64", max(largest([expected]), 1))


# The proof finds what it is for.


def without_barrier(number: int):
    """Remove one of the barriers of a step."""

    def changed(text: str) -> str:
        parts = text.split("WAIT;")
        assert number < len(parts) - 1
        parts[number : number + 2] = [parts[number] + parts[number + 1]]
        return "WAIT;".join(parts)

    return changed


def replaced(old: str, new: str):
    def changed(text: str) -> str:
        assert old in text
        return text.replace(old, new)

    return changed


SMALL_GRID = Shape(GRID, lanes=2, width=2, depth=2, blocks=3)
FAULTS = {
    "a barrier is missing before the product": (TILE, without_barrier(0)),
    "a barrier of blocks is missing behind the product": (GRID, without_barrier(1)),
    "a product reads the entry behind": (TILE, replaced("x[q][k], total[q]", "x[q][k + 1], total[q]")),
    "a weight of another row": (GRID, replaced("% ROWS_OF_BLOCK(rows) * BLOCKS + OF_BLOCK", "% ROWS_OF_BLOCK(rows)")),
    "the lanes of a block share a state": (TILE, replaced("s0_ + r * ROW(4)", "s0_")),
    "a lane is left out": (GRID, replaced("r = FIRST_LANE;", "r = FIRST_LANE + 1;")),
    "a sequence starts from the state of another": (TILE, replaced("begin0[of * 4", "begin0[(of ? of - 1 : 0) * 4")),
    "some threads do not wait": (TILE, replaced("#define WAIT ", "#define WAIT if (OF_LANE) ")),
    "blocks do not wait for each other": (GRID, replaced("WAIT wait_for_all(a.arrived)", "WAIT __syncthreads()")),
    "blocks wait for one too many": (GRID, replaced("(turn + 1) * BLOCKS)", "(turn + 1) * BLOCKS + 1)")),
    "shared memory is too small": (TILE, replaced("(shared + 128)", "(shared + 1800)")),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found(monkeypatch, fault):
    kind, changed = FAULTS[fault]
    use(monkeypatch, OnCpu(SMALL if kind == TILE else SMALL_GRID, changed))
    recurrence = CIRCUITS["lstm"].recurrence
    sizes = bind(recurrence, SIZES["lstm"])
    values, weights = random_leaves(recurrence, sizes, 4, 5), random_weights(recurrence, sizes, 4, 5)
    expected, _ = values_and_gradients(recurrence, sizes, values, weights)
    with pytest.raises((AssertionError, WrongThreads)), torch.no_grad():
        actual = forward(recurrence, sizes, values)
        for n, value in expected.items():
            assert_close(n, actual[n], value, "engines, float64")


def forward(recurrence, sizes, values):
    """All returned values, without a backward pass."""
    batch, steps = values["x"].shape[:2]
    call = Call(
        recurrence,
        dict(sizes),
        {n: values[n] for n in recurrence.parameters},
        {n: values[n].flatten(0, 1) for n in recurrence.inputs},
        {n: values[n] for n in recurrence.states},
        Layout.dense(batch, steps),
        like=values["x"],
    )
    return ENGINES[ON_CPU].forward(call, keep=False)[0]


# The rest of the engine.


def test_bits_depend_neither_on_the_batch_nor_on_the_tile(monkeypatch):
    recurrence = CIRCUITS["layernorm_lstm"].recurrence
    sizes = bind(recurrence, SIZES["layernorm_lstm"])
    values = random_leaves(recurrence, sizes, 5, 4)
    found = []
    for shape in (Shape(TILE, 1, 4, 1), Shape(TILE, 4, 4, 2), Shape(GRID, 4, 2, 2, blocks=2)):
        use(monkeypatch, OnCpu(shape))
        found.append(forward(recurrence, sizes, values)["h"].view(4, 5, -1))
        one = {n: v[2:3] if n in (*recurrence.inputs, *recurrence.states) else v for n, v in values.items()}
        assert torch.equal(forward(recurrence, sizes, one)["h"], found[-1][2])
    assert torch.equal(found[0], found[1]) and torch.equal(found[0], found[2])


@pytest.mark.parametrize("name", ["rnn", "lstm", "gru"])
def test_threads_wait_twice_in_a_step(name):
    loop = make_plan(CIRCUITS[name].recurrence).forward(keep=True).loop
    step = phases(tasks(placed(loop), 0))
    assert len(step) - (not waits_at_the_end(step)) == 2


def test_explain(golden):
    plans = [CIRCUITS[name].plan().explain("cuda") for name in ("mgu", "layernorm_lstm", "neural_stack")]
    golden("plan_cuda.txt", "\n\n".join(plans) + "\n")


def test_explain_for_another_engine():
    with pytest.raises(EngineError, match="got 'cudd'"):
        CIRCUITS["mgu"].plan().explain("cudd")


# what torch says of the machine, and the refusal
REFUSALS = {
    "no CUDA": ({"backends.cuda.is_built": False}, "was built without CUDA. Install another build of torch, or use"),
    "no GPU": ({"cuda.is_available": False}, "finds no NVIDIA GPU, or no driver for it. See nvidia-smi, or use engine"),
    "AMD": ({"version.hip": "6.4"}, "is built for GPUs of AMD. Install another build of torch, or use engine"),
    "no NVRTC": ({"nvrtc": None}, "NVRTC, the compiler for CUDA text, was not found. Install one with: pip install"),
    "on the CPU": ({}, r"the parameters are on the cpu. Move them with .to\('cuda'\), or create them there with"),
    "bfloat16": ({"dtype": torch.bfloat16}, 'it runs float32 and float64, not bfloat16. Use engine="torch"'),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_refusals(monkeypatch, name):
    said, expected = REFUSALS[name]
    said = {"backends.cuda.is_built": True, "cuda.is_available": True, "version.hip": None, "nvrtc": object()} | said
    monkeypatch.setattr(torch.backends.cuda, "is_built", lambda: said["backends.cuda.is_built"])
    monkeypatch.setattr(torch.cuda, "is_available", lambda: said["cuda.is_available"])
    monkeypatch.setattr(torch.version, "hip", said["version.hip"])
    monkeypatch.setattr(gpu, "nvrtc", lambda: said["nvrtc"])
    dtype = said.get("dtype", torch.float32)
    gpu.missing.cache_clear()
    with pytest.raises(EngineError, match='engine="cuda" is not available: .*' + expected):
        choose.__wrapped__("cuda", CIRCUITS["lstm"].recurrence, "cuda" if dtype == torch.bfloat16 else "cpu", dtype)
    gpu.missing.cache_clear()


def test_an_engine_that_is_not_available_is_never_chosen():
    assert choose("auto", CIRCUITS["lstm"].recurrence, "cuda")[0].name == "torch"


# A GPU that is none: the driver is a C library that runs texts on the CPU.


@pytest.fixture
def driver_of_tests(monkeypatch):
    library = load((Path(__file__).parent / "cuda_driver.c").read_text(encoding="utf-8"), "cuLaunchKernel")
    library.last_launch.restype = ctypes.POINTER(ctypes.c_uint)
    library.last_stream.restype = ctypes.c_void_p
    properties = SimpleNamespace(multi_processor_count=2, shared_memory_per_block_optin=2**16)
    monkeypatch.setattr(gpu, "_driver", lambda: library)
    monkeypatch.setattr(torch.cuda, "device", lambda _: nullcontext())
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (9, 0))
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: properties)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda: SimpleNamespace(cuda_stream=1 << 40))
    gpu._function.cache_clear()
    yield library
    gpu._function.cache_clear()


@pytest.mark.parametrize("kind", [TILE, GRID])
def test_launches_of_the_driver(monkeypatch, driver_of_tests, kind):
    architectures = []

    def compiled(text: str, architecture: int) -> bytes:
        architectures.append(architecture)
        return b"at %d\0" % ctypes.cast(driver(text, 2**16), ctypes.c_void_p).value

    monkeypatch.setattr(gpu, "compiled", compiled)
    monkeypatch.setitem(ENGINES, ON_CPU, Planned("cuda", CudaLoop(gpu.Gpu(kind))))
    compared("gru", torch.float32)
    assert architectures == [90, 90], "forward and backward are compiled once each"
    blocks, threads = driver_of_tests.last_launch()[:3], driver_of_tests.last_launch()[3:6]
    assert (blocks, threads) == (([2, 1, 1], [32, 4, 1]) if kind == TILE else ([2, 1, 1], [32, 8, 1]))
    assert driver_of_tests.was_cooperative() == (kind == GRID)
    assert driver_of_tests.last_stream() == 1 << 40


@pytest.mark.parametrize(
    "sequences, entries, expected",
    [
        (1, 64, (Shape(TILE, 1, 64, 1, shared=99), Shape(GRID, 1, 32, 1, 132, 99))),
        (132, 2048, (Shape(TILE, 1, 512, 1, shared=99), Shape(GRID, 128, 32, 16, 132, 99))),
        (600, 100, (Shape(TILE, 8, 128, 4, shared=99), Shape(GRID, 128, 32, 16, 132, 99))),
        (9, 100000, (Shape(TILE, 1, 512, 1, shared=99), Shape(GRID, 8, 512, 1, 132, 99))),
    ],
)
def test_shapes(sequences, entries, expected):
    assert (tile(sequences, entries, 132, 99), grid(sequences, entries, 132, 99)) == expected


def test_a_driver_that_refuses(monkeypatch, driver_of_tests):
    monkeypatch.setattr(gpu, "compiled", lambda text, architecture: b"nothing")
    monkeypatch.setitem(ENGINES, ON_CPU, Planned("cuda", CudaLoop(gpu.Gpu())))
    with pytest.raises(EngineError, match=r"cuModuleLoadData failed: no kernel image is available .* \(209\)"):
        compared("rnn", torch.float32)


@pytest.mark.skipif(nvrtc.nvrtc() is None, reason="needs NVRTC: make test-cuda-text")
def test_compiled_by_nvrtc(monkeypatch, tmp_path):
    text = '#define POINTERS 1\nextern "C" __global__ void run(float *x) { x[threadIdx.x] = 1; }'
    cubin = nvrtc.compiled(text, 90)
    assert cubin[:4] == b"\x7fELF"
    monkeypatch.setattr(nvrtc.Nvrtc, "compile", None)
    assert nvrtc.compiled(text, 90) == cubin, "from the cache"
    monkeypatch.undo()
    with pytest.raises(EngineError, match=r"does not compile for this GPU \(sm_20\); it knows sm_"):
        nvrtc.compiled(text, 20)
    with pytest.raises(EngineError, match=r"(?s)The CUDA text was saved as .*\.cu:.*expected a declaration"):
        nvrtc.compiled("not CUDA", 90)


def test_no_nvrtc(monkeypatch):
    monkeypatch.setattr(nvrtc, "nvrtc", lambda: None)
    with pytest.raises(EngineError, match="NVRTC was not found"):
        nvrtc.compiled("text", 90)
