"""Characters as numbers, models of every cell, and what they say about a text."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from trainings import Made, made
from unrolled import Circuit, cells, circuit, nll, softmax, squared_error, take, tanh
from unrolled.cells import ALL, autonomous, elman, gru, jordan, lstm
from unrolled.cli import main
from unrolled.data.bits import bits_per_step, frequency_bits
from unrolled.data.characters import Vocabulary
from unrolled.data.documents import Documents, read_documents
from unrolled.data.language import Language, LanguageOptions, Text
from unrolled.data.reading import Reading
from unrolled.data.tokens import Tokens
from unrolled.data.units import Bytes, Subwords, Words, stored_units
from unrolled.data.writing import likeliest, write
from unrolled.errors import CircuitError, DataError, UsageError
from unrolled.files.text import read_text
from unrolled.nn.model import SequenceModel
from unrolled.run.folder import RunFolder
from unrolled.run.trained import Trained
from unrolled.sequence import losses
from unrolled.sequence.streams import windows

POEM = "Die Sonne tönt nach alter Weise\nin Brudersphären Wettgesang,\n" * 20
# es_rnn reads cycles of a series; attention also reads a memory
READERS = [name for name in ALL if name not in ("autonomous", "es_rnn") and not ALL[name].recurrence.fixed]


# text


@given(st.text(st.characters(codec="utf-8"), min_size=1))
def test_text_survives_its_numbers(text: str):
    vocabulary = Vocabulary.of(text)
    assert vocabulary.characters == "".join(sorted(set(text)))
    assert "".join(map(vocabulary.decode, vocabulary.encode(text))) == text
    assert vocabulary.unknown(text) is None


def test_what_is_unknown_is_found_and_counted():
    vocabulary = Vocabulary.of("abc\n")
    unknown = vocabulary.unknown("ab\ncab€b\n€")
    assert unknown and (unknown.character, unknown.line, unknown.column, unknown.count) == ("€", 2, 4, 2)
    assert vocabulary.without_unknown("ab\ncab€b\n€") == "ab\ncabb\n"


def test_the_parts_are_contiguous_and_whole(tmp_path: Path):
    series = torch.arange(1000)
    characters = Vocabulary.of("".join(map(chr, range(14, 1014))))
    (tmp_path / "text.txt").write_text(characters.characters, encoding="utf-8")
    parts = read_documents(tmp_path / "text.txt").encoded(characters)
    assert [len(p) for p in parts] == [900, 50, 50]
    assert torch.equal(torch.cat([part.read(0, len(part)) for part in parts]), series)


def test_the_baseline_is_the_entropy_of_the_letters():
    train = torch.tensor([0] * 511 + [1] * 255 + [2] * 255)  # shares 1/2, 1/4, 1/4 with one more of each
    assert frequency_bits(train.split(300), [torch.tensor([0, 0, 1]), torch.tensor([2])], 3) == pytest.approx(1.5)
    assert math.isfinite(frequency_bits([torch.tensor([0, 0])], [torch.tensor([1])], 2)), (
        "never seen, yet not impossible"
    )


def test_files_that_are_no_text_say_where(tmp_path: Path):
    path = tmp_path / "latin.txt"
    path.write_bytes("gut\nschön\n".encode("latin1"))
    with pytest.raises(DataError, match=r"latin.txt:2: the text is not UTF-8: byte 0xf6 at offset 7"):
        read_text(path)
    path.write_bytes(b"")
    with pytest.raises(DataError, match="is empty"):
        read_text(path)
    path.write_bytes("\ufeffgut\r\n".encode())
    assert read_text(path) == "gut\n" and read_text(path, line_ends=False) == "gut\r\n", "no byte order mark"


# models


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("name", READERS)
@pytest.mark.slow
def test_every_cell_with_an_input_learns(name: str, layers: int):
    torch.manual_seed(0)
    model = SequenceModel(ALL[name], 5, 5, 6, layers=layers)
    tokens = torch.randint(5, (3, 8))
    scores, states = model(tokens)
    assert scores.shape == (3, 8, 5) and len(states) == layers
    assert model.hidden == 6 and ("h" not in states[0] or states[0].h.shape == (3, 6))
    losses.nll(scores, tokens).backward()
    for parameter_name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, parameter_name


@pytest.mark.parametrize("name", READERS)
@pytest.mark.slow
def test_cutting_a_text_anywhere_changes_nothing(name: str):
    torch.manual_seed(0)
    model = SequenceModel(ALL[name], 5, 5, 6, layers=2)
    tokens = torch.randint(5, (3, 8))
    whole, _ = model(tokens)
    head, states = model(tokens[:, :3])
    tail, _ = model(tokens[:, 3:], states)
    torch.testing.assert_close(torch.cat([head, tail], 1), whole)


def test_errors_go_back_over_a_window_from_every_stride():
    """BPTT(h; h') written out: the state before a window is fixed, its new steps count, and errors stay inside it."""
    kind = Language(LanguageOptions(), Reading(batch=2, window=7, stride=3), Vocabulary.of("abcd"))
    documents, nothing = Documents("", {}, many=False, by_line=False), Tokens.of([], 4)
    series = torch.randint(4, (61,))
    data = Text(kind, Path(), "", True, documents, Tokens.of([series], 4), nothing, nothing)
    model = SequenceModel(cells.gru, 4, 4, 5)
    whole = series[:60].reshape(2, 30)  # rows of 30 steps, read as 7 new steps, then 3 each
    states, seen = (), 0
    for number, batch in enumerate(data.batches(0)):
        begin = 3 * number
        assert torch.equal(batch.x, whole[:, begin : begin + 7])
        model.zero_grad()
        total, steps, after = data.loss(model, batch, states)
        total.backward()
        found = [p.grad.clone() for p in model.parameters()]
        with torch.no_grad():
            before = model(whole[:, :begin])[1] if begin else None
        model.zero_grad()
        scores, _ = model(batch.x, before)
        new = 7 if not number else 3
        losses.nll(scores[:, -new:], batch.y[:, -new:]).backward()
        for ours, right in zip(found, [p.grad for p in model.parameters()], strict=True):
            torch.testing.assert_close(ours, right, rtol=1e-4, atol=1e-5)
        states, seen = tuple(s.detach() for s in after), seen + steps
    assert seen == 2 * 28


def test_a_read_out_is_added_only_where_the_circuit_has_none():
    assert isinstance(SequenceModel(elman, 5, 5, 6).read_out, torch.nn.Identity)
    assert isinstance(SequenceModel(jordan, 5, 5, 6).read_out, torch.nn.Identity)
    assert isinstance(SequenceModel(lstm, 5, 5, 6).read_out, torch.nn.Linear)
    assert SequenceModel(jordan, 5, 5, 6).first.sizes["h"] == 6, (
        "where the only state is o, the hidden values have the size"
    )


def test_what_only_a_loss_needs_may_be_absent():
    @circuit
    def lecture(x, y, h, *, U, W, b, V, c):
        h = tanh(b + W @ h + U @ x)
        o = c + V @ h
        yhat = softmax(o)
        return {"h": h, "o": o, "yhat": yhat, "L": nll(o, y)}

    @circuit
    def embedded(x, h, *, E, W):
        h = tanh(take(E, x) + W @ h)
        return {"h": h}

    @circuit
    def squared(x, y, h, *, U, W, V):
        h = tanh(U @ x + W @ h)
        o = V @ h
        return {"h": h, "o": o, "L": squared_error(o, y)}

    for cell in (lecture, embedded, squared):
        scores, states = SequenceModel(cell, 5, 5, 6)(torch.randint(5, (2, 3)))
        assert scores.shape == (2, 3, 5) and states[0].h.shape == (2, 6)
    with pytest.raises(CircuitError, match="reads tokens, but only the first of layers=2 gets tokens"):
        SequenceModel(embedded, 5, 5, 6, layers=2)


def test_circuits_that_do_not_read_one_thing_are_refused():
    @circuit
    def two(x, z, h, *, U, V, W):
        h = tanh(U @ x + V @ z + W @ h)
        return {"h": h}

    with pytest.raises(CircuitError, match="exactly one input; 'two' has the inputs x, z"):
        SequenceModel(two, 5, 5)
    with pytest.raises(CircuitError, match="exactly one input; 'autonomous' has no input"):
        SequenceModel(autonomous, 5, 5)


def test_a_hidden_size_that_nothing_can_have_is_refused():
    @circuit
    def tied(x, h, *, W):
        h = tanh(x + W @ h)
        return {"h": h}

    assert SequenceModel(tied, 5, 5).hidden is None
    with pytest.raises(UsageError, match="'tied' leave no hidden size to choose: with x=5 they give h=5"):
        SequenceModel(tied, 5, 5, 6)
    with pytest.raises(UsageError, match="hidden must be at least 1, got 0"):
        SequenceModel(gru, 5, 5, 0)


# measures


def test_bits_are_counted_once_for_every_character_but_the_first():
    torch.manual_seed(0)
    model = SequenceModel(gru, 5, 5, 6)
    series = torch.randint(5, (47,))
    scores, _ = model(series[None, :-1])
    whole = losses.nll(scores, series[None, 1:]).item() / math.log(2) / 46
    assert bits_per_step(model, series) == pytest.approx(whole, rel=1e-6)
    rows = [losses.nll(model(x)[0], y).item() for x, y in windows(series, 4, 100)]
    scores, _ = model(series[None, 33:-1])  # the last of 4 pieces and the rest, in one go
    last = losses.nll(scores, series[None, 34:]).item()
    scores, _ = model(series[None, 33:44])
    apart = sum(rows) - losses.nll(scores, series[None, 34:45]).item() + last
    assert bits_per_step(model, series, piece=11) == pytest.approx(apart / math.log(2) / 46, rel=1e-6)


def test_what_is_written_follows_the_scores():
    torch.manual_seed(0)
    model, start = SequenceModel(gru, 5, 5, 6), torch.tensor([1, 2])
    with torch.no_grad():
        model.read_out.bias.copy_(torch.tensor([0.0, 1.0, 2.0, 3.0, 4.0]))
    assert list(write(model, start, 30, seed=1)) == list(write(model, start, 30, seed=1))
    assert list(write(model, start, 30, seed=1)) != list(write(model, start, 30, seed=2))
    likeliest = list(write(model, start, 5, temperature=0))
    text = [*start.tolist(), *likeliest]
    for position in range(2, 7):
        assert text[position] == model(torch.tensor([text[:position]]))[0][0, -1].argmax()
    assert list(write(model, start, 5, temperature=1e-6)) == likeliest
    drawn = torch.bincount(torch.tensor(list(write(model, start, 600))), minlength=5) / 600
    assert drawn[4] > 0.4 and (drawn > 0).all()


@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=30))
def test_bytes_words_and_subwords_survive_their_numbers(text: str):
    for units in (Bytes(), Words.of(text, 400), SUBWORDS):
        again = stored_units(type(units).__name__.lower()[:-1], units.dump())
        assert "".join(again.texts(again.encode(text).tolist())) == text, type(units)


