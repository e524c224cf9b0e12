"""Bidirectional models: their last state, and the tasks in which they would see the answer."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from unrolled import Ragged, cells
from unrolled.cli import main
from unrolled.errors import UsageError
from unrolled.nn import SequenceModel, interop
from unrolled.tasks.language import LanguageModel
from unrolled.tasks.language_stream import LanguageStream
from unrolled.tasks.registry import options_for
from unrolled.tasks.stream import Streaming
from unrolled.tasks.vocabulary import Vocabulary
from unrolled.tasks.way import Way

TORCH = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU, "rnn": torch.nn.RNN}


def answered_from(model: SequenceModel, x: torch.Tensor | Ragged, **more: object) -> torch.Tensor:
    """The input of the read-out: the last states of both directions, side by side."""
    seen: list[torch.Tensor] = []
    handle = model.read_out.register_forward_hook(lambda module, given, out: seen.append(given[0]))
    try:
        model(x, **more)
    finally:
        handle.remove()
    return seen[0]


def torch_twin(model: SequenceModel, kind: type[torch.nn.RNNBase], inputs: int, hidden: int) -> torch.nn.RNNBase:
    """torch's bidirectional module with the weights of a model."""
    layers = len(model.layers)
    twin = kind(inputs, hidden, layers, batch_first=True, bidirectional=True, dtype=torch.float64)
    with torch.no_grad():
        for number in range(layers):
            for direction, suffix in ((model.layers, ""), (model.backward_layers, "_reverse")):
                for name, value in interop.to_torch(direction[number]).named_parameters():
                    twin.get_parameter(f"{name.removesuffix('_l0')}_l{number}{suffix}").copy_(value)
    return twin


