"""Compilers, also those that misbehave, and the cache of what they made: nobody else decides what is run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest
import torch

from cells_for_tests import CIRCUITS, needs_compiler
from unrolled import EngineError, Recurrent
from unrolled.engines import registry
from unrolled.engines.c import build, cache

pytestmark = needs_compiler
SOURCE = "int answer(void) { return 42; }\n"
LOAD = f"from unrolled.engines.c import build; print(build.load({SOURCE!r}, 'answer').answer())"
linux = pytest.mark.skipif(not hasattr(os, "getuid"), reason="owners and modes as on Unix")
REMEMBERED = (build.compiler, build._file, cache._lasting, cache._warn, registry.choose, registry._hint)


def forget():
    for function in REMEMBERED:
        function.cache_clear()


@pytest.fixture
def fresh(tmp_path, monkeypatch):
    """An empty cache folder, and nothing remembered from before."""
    monkeypatch.setenv("UNROLLED_CACHE", str(tmp_path / "cache"))
    forget()
    yield tmp_path / "cache"
    monkeypatch.undo()
    forget()


def answer():
    return build.load(SOURCE, "answer").answer()


def in_a_process(program=LOAD, **environment):
    """What a new process prints, and warns."""
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env={**os.environ, **environment}
    )
    assert run.returncode == 0, run.stderr
    return run.stdout.strip(), run.stderr


# the cache


def test_a_later_process_compiles_nothing(fresh):
    assert answer() == 42
    assert in_a_process(f"from unrolled.engines.c import build\nbuild._compile = None\n{LOAD}")[0] == "42"


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "of another name"])
def test_a_damaged_entry_is_built_again(fresh, damage):
    assert answer() == 42
    (entry,) = fresh.iterdir()
    whole = entry.read_bytes()
    other = build.load("int answer(void) { return 41; }\n", "answer") and next(p for p in fresh.iterdir() if p != entry)
    harm = {"cut": whole[:200], "flipped": whole[:-1] + bytes([whole[-1] ^ 1]), "empty": b""}
    entry.write_bytes(harm.get(damage, other.read_bytes()))
    assert answer() == 42
    assert entry.read_bytes()[:32] == cache._digest(entry.stem, entry.read_bytes()[32:])
    assert len(entry.read_bytes()) > 200


def test_processes_that_build_at_once_do_not_disturb_each_other(fresh):
    runs = [subprocess.Popen([sys.executable, "-c", LOAD], stdout=subprocess.PIPE, text=True) for _ in range(4)]
    assert [run.communicate()[0].strip() for run in runs] == ["42"] * 4
    assert [path.suffix for path in fresh.iterdir()] == [".kernel"]


@linux
def test_what_was_checked_is_what_is_loaded(fresh, monkeypatch):
    """An entry that is exchanged as soon as it has been checked: what was read is loaded."""
    build.load(evil := "int answer(void) { return 666; }\n", "answer")
    planted = next(fresh.iterdir()).read_bytes()
    assert answer() == 42
    (entry,) = (path for path in fresh.iterdir() if path.read_bytes() != planted)
    read = cache.read

    def read_and_exchange(key):
        found = read(key)
        entry.write_bytes(planted)
        return found

    monkeypatch.setattr(build, "read", read_and_exchange)
    assert answer() == 42 and build.load(evil, "answer").answer() == 666


@linux
@pytest.mark.parametrize("mode", [0o666, 0o620, 0o602])
def test_an_entry_that_others_can_write_is_not_loaded(fresh, mode, monkeypatch):
    monkeypatch.setattr(cache, "_group_of_one", lambda number: False)
    assert answer() == 42
    (entry,) = fresh.iterdir()
    entry.chmod(mode)
    assert cache.read(entry.stem) is None
    assert answer() == 42 and entry.stat().st_mode & 0o777 == 0o600


@linux
def test_links_are_not_followed(fresh, tmp_path):
    """An entry that is a link, or has a second name, is not read; a link in its place is replaced, not written to."""
    assert answer() == 42
    (entry,) = fresh.iterdir()
    elsewhere = tmp_path / "elsewhere"
    os.link(entry, elsewhere)
    assert cache.read(entry.stem) is None
    entry.unlink()
    assert cache.read(elsewhere.name) is None
    entry.symlink_to(elsewhere)
    assert cache.read(entry.stem) is None
    before = elsewhere.read_bytes()
    assert answer() == 42 and not entry.is_symlink()

    victim = tmp_path / "victim"
    victim.write_text("mine")
    broken = "int answer(void) { return }\n"
    with pytest.raises(EngineError):
        build.load(broken, "answer")
    (text,) = fresh.glob("*.c")
    text.unlink()
    text.symlink_to(victim)
    with pytest.raises(EngineError):
        build.load(broken, "answer")
    assert victim.read_text() == "mine" and text.read_text() == broken and elsewhere.read_bytes() == before


@linux
def test_entries_of_other_users_are_not_loaded(fresh, monkeypatch):
    assert answer() == 42
    (entry,) = fresh.iterdir()
    assert cache.read(entry.stem) is not None
    folder = cache.cache_folder()
    user = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: user + 1)
    assert cache.read(entry.stem) is None and cache._obstacle(folder)


@linux
@pytest.mark.parametrize("what", ["cache", "above", "group", "sticky"])
def test_a_folder_that_others_can_write_is_not_used(tmp_path, monkeypatch, what):
    above = tmp_path / "above"
    (above / "cache").mkdir(parents=True)
    {
        "cache": lambda: (above / "cache").chmod(0o777),
        "above": lambda: above.chmod(0o777),
        "group": lambda: (above / "cache").chmod(0o770),
        "sticky": lambda: (above / "cache").chmod(
            0o1777
        ),  # above it, only what is mine could be moved; in it, all can add
    }[what]()
    monkeypatch.setattr(cache, "_group_of_one", lambda number: False)
    monkeypatch.setenv("UNROLLED_CACHE", str(above / "cache"))
    forget()
    with pytest.warns(UserWarning, match="not used as the cache of compiled loops: others can write .*chmod go-w"):
        assert answer() == 42
    assert not list((above / "cache").iterdir())
    assert cache.cache_folder().stat().st_mode & 0o777 == 0o700
    forget()


@linux
def test_a_folder_below_tmp_or_of_a_group_of_one_is_used(tmp_path, monkeypatch):
    (tmp_path / "tmp").mkdir()
    (tmp_path / "tmp").chmod(0o1777)
    monkeypatch.setenv("UNROLLED_CACHE", str(tmp_path / "tmp" / "cache"))
    forget()
    assert answer() == 42 and cache.cache_folder() == tmp_path / "tmp" / "cache"
    cache.cache_folder().chmod(0o770)
    monkeypatch.setattr(cache, "_group_of_one", lambda number: True)
    assert not cache._obstacle(cache.cache_folder())
    forget()


def test_a_cache_that_cannot_be_written_is_done_without(fresh, monkeypatch):
    fresh.parent.joinpath("file").write_text("")
    monkeypatch.setenv("UNROLLED_CACHE", str(fresh.parent / "file" / "cache"))
    forget()
    with pytest.warns(UserWarning, match="cannot be written .*; compiled loops are not cached"):
        assert answer() == 42
    assert answer() == 42  # said once


def test_a_disk_that_fills_up_costs_only_the_cache(fresh, monkeypatch):
    folder = str(cache.cache_folder())

    def full(path, *rest):
        if str(path).startswith(folder):
            raise OSError(28, "No space left on device")
        return real(path, *rest)

    real = os.open
    monkeypatch.setattr(cache.os, "open", full)
    with pytest.warns(
        UserWarning, match="cannot be written \\(No space left on device\\); compiled loops are not cached"
    ):
        assert answer() == 42
    assert not list(fresh.iterdir())


def test_a_user_without_home_and_entry(tmp_path):
    """As in a container that runs under any number."""
    program = textwrap.dedent(f"""
        import os, pathlib, warnings
        def home():
            raise RuntimeError("Could not determine home directory.")
        pathlib.Path.home = home
        from unrolled.engines.c import cache
        {LOAD}
        print(cache.cache_folder())
    """)
    environment = {"UNROLLED_CACHE": "", "XDG_CACHE_HOME": "", "TMPDIR": str(tmp_path)}
    (said, folder), warned = (lambda run: (run[0].split(), run[1]))(in_a_process(program, **environment))
    assert said == "42" and warned.count("there is no home folder for the cache of compiled loops") == 1
    assert Path(folder).parent == tmp_path and not list(tmp_path.iterdir())  # it is gone with the process


# compilers

NOTHING = """
    exit 0