SUBWORDS = Subwords.of(POEM, 400)


def test_rare_words_are_one():
    words = Words.of("a b a c a b", 3)  # the space is the commonest
    assert words.words == ("\ufffd", " ", "a")
    assert words.encode("a b").tolist() == [2, 1, 0]


def test_words_are_those_of_the_part_to_learn_from(tmp_path: Path):
    (tmp_path / "text.txt").write_text("alpha beta " * 300 + "omega " * 15)
    data = made(tmp_path / "text.txt", gru, {"data": {"unit": "word"}, "reading": {"batch": 2}}).data
    words = data.kind.vocabulary.words
    assert {" ", "alpha", "beta"} < set(words) and "omega" not in words
    assert (data.test.read(0, len(data.test)) == 0).any(), "omega is unknown there"


@pytest.mark.parametrize("unit", ["byte", "word", "subword"])
def test_a_text_is_learned_in_other_pieces(unit: str, tmp_path: Path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "poem.txt").write_text(POEM, encoding="utf-8")
    command = ["train", "poem.txt", "--updates", "80", "--hidden", "12", "--rate", "0.03", "--out", "run"]
    command += ["--batch", "4", "--set", f"data.unit={unit}", "--set", "data.vocabulary=300"]
    assert main([*command, "--json"]) == 0
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert last[f"bits_per_{unit}"] < last["by_frequency_alone"]
    if unit != "byte":
        assert last["perplexity"] == pytest.approx(2 ** last[f"bits_per_{unit}"])
    assert main(["evaluate", "run", "poem.txt", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["bits"] == last[f"bits_per_{unit}"]
    assert main(["sample", "run", "--prompt", "Sonne", "--length", "12"]) == 0
    assert capsys.readouterr().out.startswith("Sonne")


@given(st.lists(st.floats(0.01, 1), min_size=1, max_size=8), st.floats(0.05, 1))
def test_only_the_likeliest_are_drawn(weights: list[float], top_p: float):
    shares = torch.tensor(weights, dtype=torch.float64)
    shares /= shares.sum()
    left = likeliest(shares, top_p)
    kept = left > 0
    assert torch.equal(left[kept], shares[kept]) and left.sum() >= top_p - 1e-9
    if not kept.all():
        assert shares[~kept].max() <= shares[kept].min()
        assert left.sum() - shares[kept].min() < top_p, "one less would be too few"


# from a text to a run folder, and back


def learned(folder: Path, cell: Circuit, updates: int, **model: int) -> Made:
    (folder / "poem.txt").write_text(POEM, encoding="utf-8")
    sections = {"model": model, "reading": {"batch": 4, "window": 20}, "training": {"updates": updates}}
    task = made(folder / "poem.txt", cell, sections)
    for _ in task.begin(RunFolder(folder / "run")).fit():
        pass
    return task


@pytest.mark.parametrize("name", READERS)
@pytest.mark.slow
def test_a_run_folder_gives_the_same_model_again(name: str, tmp_path: Path):
    task = learned(tmp_path, ALL[name], 3, hidden=5, layers=2)
    trained = Trained.load(tmp_path / "run")
    score = trained.evaluate(tmp_path / "poem.txt")
    assert (score["bits"], score["held_out"], score["skipped"]) == (task.result()["bits_per_character"], True, 0)
    prompt = trained.kind.encode("Sonne")
    assert list(write(trained.model, prompt, 20)) == list(write(task.model, prompt, 20))
    assert trained.model.circuit.equations() == ALL[name].equations()


def test_other_text_is_read_as_a_whole(tmp_path: Path):
    learned(tmp_path, gru, 2, hidden=5)
    trained, other = Trained.load(tmp_path / "run"), tmp_path / "other.txt"
    other.write_text("alter Wettgesang\n", encoding="utf-8")
    score = trained.evaluate(other)
    assert score["characters"] == 17 and not score["held_out"]
    other.write_text("alter\nWettgesäng!!\n", encoding="utf-8")
    with pytest.raises(
        DataError, match=r"other.txt:2:11: the model has never seen the character '!' \(unknown .*: 2\)"
    ):
        trained.evaluate(other)
    skipping = trained.evaluate(other, skip_unknown=True)
    assert (skipping["characters"], skipping["skipped"]) == (17, 2)


@pytest.mark.parametrize(
    ("wrong", "message"), [({"batch": 0}, "batch"), ({"window": 0}, "window"), ({"seed": -1}, "seed")]
)
def test_choices_refuse_what_makes_no_training(wrong: dict, message: str):
    with pytest.raises(UsageError, match=message):
        Reading(**wrong)
