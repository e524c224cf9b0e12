"""Threads, forked processes and signals: the memory of a call stays valid while the call needs it."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor
from unittest.mock import Mock

import pytest
import torch

from cells_for_tests import CIRCUITS, needs_compiler
from unrolled import Ragged, Recurrent
from unrolled.engines.c import blocks, crew

pytestmark = needs_compiler
forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


@pytest.fixture
def run(tmp_path):
    """``run(program, *arguments)``: the output and errors of a new process, which must succeed in time."""

    def run(program, *arguments, **environment):
        path = tmp_path / "program.py"
        path.write_text(textwrap.dedent(program))
        # ignore the interpreter's own warning about fork
        environment = {**os.environ, "PYTHONWARNINGS": "ignore:This process:DeprecationWarning", **environment}
        environment = {name: value for name, value in environment.items() if value is not None}
        command = [sys.executable, "-X", "faulthandler", str(path), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment)
        path.unlink()
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout, done.stderr

    return run


# helper threads


@pytest.mark.parametrize(("batch", "steps", "hidden"), [(29, 11, 33), (1, 12, 520), (2, 12, 520)])
def test_threads_give_the_same_bits(batch, steps, hidden):
    """Threads share the rows of a batch; for one or two sequences they share the units of a large layer."""
    net = Recurrent(CIRCUITS["gru"], x=5, h=hidden, engine="c")
    x = torch.randn(batch, steps, 5)
    before = torch.get_num_threads()
    results = []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        net.zero_grad()
        out = net(x)
        out.h.sum().backward()
        results.append((out.h.detach(), net.U.grad.clone()))
    torch.set_num_threads(before)
    for one in results[1:]:
        assert all(map(torch.equal, results[0], one))


def test_calls_at_the_same_time_share_the_helpers():
    """One call uses the helpers and another runs alone; helpers fall asleep and wake up."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    nets = [Recurrent(CIRCUITS[cell], x=3, h=h, engine="c") for cell, h in (("gru", 64), ("rnn", 520))]
    inputs = torch.randn(32, 40, 3), torch.randn(1, 20, 3)
    expected = [net(x).h.detach() for net, x in zip(nets, inputs, strict=True)]

    def check(caller):
        for i in range(40):
            which = (i + caller) % 2
            assert torch.equal(nets[which](inputs[which]).h, expected[which])
            time.sleep(0.003 * (i % 5 == caller))
        return True

    with ThreadPoolExecutor(3) as callers:
        assert all(callers.map(check, range(3)))
    assert crew._crew().helpers
    torch.set_num_threads(before)


def test_where_no_thread_can_be_started_one_does_the_work(monkeypatch):
    net, x = Recurrent(CIRCUITS["rnn"], x=3, h=128, engine="c"), torch.randn(32, 5, 3)
    expected = net(x).h.detach()
    monkeypatch.setattr(crew, "_crews", {})
    monkeypatch.setattr(crew, "start_new_thread", refuse := Mock(side_effect=RuntimeError("can't start new thread")))
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    again = net(x).h.detach()
    torch.set_num_threads(before)
    assert refuse.called and torch.equal(again, expected)


# memory


HELD = """
    import copy, ctypes, gc, sys
    import numpy as np, torch
    from unrolled import Ragged, Recurrent, cells, circuit, nll, take, tanh
    from unrolled.engines.c import engine, kernel, lanes, launch, libraries, prepared, sums

    @circuit
    def reader(w, y, h, *, E, W, U, b, V):
        e = take(E, w)
        h = tanh(b + W @ h + U @ e)
        return {"h": h, "L": nll(V @ h, y)}

    reached = set()

    def forget():
        for module in (engine, kernel, lanes, launch, sums):
            for value in vars(module).values():
                if hasattr(value, "cache_clear") and value.__module__ == module.__name__ and value is not kernel.kernel:
                    value.cache_clear()
        prepared._entries.clear()
        gc.collect()

    def forgetting(name, function):
        def call(*given):
            # as if other threads had filled all caches and overwritten all free memory
            forget()
            garbage = [np.full(size, 1 << 60) for size in range(1, 100) for _ in range(20)]
            reached.add(name)
            return function(*given)
        call._as_parameter_ = ctypes.cast(function, ctypes.c_void_p)  # where C finds the function
        return call

    def job():
        torch.manual_seed(1)
        lengths = [4, 0, 9, 1, 2]
        w, y = (Ragged(values=torch.randint(5, (16,)), lengths=lengths) for _ in range(2))
        out = net(w=w, y=y)
        found = [out.h.values.detach(), *torch.autograd.grad(out.L.values.sum(), list(net.parameters()))]
        with torch.no_grad():
            for again in range(3):  # the second call computes a digest, the third compares it
                found.append(net(w=w, y=y).L.values)
        return found

    def short():
        # calls that C finds the addresses of, with and without a digest
        found = []
        for net in map(copy.deepcopy, nets):
            torch.manual_seed(2)
            x = torch.randn(3, 4, 5)
            for _ in range(4):
                found += torch.autograd.grad(net(x).h.sum(), list(net.parameters()))
        return found

    net = Recurrent(reader, w=5, y=5, e=6, h=80, engine="c")
    nets = [Recurrent(cells.lstm, x=5, h=size, engine="c") for size in (4, 80)]
    want = job() + short()
    for library in (libraries.products(False), libraries.sums(False)):
        for name in sys.argv[1:]:
            if hasattr(library, name):
                setattr(library, name, forgetting(name, getattr(library, name)))
    forget()
    kernel.kernel.cache_clear()
    assert all(map(torch.equal, job() + short(), want))
    assert reached == {*sys.argv[1:]}, reached
"""