"""
EMPTY = """
    : > "$out"
"""
SILENT = """
    exit 3
"""
BROKEN = """
    echo "fatal error: what is this?" >&2
    exit 1
"""
KILLED = """
    kill -9 $$
"""
HANG = """
    sleep 100
"""
FLOOD = """
    yes "warning: again"
"""
FOREIGN = """
    printf '\\177ELF\\001\\001\\001' > "$out"
"""
OTHER = """
    echo "int other(void) { return 1; }" > "$out.c"
    cc -shared -fPIC -o "$out" "$out.c"
"""
MISBEHAVIOURS = {
    "makes nothing": NOTHING,
    "makes an empty file": EMPTY,
    "fails silently": SILENT,
    "fails": BROKEN,
    "is killed": KILLED,
    "hangs": HANG,
    "floods": FLOOD,
    "makes something for another machine": FOREIGN,
    "makes another function": OTHER,
}
unix = pytest.mark.skipif(os.name != "posix", reason="compilers written as shell scripts")


def script(folder, body):
    """A compiler that sets $out to the file that it is to make, and does this."""
    find = 'while [ "$1" != -o ]; do shift; done; out=$2'
    path = folder / "compiler"
    path.write_text(f"#!/bin/sh\n{find}\n{textwrap.dedent(body)}")
    path.chmod(0o755)
    return path


def named(monkeypatch, command):
    monkeypatch.setenv("CC", str(command))
    forget()


def refusal():
    """The message of a first call."""
    with pytest.raises(EngineError) as caught:
        build.load(SOURCE, "answer")
    return str(caught.value)


@unix
def test_each_misbehaviour_is_one_error(fresh, tmp_path, monkeypatch, golden):
    """Nothing of it stays in the cache but the text, and the next compiler is not disturbed."""
    monkeypatch.setattr(build, "MOST_OUTPUT", 2**20)
    messages = {}
    for name, body in MISBEHAVIOURS.items():
        monkeypatch.setenv("UNROLLED_COMPILE_SECONDS", "2" if body is HANG else "60")
        named(monkeypatch, script(tmp_path, body))
        messages[name] = refusal()
        assert [path.suffix for path in fresh.iterdir()] == [".c"], name
        (kept,) = fresh.iterdir()
        assert kept.read_text() == SOURCE and str(kept) in messages[name]
        kept.unlink()
    for name, command in {
        "names nothing": "no-such-compiler --fast",
        "has an open quote": "gcc 'open",
        "is no program": tmp_path / "text",
    }.items():
        (tmp_path / "text").write_text("not a program")
        (tmp_path / "text").chmod(0o755)
        named(monkeypatch, command)
        messages[name] = refusal()
    monkeypatch.delenv("CC")
    forget()
    assert answer() == 42
    text = "\n\n".join(f"a compiler that {name}\n{message}" for name, message in messages.items()) + "\n"
    text = re.sub(r"saved as \S+?/[0-9a-f]{64}\.c", "saved as CACHE/KEY.c", text).replace(str(tmp_path), "FOLDER")
    text = re.sub(r"\S+/\.unrolled-\w+\.so: .*", "COPY.so: (what the loader says)", text)
    golden("compiler_errors.txt", re.sub(r"(warning: again\n)+", "warning: again\n", text))


@unix
def test_flags_and_seconds_that_make_no_sense(fresh, monkeypatch):
    monkeypatch.setenv("UNROLLED_CFLAGS", '"-O3')
    assert "$UNROLLED_CFLAGS cannot be read as a shell reads it (no closing quotation)" in refusal()
    monkeypatch.delenv("UNROLLED_CFLAGS")
    monkeypatch.setenv("UNROLLED_COMPILE_SECONDS", "soon")
    assert refusal() == "$UNROLLED_COMPILE_SECONDS must be a number of seconds, got 'soon'"


def test_more_flags_make_another_library(fresh, monkeypatch):
    source = "int answer(void) { return ANSWER; }\n"
    for value in ("1", "2", "1"):
        monkeypatch.setenv("UNROLLED_CFLAGS", f"-DANSWER={value}")
        assert build.load(source, "answer").answer() == int(value)
    assert len(list(fresh.iterdir())) == 2


@unix
def test_what_a_compiler_has_started_ends_with_it(fresh, tmp_path, monkeypatch):
    """And a compiler whose messages another process could still write to is not waited for."""
    monkeypatch.setenv("UNROLLED_COMPILE_SECONDS", "0.5")
    survived, pid = tmp_path / "survived", tmp_path / "pid"
    named(monkeypatch, script(tmp_path, f"(sleep 1; touch {survived}) & wait"))
    assert "did not finish within" in refusal()
    monkeypatch.setenv("UNROLLED_COMPILE_SECONDS", "60")
    named(monkeypatch, script(tmp_path, f'sleep 30 & echo $! > {pid}; echo "error" >&2; exit 1'))
    begin = time.monotonic()
    assert "failed (exit status 1)" in refusal() and time.monotonic() - begin < 20
    os.kill(int(pid.read_text()), 9)
    time.sleep(max(0, 1.2 - (time.monotonic() - begin)))
    assert not survived.exists()


@unix
def test_a_broken_compiler_is_not_passed_over(fresh, tmp_path, monkeypatch):
    """engine="auto" has chosen loops that are compiled: the first call says what is wrong, and a later one can work."""
    named(monkeypatch, script(tmp_path, BROKEN))
    net, x = Recurrent(CIRCUITS["rnn"], x=3, h=4), torch.randn(1, 2, 3)
    circuit = Recurrent(CIRCUITS["rnn"], x=3, h=5)  # sizes that no other test has compiled
    assert net.engine == "c"
    with pytest.raises(EngineError, match=r"(?s)compiler failed .*with \$CC, or use engine=\"torch\""):
        circuit(x)
    monkeypatch.delenv("CC")
    forget()
    assert circuit(x).h.isfinite().all()


@pytest.mark.parametrize(
    ("command", "said"), [("no-such-compiler", "'no-such-compiler', which was not"), ("'", "quot")]
)
def test_a_compiler_that_is_not_there_is_named(fresh, monkeypatch, caplog, command, said):
    named(monkeypatch, command)
    net = Recurrent(CIRCUITS["rnn"], x=3, h=4)
    assert net.engine == "torch" and "$CC" in net.explain() and said in net.explain()
    Recurrent(CIRCUITS["gru"], x=3, h=4)
    assert len([record for record in caplog.records if "slower" in record.message]) == 1
    net(torch.randn(1, 2, 3)).h.sum().backward()
    with pytest.raises(EngineError, match=r'engine="c" is not available: \$CC'):
        Recurrent(CIRCUITS["rnn"], x=3, h=4, engine="c")


def test_without_a_compiler(fresh, monkeypatch, caplog):
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(build.importlib.util, "find_spec", lambda name: None)
    forget()
    net = Recurrent(CIRCUITS["rnn"], x=3, h=4)
    assert net.engine == "torch" and 'pip install "unrolled[compiler]"' in net.explain()
    assert [record.message for record in caplog.records if "slower" in record.message] == [
        f"using engine 'torch', which is slower than 'c': {build.INSTALL}"
    ]
    with pytest.raises(EngineError, match='engine="c" is not available: no C compiler was found'):
        Recurrent(CIRCUITS["rnn"], x=3, h=4, engine="c")


def test_threads_that_want_the_same_compile_it_once(fresh, monkeypatch):
    calls, compiled = [], build._compile
    monkeypatch.setattr(build, "_compile", lambda *given: calls.append(given) or compiled(*given))
    threads = [threading.Thread(target=answer) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(calls) == 1
