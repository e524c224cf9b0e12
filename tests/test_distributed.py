"""Several processes: who reads what, and that the training is the one of a single process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from processes import in_processes
from unrolled.data.example import Example
from unrolled.data.sequences import Batch
from unrolled.run.trained import best_model
from unrolled.sequence.ragged import Ragged
from unrolled.sequence.state import State
from unrolled.sequence.streams import Window
from unrolled.train.distributed import Ranks, _dealt, divided

TEXT = "".join(f"{i * i % 97} and {i * 7 % 31}; " for i in range(3000))


class Padded(NamedTuple):
    x: Tensor
    y: Tensor
    lengths: Tensor


class Joined(NamedTuple):
    x: Ragged
    y: Tensor


# who reads what


@given(st.lists(st.integers(0, 50), max_size=30), st.integers(1, 6))
def test_every_row_is_read_once_and_steps_are_balanced(lengths: list[int], size: int):
    found = divided(lengths, size)
    assert sorted(row for rows in found for row in rows) == list(range(len(lengths)))
    steps = [sum(lengths[row] for row in rows) for rows in found]
    assert max(steps) - min(steps) <= max(lengths, default=0)


def test_rows_are_dealt_by_their_steps_the_longest_first():
    assert divided([9, 2, 3, 8, 4], 2) == [[0, 1, 2], [3, 4]]
    assert divided([7, 7, 7], 2) == [[0, 2], [1]]


@given(st.integers(1, 9), st.integers(1, 4))
def test_streams_stay_with_their_process_and_states_come_back_in_order(rows: int, size: int):
    x = torch.arange(rows)[:, None].expand(rows, 3)
    states = (State(h=torch.randn(rows, 2), c=torch.randn(rows, 2)),)
    parts = [Ranks(rank, size).own(states) for rank in range(size)]
    for rank, part in enumerate(parts):
        read = Ranks(rank, size).share(Window(x, x)).x[:, 0] if size > 1 else x[:, 0]
        assert torch.equal(part[0].h, states[0].h[read])
    assert torch.equal(_dealt([part[0].c for part in parts]), states[0].c)


def test_a_share_has_no_more_padding_than_it_needs():
    lengths = torch.tensor([2, 9, 4, 4])
    x = torch.arange(36.0).reshape(4, 9, 1)
    batch = Padded(x, x[..., 0], lengths)
    long, short = (Ranks(rank, 2).share(batch) for rank in (0, 1))
    assert long.lengths.tolist() == [9] and short.lengths.tolist() == [2, 4, 4]
    assert short.x.shape == (3, 4, 1) and torch.equal(short.y, x[[0, 2, 3], :4, 0])
    one_answer = Ranks(1, 2).share(Padded(x, torch.arange(4), lengths))
    assert one_answer.y.tolist() == [0, 2, 3]


def test_joined_sequences_are_shared_by_their_steps():
    batch = Joined(Ragged([torch.ones(n, 2) * n for n in (5, 1, 2, 2)]), torch.arange(4))
    found = [Ranks(rank, 2).share(batch) for rank in (0, 1)]
    assert [share.x.lengths.tolist() for share in found] == [[5], [1, 2, 2]]
    assert [share.y.tolist() for share in found] == [[0], [1, 2, 3]]


@pytest.mark.parametrize("each", [True, False])
def test_batches_of_sequences_are_shared_by_their_steps(each: bool):
    """With a target per step, and with one per sequence."""
    lengths = (5, 1, 2, 2)
    y = [torch.arange(n) + 10 * n if each else torch.tensor(i) for i, n in enumerate(lengths)]
    batch = Batch.of([Example(torch.ones(n, 2) * n, target, "") for n, target in zip(lengths, y, strict=True)])
    found = [Ranks(rank, 2).share(batch) for rank in (0, 1)]
    assert [[row.shape for row in share.read] for share in found] == [[(5, 2)], [(1, 2), (2, 2), (2, 2)]]
    assert torch.equal(found[0].y, batch.y[:5] if each else batch.y[:1])
    assert torch.equal(found[1].y, batch.y[5:] if each else batch.y[1:])


# several processes

GRADIENTS = """
import sys, torch
from typing import NamedTuple
from unrolled import Ragged, cells, losses
from unrolled.nn import SequenceModel
from unrolled.train.distributed import joined
from unrolled.train.loop import Loss, Training
from unrolled.train.settings import Settings

class Batch(NamedTuple):
    x: Ragged
    y: Ragged

class Lesson:
    def __init__(self):
        torch.manual_seed(3)
        self.model = SequenceModel(cells.gru, 5, 3, 16)
        lengths = [[7, 30, 2, 11, 19], [4, 4], [6]]  # the last batch has no row for a second process
        self.all = [self.batch([torch.randn(n, 5) for n in some]) for some in lengths]

    def batch(self, sequences):
        return Batch(Ragged(sequences), Ragged([x[:, :3].argmax(-1) for x in sequences]))

    def batches(self, epoch):
        return self.all

    def loss(self, model, batch, states):
        return Loss(losses.nll(model(batch.x)[0], batch.y), len(batch.x.values))

    def validate(self, model):
        return 1.0