def test_what_c_reads_is_held_until_it_returns(run):
    """At each call, all caches are emptied and free memory is overwritten."""
    run(HELD, "launch", "launch_bound", "outer_sums", "scatter_sum", "pack")
    run(HELD, "digest_all", "has_digest")


@pytest.mark.slow
def test_other_threads_with_ever_other_lengths(run):
    """They evict the tables of a long call from all caches, allocate memory, and change its parameters."""
    program = """
        import random, threading, time
        import torch
        from unrolled import Ragged, Recurrent, cells

        torch.set_num_threads(1)
        large, small = Recurrent(cells.gru, x=16, h=128, engine="c"), Recurrent(cells.gru, x=3, h=4, engine="c")
        lengths = [3] * 4000
        x, g = Ragged(values=torch.randn(12000, 16), lengths=lengths), torch.randn(12000, 128)
        read = Recurrent(cells.rnn, x=3, h=40, engine="c")
        one, two = ([p.detach().clone() * k for p in read.parameters()] for k in (1, 0.5))

        def job():
            return torch.autograd.grad(large(x).h.values, list(large.parameters()), g)

        def others(seed):
            chance = random.Random(seed)
            while not stop:
                lengths = [chance.randint(0, 9) for _ in range(3)] + [1]
                values = torch.randn(sum(lengths), 3)
                out = small(Ragged(values=values, lengths=lengths)).h.values
                torch.autograd.grad(out, list(small.parameters()), torch.randn(sum(lengths), 4))

        def changes():
            k = 0
            while not stop:
                k += 1
                for p, values in zip(read.parameters(), (one, two)[k % 2]):
                    if k % 3:
                        p.data.copy_(values)
                    else:
                        p.data = values.clone()
                time.sleep(0.0005)

        def reads():
            with torch.no_grad():
                while not stop:
                    read(torch.randn(2, 5, 3))
                    read.step(torch.randn(1, 3), read.initial_state(1))

        stop, want = False, job()
        threads = [threading.Thread(target=others, args=(seed,)) for seed in range(2)]
        threads += [threading.Thread(target=changes), threading.Thread(target=reads)]
        for thread in threads:
            thread.start()
        end = time.monotonic() + 6
        while time.monotonic() < end:
            assert all(map(torch.equal, job(), want))
        stop = True
        for thread in threads:
            thread.join()
        twin = Recurrent(cells.rnn, x=3, h=40, engine="c")
        twin.load_state_dict(read.state_dict())
        x = torch.randn(2, 5, 3)
        assert torch.equal(read(x).h, twin(x).h)
    """
    run(program)


def test_a_block_is_lent_again_when_nothing_refers_to_it(monkeypatch):
    monkeypatch.setattr(blocks, "_blocks", {})
    first, large = blocks.block(1000), blocks.block(5000)
    at = first.data_ptr()
    assert at % 64 == large.data_ptr() % 64 == 0 and at != large.data_ptr()
    part = first[10:20]  # the memory stays in use as long as any view of it
    del first
    second = blocks.block(1000)
    assert second.data_ptr() not in (at, large.data_ptr())
    del part
    again = blocks.block(900)
    assert again.data_ptr() == at and len(again) == 1000
    monkeypatch.setattr(blocks, "MOST", 8000)  # blocks beyond the limit are not kept
    other = blocks.block(10_000)
    assert len(other) == 10_000 and len(blocks._blocks) == 3
    del second, large, again
    other = blocks.block(6_000)
    assert [len(known.memory) for known in blocks._blocks.values()] == [6000]


EMPTY = {
    "no sequences": lambda net: net(torch.zeros(0, 4, 3)),
    "no steps": lambda net: net(torch.zeros(2, 0, 3)),
    "no rows": lambda net: net(Ragged(values=torch.zeros(0, 3), lengths=[0, 0])),
    "no sequences, one step": lambda net: net.step(torch.zeros(0, 3), net.initial_state(0)),
}


@pytest.mark.parametrize("kind", EMPTY)
def test_a_first_call_of_a_thread_without_anything_to_do(kind):
    def job():
        net = Recurrent(CIRCUITS["gru"], x=3, h=5, engine="c")
        with torch.no_grad():
            EMPTY[kind](net)
        out = EMPTY[kind](net)
        h = out.h.values if kind == "no rows" else out.h
        assert not h.numel()
        h.sum().backward()
        return [p.grad for p in net.parameters()]

    with ThreadPoolExecutor(1) as new:
        assert not any(g.any() for g in new.submit(job).result() if g is not None)