@pytest.mark.parametrize("layout", ["dense", "ragged"])
@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("cell", sorted(TORCH))
def test_the_last_answer_is_h_n_of_torch(cell: str, layers: int, layout: str):
    torch.manual_seed(0)
    model = SequenceModel(cells.ALL[cell], 3, 2, 4, layers, bidirectional=True, answer="last").double()
    twin = torch_twin(model, TORCH[cell], 3, 4)
    lengths = [6, 1, 4] if layout == "ragged" else [5, 5]
    sequences = [torch.randn(n, 3, dtype=torch.float64, requires_grad=True) for n in lengths]
    found = answered_from(model, Ragged(sequences) if layout == "ragged" else torch.stack(sequences))
    packed = torch.nn.utils.rnn.pack_sequence(sequences, enforce_sorted=False)
    hidden = twin(packed)[1]
    wanted = torch.cat(list((hidden[0] if cell == "lstm" else hidden)[-2:]), -1)  # those of the last layer
    torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-12)
    weights = torch.randn_like(found)
    for ours, theirs in zip(
        torch.autograd.grad((found * weights).sum(), sequences),
        torch.autograd.grad((wanted * weights).sum(), sequences),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("options", [{}, {"residual": True}, {"dropout": 0.5}, {"weight_dropout": 0.5}])
@pytest.mark.parametrize("layers", [1, 3])
def test_both_directions_of_the_last_answer_read_every_step(layers: int, options: dict):
    torch.manual_seed(0)
    model = SequenceModel(cells.gru, 8, 2, 4, layers, bidirectional=True, answer="last", **options)
    x = torch.randn(3, 7, 8, requires_grad=True)
    answer = answered_from(model, x)
    for half in answer.split(4, -1):
        (gradient,) = torch.autograd.grad(half.sum(), x, retain_graph=True)
        assert (gradient.abs().sum((0, 2)) > 0).all(), "at every step"


def test_the_last_answer_with_residuals_adds_what_each_direction_has_read():
    torch.manual_seed(0)
    model = SequenceModel(cells.rnn, 8, 2, 4, 2, bidirectional=True, residual=True, answer="last")
    x = torch.randn(2, 5, 8)
    values = x
    for forward, backward in zip(model.layers, model.backward_layers, strict=True):
        values = values + torch.cat([forward(values).h, backward(values.flip(1)).h.flip(1)], -1)
    torch.testing.assert_close(answered_from(model, x), torch.cat([values[:, -1, :4], values[:, 0, 4:]], -1))


@pytest.mark.parametrize("layout", ["dense", "ragged"])
def test_the_last_answer_is_of_the_last_sequence_in_a_row(layout: str):
    torch.manual_seed(0)
    model = SequenceModel(cells.gru, 3, 2, 4, 2, bidirectional=True, answer="last")
    joined, reset = torch.randn(2, 8, 3), torch.zeros(2, 8, dtype=torch.bool)
    reset[0, [3, 4]] = True
    ragged = layout == "ragged"
    x, mask = (Ragged(list(joined)), Ragged(list(reset))) if ragged else (joined, reset)
    found, _ = model(x, reset=mask)
    torch.testing.assert_close(found[:1], model(joined[:1, 4:])[0])
    torch.testing.assert_close(found[1:], model(joined[1:])[0])


# where the answer is a later input


SEEING = {"model": {"bidirectional": True}}


@pytest.mark.parametrize(
    ("task", "data", "predicted"),
    [
        ("language", {}, "the next character"),
        ("language", {"unit": "word"}, "the next word"),
        ("language", {"document": "line"}, "the next character"),
        ("music", {}, "the next frame"),
        ("table", {}, "a later value (data.goal=forecast)"),
    ],
)
def test_two_directions_are_refused_where_they_would_read_the_answer(task: str, data: dict, predicted: str):
    with pytest.raises(UsageError) as caught:
        options_for(task, {**SEEING, "data": data})
    assert str(caught.value).startswith(f"model.bidirectional=true cannot predict {predicted}: ")


@pytest.mark.parametrize(
    ("task", "data"), [("voice", {}), ("table", {"goal": "steps"}), ("table", {"goal": "sequences", "sequence": "who"})]
)
def test_two_directions_are_for_labels(task: str, data: dict):
    assert options_for(task, {**SEEING, "data": data}).model.bidirectional


def test_a_language_model_has_one_direction():
    with pytest.raises(UsageError, match="the character that is to be predicted"):
        LanguageModel(cells.gru, 5, 4, bidirectional=True)


@pytest.mark.parametrize("name", ["coin.txt", "noise.csv"])
def test_training_is_refused_before_anything_is_read(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    Path(name).write_bytes(b"\xff\xfe not a table and not UTF-8")
    assert main(["train", name, "--updates", "1", "--set", "model.bidirectional=true"]) == 2
    told = capsys.readouterr()
    assert told.out == "" and told.err.startswith("unrolled: model.bidirectional=true cannot predict ")
    assert not Path("runs").exists()


def test_a_run_that_saw_the_answer_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """A run as an earlier version wrote it."""
    from unrolled.tasks.options import Options

    monkeypatch.chdir(tmp_path)
    Path("coin.txt").write_text("heads tails tails heads " * 60)
    with monkeypatch.context() as before:
        before.setattr(Options, "__post_init__", lambda self: None)
        assert main(["train", "coin.txt", "--updates", "2", "--out", "run", "--set", "model.bidirectional=true"]) == 0
    capsys.readouterr()
    for command in (
        ["evaluate", "run", "coin.txt"],
        ["sample", "run"],
        ["stream", "run", "coin.txt"],
        ["train", "--resume", "run"],
    ):
        assert main(command) == 2
        assert "model.bidirectional=true cannot predict the next character" in capsys.readouterr().err


def test_a_stream_is_read_in_one_direction(tmp_path: Path):
    model = SequenceModel(cells.gru, 3, 3, 4, bidirectional=True)
    streamed = LanguageStream(model, Vocabulary("abc"), Way())
    with pytest.raises(UsageError, match="a model of two directions cannot read a stream"):
        Streaming(streamed, tmp_path / "text.txt", None, Way())


def test_a_last_answer_of_an_earlier_version_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    rows = [f"{who},{step * (1 + who % 2)},{'ab'[who % 2]}" for who in range(24) for step in range(4)]
    Path("d.csv").write_text("\n".join(["who,x,label", *rows]) + "\n")
    goal = ["--set", "data.goal=sequences", "--set", "data.sequence=who"]
    for out, both in (("one", "false"), ("two", "true")):
        command = ["train", "d.csv", "--updates", "2", "--out", out, "--set", f"model.bidirectional={both}", *goal]
        assert main(command) == 0
        assert main(["evaluate", out, "d.csv"]) == 0
    for config in sorted(Path().rglob("config.json")):
        values = json.loads(config.read_text())
        assert values["format"] == 3
    for run in ("one", "two"):
        _say_format_2(Path(run))
    capsys.readouterr()
    assert main(["evaluate", "one", "d.csv"]) == 0, "one direction answers as it did"
    for command in (["evaluate", "two", "d.csv"], ["predict", "two", "d.csv"], ["train", "--resume", "two"]):
        assert main(command) == 2
        assert "an earlier version trained it to answer" in capsys.readouterr().err


def _say_format_2(run: Path) -> None:
    """Set the previous format number in a run's description and checkpoints."""
    from unrolled.train.checkpoint import Checkpoint, as_json, read_checkpoint, write_checkpoint
    from unrolled.train.run_folder import checkpoints

    config = json.loads((run / "config.json").read_text()) | {"format": 2}
    (run / "config.json").write_bytes(as_json(config))
    for path in checkpoints(run):
        found = read_checkpoint(path)
        for file in path.iterdir():
            file.unlink()
        path.rmdir()
        write_checkpoint(path, Checkpoint(found.model, found.optimizer, config, found.progress))