with joined() as ranks:
    lesson = Lesson()
    training = Training(lesson.model, lesson, Settings(updates=6, clip=1e9), ranks)
    found = []
    for progress in training.run():
        gradients = {n: p.grad.clone() for n, p in training.model.named_parameters()}
        found.append((progress.loss, progress.steps, gradients))
    torch.save(found, f"{sys.argv[1]}.{ranks.rank}")
"""


@pytest.mark.slow
def test_gradients_and_losses_are_those_of_one_process(tmp_path):
    (alone,) = in_processes(["-c", GRADIENTS], 1, tmp_path / "alone")
    for found in in_processes(["-c", GRADIENTS], 2, tmp_path / "two"):
        for (loss, steps, gradients), (loss_alone, steps_alone, wanted) in zip(found, alone, strict=True):
            assert steps == steps_alone and abs(loss - loss_alone) < 1e-6
            for name, gradient in gradients.items():
                assert (gradient - wanted[name]).abs().max() < 1e-6, name


def torchrun(arguments: list[str], folder: Path, restarts: int = 0) -> subprocess.Popen[str]:
    # not the program torchrun: it may belong to another environment
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    command += [f"--max-restarts={restarts}", "-m", "unrolled", *arguments]
    return subprocess.Popen(command, cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def curve(run: Path) -> dict[int, tuple[float, float | None]]:
    """Losses by update."""
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    return {line["update"]: (line["train"], line["validation"]) for line in lines if line["event"] == "progress"}


def close(a: dict[int, tuple[float, float | None]], b: dict[int, tuple[float, float | None]]) -> bool:
    pairs = [pair for update in a for pair in zip(a[update], b[update], strict=True)]
    return a.keys() == b.keys() and all(v == w or abs(v - w) < 1e-5 for v, w in pairs)


@pytest.fixture
def text(tmp_path: Path) -> Path:
    (tmp_path / "text.txt").write_text(TEXT)
    return tmp_path / "text.txt"


OPTIONS = ["--hidden", "24", "--batch", "5", "--window", "20", "--seed", "2", "--set", "model.dropout=0"]


@pytest.mark.slow
def test_torchrun_gives_the_curve_of_one_process_and_only_the_first_tells(text, tmp_path):
    process = torchrun(["train", "text.txt", "--updates", "60", *OPTIONS], tmp_path)
    told, problems = process.communicate(timeout=120)
    assert process.returncode == 0, problems
    assert told.count("done after 60 updates") == 1
    alone = ["train", "text.txt", "--updates", "60", *OPTIONS, "--out", "alone"]
    subprocess.run([sys.executable, "-m", "unrolled", *alone], cwd=tmp_path, check=True, capture_output=True)
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["text-gru"]
    assert close(curve(tmp_path / "runs" / "text-gru"), curve(tmp_path / "alone"))


@pytest.mark.slow
def test_a_killed_worker_starts_again_from_the_last_checkpoint(text, tmp_path):
    arguments = ["train", "text.txt", "--updates", "600", *OPTIONS, "--checkpoint-every", "20"]
    process = torchrun(arguments, tmp_path, restarts=1)
    run, deadline = tmp_path / "runs" / "text-gru", time.monotonic() + 60
    while not list(run.glob("checkpoints/000000[4-9]0")) and time.monotonic() < deadline:
        time.sleep(0.05)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    second = next(c for c in children if b"RANK=1" in Path(f"/proc/{c}/environ").read_bytes().split(b"\0"))
    os.kill(int(second), signal.SIGKILL)
    told, problems = process.communicate(timeout=200)
    assert process.returncode == 0, problems
    assert "resumed after update" in told and [path.name for path in (tmp_path / "runs").iterdir()] == ["text-gru"]
    alone = ["train", "text.txt", "--updates", "600", *OPTIONS, "--out", "alone"]
    subprocess.run([sys.executable, "-m", "unrolled", *alone], cwd=tmp_path, check=True, capture_output=True)
    found, wanted = curve(run), curve(tmp_path / "alone")
    assert found.keys() == wanted.keys() and abs(found[600][1] - wanted[600][1]) < 1e-2
    assert not best_model(run)[0].path.with_name(".part").exists()


@pytest.mark.slow
def test_wrong_use_in_several_processes_is_told_once(tmp_path):
    process = torchrun(["train", "missing.txt"], tmp_path)
    _, problems = process.communicate(timeout=60)
    assert process.returncode != 0
    assert problems.count("unrolled: there is no file 'missing.txt'") == 1, problems