def test_a_first_call_of_a_process_without_anything_to_do(run):
    run("import torch, unrolled; unrolled.Recurrent(unrolled.cells.gru, x=3, h=5)(torch.zeros(0, 4, 3))")


# forks


FORK = """
    import os, sys, threading, time
    import numpy as np, torch
    from unrolled import Recurrent, cells
    from unrolled.engines.c import crew

    torch.set_num_threads(2)
    net, new = (Recurrent(cells.gru, x=3, h=h, engine="c") for h in (128, 29))
    x, g = torch.randn(32, 20, 3), torch.randn(32, 20, 128)
    few, of_few = torch.randn(2, 3, 3), torch.randn(2, 3, 29)

    def job():
        out = net(x)
        return [out.h.detach(), *torch.autograd.grad(out.h, list(net.parameters()), g)]

    def compiled():
        return torch.autograd.grad(new(few).h, list(new.parameters()), of_few)

    want, stop = job(), False
    assert crew._crew().hired == 1

    def busy():
        while not stop:
            job()

    how = sys.argv[1]
    thread = threading.Thread(target={"busy": busy, "compiling": compiled}[how])
    thread.start()
    time.sleep(0.2)
    child = os.fork()
    if child == 0:
        found = job()  # compared by numpy, since a forked process lacks torch's threads
        right = all(np.array_equal(a.numpy(), b.numpy()) for a, b in zip(found, want, strict=True))
        right = right and len(compiled()) == len(list(new.parameters())) and crew._crew().hired == 1
        sys.stderr.flush()
        os._exit(0 if right else 1)
    status = os.waitpid(child, 0)[1]
    stop = True
    thread.join()
    assert all(map(torch.equal, job(), want))
    sys.exit(status)
"""


@forks
@pytest.mark.slow
@pytest.mark.parametrize("how", ["busy", "compiling"])
def test_a_forked_process_has_threads_of_its_own(run, tmp_path, how):
    """It uses two threads and compiles, even if its parent was using two threads or compiling."""
    assert not run(FORK, how, UNROLLED_CACHE=str(tmp_path / "cache") if how == "compiling" else None)[1]


@forks
def test_what_a_forked_process_removes_at_its_end_is_its_own(run, tmp_path):
    """The folder of a process without a cache exists until that process ends."""
    program = """
        import os, sys
        from unrolled.engines.c import cache

        folder = cache.private_folder()
        if os.fork() == 0:
            assert cache.private_folder() != folder
            sys.exit()
        os.wait()
        assert folder.exists()
    """
    run(program, TMPDIR=str(tmp_path))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("ending", ["sys.exit()", pytest.param("os.fork() or sys.exit()", marks=forks)])
def test_the_end_of_a_process_is_silent(run, ending):
    """Even with results, their graphs and a large block alive."""
    program = f"""
        import os, sys
        import torch
        from unrolled import Recurrent, cells

        torch.set_num_threads(2)
        net, x = Recurrent(cells.lstm, x=3, h=64, engine="c"), torch.randn(32, 400, 3)
        out = net(x)
        kept = [net(x), out]
        kept.append(kept)
        {ending}
    """
    assert run(program) == ("", "")


# signals


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs timers of Unix")
def test_an_exception_of_a_signal_handler_costs_one_call(run):
    """The exception can come at any time. Then the next call is right, the same helper works, and the crew is free."""
    program = """
        import ctypes, random, signal, time
        import torch
        from unrolled import Recurrent, cells
        from unrolled.engines.c import crew

        class Now(Exception):
            pass

        def interrupt(*_):
            global count
            count += 1
            raise Now

        torch.set_num_threads(2)
        net = Recurrent(cells.gru, x=3, h=64, engine="c")
        x, g = torch.randn(32, 40, 3), torch.randn(32, 40, 64)
        small = torch.randn(1, 3, 3)

        def job():
            out = net(x)
            return [out.h.detach(), *torch.autograd.grad(out.h, list(net.parameters()), g)]

        want, few, count = job(), net(small).h.detach(), 0
        end = time.monotonic() + 6
        signal.signal(signal.SIGALRM, interrupt)
        while count < 2000 and time.monotonic() < end:
            if random.random() < 0.02:
                crew._crews.clear()  # as in a new process, so that helpers start again
            if random.random() < 0.2:
                net.W.data.copy_(net.W.data.clone())
            try:
                signal.setitimer(signal.ITIMER_REAL, random.uniform(1e-6, 3e-3))
                for _ in range(20):
                    net(small)
                    job()
            except Now:
                pass
        signal.setitimer(signal.ITIMER_REAL, 0)
        assert count > 100, count
        for _ in range(2):
            assert all(map(torch.equal, job(), want)) and torch.equal(net(small).h, few)
        time.sleep(0.5)
        one = crew._crew()
        asleep = one.helpers[0].asleep
        job()
        assert asleep and len(one.helpers) == one.hired == 1
        busy = ctypes.c_int.from_address(one.address + 16)
        assert busy.value == 0
    """
    run(program)
