"""Pairs of a source and a target: what is understood of a file, batches, scores, trainings, answers and bad input."""

from __future__ import annotations

import csv
import functools
import io
import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from bad_inputs import Case, messages
from unrolled import cells
from unrolled.cli import main
from unrolled.cli.cell import find_cell
from unrolled.data.kinds import recognise
from unrolled.data.pairs.content import read_content
from unrolled.data.pairs.example import Batch, batches_by_length
from unrolled.data.pairs.kind import Pairs
from unrolled.data.pairs.rows import Row, read_rows
from unrolled.data.pairs.scores import Scores, distance
from unrolled.data.pairs.symbols import END, UNKNOWN
from unrolled.data.reading import Reading
from unrolled.nn import EncoderDecoder
from unrolled.run.spec import Spec
from unrolled.run.trained import Trained, begin
from unrolled.train.distributed import Ranks
from unrolled.train.loop import Training
from unrolled.train.snapshot import capture, restore

LETTERS = "abcdef"


def words(count: int = 300, seed: int = 0) -> list[str]:
    """Different words."""
    draw = random.Random(seed)
    found = dict.fromkeys("".join(draw.choices(LETTERS, k=draw.randint(1, 7))) for _ in range(4 * count))
    return list(found)[:count]


def write(path: Path, rows: list[tuple[str, ...]], end: str = "\n") -> Path:
    path.write_bytes("".join("\t".join(row) + end for row in rows).encode())
    return path


def spelled(word: str) -> str:
    """A target of words: the letters in upper case, an E twice."""
    return " ".join("E E" if letter == "e" else letter.upper() for letter in word)


@pytest.fixture
def spelling(tmp_path: Path) -> Path:
    return write(tmp_path / "spelling.tsv", [(word, spelled(word)) for word in words()])


def learned(path: Path, reading: Reading | None = None, **options: object):
    return Pairs.learn(path, Pairs.Options(**options), reading or Reading())


def made(path: Path, **sections: dict) -> tuple[Spec, object, EncoderDecoder]:
    """A small training; all have the same sizes, so that their loops are compiled once."""
    model, data = {"hidden": 5, **sections.get("model", {})}, {"target_unit": "word"}
    spec = Spec.read("pairs", {"training": {"updates": 10}, "data": data, **sections, "model": model})
    data, model = begin(spec, cells.gru, path, decoder=find_cell(spec.model.decoder))
    return spec, data, model


# reading


def test_rows_are_what_the_file_says(tmp_path: Path):
    path = tmp_path / "p.tsv"
    path.write_bytes("\ufeffwalk\twalked\tV;PST\r\ngo \t went\tV;PST\r\rsee\tsaw\tV PST\n\n".encode())
    assert [tuple(row) for row in read_rows(path)] == [
        (1, "walk", "walked", "V;PST"),
        (2, "go", "went", "V;PST"),
        (4, "see", "saw", "V PST"),
    ]


def test_a_line_end_inside_of_a_cell_is_a_character(tmp_path: Path):
    """Only the line ends of systems end a line, not every separator of Unicode."""
    (row,) = read_rows(write(tmp_path / "p.tsv", [("a\u2028b\x0b", "c")]))
    assert row == Row(1, "a\u2028b\x0b", "c", "")


@pytest.mark.parametrize(
    ("name", "rows", "expected"),
    [
        ("p.tsv", [("a", "b"), ("c", "d")], "pairs"),
        ("p.TSV", [("a", "b", "V;PST")] * 3, "pairs"),
        ("p.tsv", [("date", "load"), ("monday", "3"), ("tuesday", "4,5")], "table"),
        ("p.tsv", [("1", "one"), ("2", "two")], "table"),
        ("p.tsv", [("a", "b", "c", "d")] * 3, "table"),
        ("p.tsv", [("a", "b"), ("a", "b", "c")], "table"),
        ("p.tsv", [("a",)] * 3, "table"),
        ("p.txt", [("a", "b")], "language"),
        ("p.csv", [("a", "b")], "table"),
    ],
)
def test_pairs_are_told_from_tables(tmp_path: Path, name: str, rows: list[tuple[str, ...]], expected: str):
    assert recognise(write(tmp_path / name, rows)).name == expected


def test_folders_of_pairs_and_their_parts(tmp_path: Path):
    for part, seed in (("train", 0), ("dev", 1), ("test", 2)):
        (tmp_path / part).mkdir()
        write(tmp_path / part / "a.tsv", [(word, word) for word in words(20, seed)])
    assert recognise(tmp_path) is Pairs
    data = learned(tmp_path)
    for part, seed in zip(data.parts, (0, 1, 2), strict=True):
        assert [pair.row.source for pair in part] == words(20, seed)
    assert ("parts", "validation dev/; test test/") in data.describe()
    assert any("sources of the test data are in the training data" in text for _, text in data.describe())


def test_all_pairs_of_a_source_are_in_one_part(tmp_path: Path):
    rows = [(word, word + end) for word in words(100) for end in "xyz"]
    random.Random(0).shuffle(rows)
    data = learned(write(tmp_path / "p.tsv", rows), validation=0.2, test=0.2)
    parts = [{pair.row.source for pair in part} for part in data.parts]
    assert sum(map(len, data.parts)) == 300 and all(parts)
    assert not (parts[0] & parts[1] or parts[0] & parts[2] or parts[1] & parts[2])
    longer = learned(write(tmp_path / "q.tsv", [*rows, ("new", "new")]), validation=0.2, test=0.2)
    assert parts[2] <= {pair.row.source for pair in longer.test}, "a part follows from the source alone"


def test_validation_and_test_data_may_be_files(spelling: Path, tmp_path: Path):
    other = write(tmp_path / "other.tsv", [("abc", "A B C"), ("zz", "Z B")])
    data = learned(spelling, Reading(test=str(other)), target_unit="word")
    assert [pair.row.source for pair in data.test] == ["abc", "zz"]
    assert len(data.parts[0]) + len(data.parts[1]) == 300
    assert ("note", "3 symbols of the test data are not in training, such as 'z'") in data.describe()


def test_what_was_understood_is_said(tmp_path: Path):
    rows = [(word, spelled(word), "V;PST") for word in words(100)]
    data = learned(write(tmp_path / "p.tsv", [*rows, rows[0], rows[1]]))
    told = dict(data.describe())
    assert told["pairs"].startswith("100 of 100 sources; ")
    assert "6 different characters" in told["source"] and "first: " in told["source"]
    assert told["target"].endswith("Most have spaces: for symbols separated by them, --set data.target_unit=word")
    assert "2 different ones" in told["extra"]
    assert told["note"] == "2 pairs are there more than once; each is read once"
    assert "different words" in dict(learned(tmp_path / "p.tsv", target_unit="word").describe())["target"]


# numbers


def test_features_are_symbols_of_their_own(tmp_path: Path):
    """The feature V is not the letter V."""
    data = learned(write(tmp_path / "p.tsv", [(word.upper(), word, "A;B") for word in words(50)]))
    kind = data.kind
    pair = kind.pair(Row(1, "AB", "ab", "B;A;C"))
    assert kind.inputs == len(kind.source) + len(kind.features)
    assert len(set(pair.x[[0, 1, 3, 4]].tolist())) == 4
    assert pair.x[2] == len(kind.source) + UNKNOWN
    assert kind.target.decode(pair.y.tolist()) == "ab"


def test_unknown_symbols_are_read_but_are_no_targets(spelling: Path):
    _, data, model = made(spelling)
    kind = data.kind
    known, strange = (kind.pair(Row(1, "ab", target, "")) for target in ("A B", "A Q"))
    assert strange.y.tolist()[1] == UNKNOWN and kind.unknown(strange.row) == ["Q"]
    loss = kind.loss(model, Batch.of([known, strange]), ())
    assert loss.steps == 5
    scores = model(strange.x[None], strange.y[None])[0].log_softmax(-1)
    expected = -(scores[0, strange.y[0]] + scores[2, END]) + kind.loss(model, Batch.of([known]), ()).total
    torch.testing.assert_close(loss.total, expected)


def test_batches_have_every_pair_once_and_similar_lengths(spelling: Path):
    data = learned(spelling, Reading(batch=16))
    orders = [[batch.x.tolist() for batch in data.batches(epoch)] for epoch in (0, 0, 1)]
    assert orders[0] == orders[1] and orders[0] != orders[2]
    train, generator = data.parts[0], torch.Generator().manual_seed(0)
    rows = batches_by_length(train, 16, generator)
    assert sorted(i for batch in rows for i in batch) == list(range(len(train)))
    lengths = [[len(train[i].x) for i in batch] for batch in rows]
    assert sum(max(batch) * len(batch) for batch in lengths) < 1.1 * sum(map(sum, lengths))


@pytest.mark.parametrize("size", [2, 3])
def test_processes_share_the_pairs_of_a_batch(spelling: Path, size: int):
    data = learned(spelling, Reading(batch=16))
    batch = next(iter(data.batches(0)))
    shares = [Ranks(rank, size).share(batch) for rank in range(size)]
    found = sorted((x.tolist(), y.tolist()) for one in shares for x, y in zip(one.source, one.target, strict=True))
    assert found == sorted((x.tolist(), y.tolist()) for x, y in zip(batch.source, batch.target, strict=True))


# scores


@functools.cache
def recursive_distance(one: str, other: str) -> int:
    if not one or not other:
        return len(one) + len(other)
    return min(
        recursive_distance(one[1:], other) + 1,
        recursive_distance(one, other[1:]) + 1,
        recursive_distance(one[1:], other[1:]) + (one[0] != other[0]),
    )


def test_distances_are_those_of_the_definition():
    draw = random.Random(0)
    texts = ["".join(draw.choices("abc", k=draw.randint(0, 6))) for _ in range(60)]
    assert distance("kitten", "sitting") == 3
    for one, other in zip(texts[:30], texts[30:], strict=True):
        assert distance(one, other) == recursive_distance(one, other)


def test_the_nearest_of_several_right_answers_counts():
    found = Scores.of([("ab", ["xyz", "ab"]), ("abc", ["axc", "zzz"]), ("", ["a"])])
    assert found == Scores(sources=3, right=1, errors=2, symbols=6)
    assert found.exact_matches == pytest.approx(1 / 3) and found.symbol_error_rate == pytest.approx(1 / 3)


class Fixed:
    """A model that writes what it is told."""

    def __init__(self, kind: Pairs, answers: dict[str, str]) -> None:
        self.kind, self.answers = kind, answers

    def write(self, source, longest):
        from unrolled import Ragged
        from unrolled.nn.written import Written

        texts = [self.answers[self.kind.source.decode(x.tolist())] for x in source]
        symbols = Ragged([self.kind.target.encode(text) for text in texts])
        return Written(symbols, torch.zeros(len(texts)), torch.ones(len(texts), dtype=torch.bool))


def test_a_symbol_that_training_never_had_is_always_an_error(spelling: Path, tmp_path: Path):
    kind = learned(spelling, target_unit="word").kind
    other = kind.read(write(tmp_path / "o.tsv", [("ab", "A Q"), ("ab", "A B B B"), ("c", "C"), ("d", "Q")]), "")
    model = Fixed(kind, {"ab": "A Q", "c": "C", "d": "Q"})  # the model can only write that it does not know
    found = other.evaluate(model)
    assert found["symbol_error_rate"] == 2 / 4 and found["exact_matches"] == pytest.approx(1 / 3)
    assert (found["sources"], found["pairs"], found["unknown_symbols"], found["held_out"]) == (3, 4, 2, False)


# trainings


def test_a_training_learns_to_spell_and_writes_it(spelling: Path, monkeypatch, capsys):
    monkeypatch.chdir(spelling.parent)
    options = ["--hidden", "32", "--rate", "0.01", "--updates", "150", "--set", "data.target_unit=word"]
    assert main(["train", "spelling.tsv", *options, "--set", "data.test=0.2", "--out", "run"]) == 0
    told = capsys.readouterr().out
    assert "first: " in told and "gru reads, bahdanau writes" in told and "symbol error rate" in told
    assert main(["evaluate", "run", "spelling.tsv", "--json"]) == 0
    greedy = json.loads(capsys.readouterr().out)
    assert greedy["held_out"] and greedy["symbol_error_rate"] < 0.15 and greedy["exact_matches"] > 0.6
    assert main(["evaluate", "run", "spelling.tsv", "--beam", "4", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["symbol_error_rate"] < 0.15
    Path("new.txt").write_text("bead\nq\n")
    assert main(["predict", "run", "new.txt", "--beam", "3"]) == 0
    first, unknown = csv.DictReader(io.StringIO(capsys.readouterr().out))
    assert list(first) == ["source", *(f"{n}{k}" for k in ("", "_2", "_3") for n in ("answer", "log_probability"))]
    assert first["answer"] == "B E E A D" and unknown["source"] == "q"
    trained = Trained.load(Path("run"))
    x, y = trained.kind.source.encode("bead"), trained.kind.target.encode(first["answer"])
    exact = trained.model.log_probability(x[None], y[None]).item()
    assert float(first["log_probability"]) == pytest.approx(exact, abs=2e-3)
    assert Path("run/decoder_circuit.svg").read_text().startswith("<svg")


def test_a_training_is_resumed_to_the_same_bits(spelling: Path):
    def training() -> Training:
        spec, data, model = made(spelling, model={"dropout": 0.2})
        return Training(model, data, spec.training)

    whole = training()
    list(whole.run())
    cut = training()
    for _ in cut.run(lambda: cut.update == 7):
        pass
    stopped = capture(cut)
    again = training()
    torch.rand(3)
    restore(again, stopped)
    list(again.run())
    assert again.update == whole.update == 10
    for name, value in whole.model.state_dict().items():
        assert torch.equal(again.model.state_dict()[name], value), name


def test_a_run_is_resumed_and_fine_tuned(spelling: Path, tmp_path: Path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["train", "spelling.tsv", "--updates", "4", "--hidden", "5", "--cell", "lstm", "--out", "a"]) == 0
    assert main(["train", "--resume", "a", "--updates", "2"]) == 0
    write(tmp_path / "other.tsv", [(word, word[::-1]) for word in words(60, 5)])
    assert main(["train", "other.tsv", "--from", "a", "--updates", "3", "--out", "b"]) == 0
    one, other = (Trained.load(Path(name)) for name in "ab")
    assert other.kind.description() == one.kind.description()
    assert other.model.decoder.circuit.name == "bahdanau" and other.model.circuit.name == "lstm"
    assert main(["info", "b"]) == 0
    config = json.loads(Path("b/config.json").read_text())
    assert config["decoder"]["name"] == "bahdanau" and config["circuit"]["name"] == "lstm"


def test_decoders_may_have_no_memory(spelling: Path):
    _, data, model = made(spelling, model={"decoder": "lstm", "cell": "lstm", "layers": 2})
    assert data.loss(model, next(iter(data.batches(0))), ()).total.isfinite()
    assert model.decoder.circuit is cells.lstm and model.encoder.width == 10


def test_a_page_shows_where_the_model_looks(spelling: Path, monkeypatch, capsys):
    monkeypatch.chdir(spelling.parent)
    command = ["train", "spelling.tsv", "--hidden", "5", "--updates", "3", "--set", "data.target_unit=word"]
    assert main([*command, "--out", "run", "--json"]) == 0
    Path("new.tsv").write_text("abc\tA B C\n<f>\tF\n")
    assert main(["look", "run", "--data", "new.tsv", "--out", "a.html"]) == 0
    page, trained = Path("a.html").read_text(), Trained.load(Path("run"))
    assert "&lt;f&gt;" in page and "in the file: A B C" in page and "rows 1 to 2 of new.tsv" in page
    pair = trained.kind.pair(Row(1, "abc", "", ""))
    symbols = trained.kind.written(trained.model, [pair])[0][0][0]
    weights = trained.model.attention(pair.x[None], symbols[None])[0]
    assert weights.shape == (len(symbols) + 1, 3) and page.count('class="w"') >= weights.numel()
    for weight in weights.flatten().tolist():
        assert f"rgba(37,99,235,{weight:.3f})" in page
    capsys.readouterr()
    assert main(["diagnose", "run", "--steps", "5", "--json"]) == 0
    names = [layer["name"] for layer in json.loads(capsys.readouterr().out)["layers"]]
    assert names[0].startswith("encoder.layers") and names[-1] == "decoder.layers.0"
    assert main(["look", "spelling.tsv", "--out", "b.html"]) == 0
    assert f"<td>{words()[0]}</td>" in Path("b.html").read_text() or "training" in Path("b.html").read_text()
    capsys.readouterr()
    options = ["--set", "model.decoder=gru", "--out", "plain", "--json"]
    assert main([*command, *options]) == 0
    assert main(["look", "plain", "--data", "new.tsv", "--out", "c.html"]) == 2
    assert "looks at no memory" in capsys.readouterr().err


def test_scheduled_sampling_is_for_training(spelling: Path):
    _, data, model = made(spelling, data={"target_unit": "word", "own": 0.9})
    batch = next(iter(data.batches(0)))
    losses = [data.loss(model.train(training), batch, ()).total for training in (True, True, False, False)]
    assert losses[0] != losses[1] and losses[2] == losses[3]


def test_features_reach_the_answer(tmp_path: Path):
    rows = [(word, word[::-1] if way == "BACK" else word, way) for word in words(30) for way in ("BACK", "ON")]
    _, data, model = made(write(tmp_path / "p.tsv", rows))
    (tmp_path / "new.tsv").write_text("ab\tON\nab\tBACK\nab\t?\tBACK\n")
    on, back, again = data.kind.predict(model, tmp_path / "new.tsv")
    assert on["log_probability"] != back["log_probability"] and back == again and back["features"] == "BACK"


# what is wrong

TRAIN = ("train", "p.tsv", "--updates", "1", "--task", "pairs")
GOOD = [(word, word) for word in words(60)]
CASES: list[Case] = []


def case(name: str, *arguments: str, rows: list[tuple[str, ...]] | None = None, text: str | None = None) -> None:
    def make(here: Path) -> None:
        write(here / "p.tsv", GOOD if rows is None else rows)
        if text is not None:
            (here / "p.tsv").write_bytes(text.encode("utf-8"))

    CASES.append((name, arguments, make))


def with_run(name: str, *arguments: str, features: bool = False, text: str = "") -> None:
    def make(here: Path) -> None:
        write(here / "p.tsv", [(*row, "V") for row in GOOD] if features else GOOD)
        assert main([*TRAIN, "--hidden", "3", "--out", "run", "--json"]) == 0
        (here / "new.tsv").write_text(text)

    CASES.append((name, arguments, make))


case("one column", *TRAIN, rows=[("a",), ("b",)])
case("an empty source", *TRAIN, rows=[*GOOD, ("", "b")])
case("an empty target", *TRAIN, rows=[*GOOD, ("b", " ")])
case("a tab inside", *TRAIN, rows=[*GOOD, ("b", "c", "d")])
case("tabs inside", *TRAIN, rows=[*GOOD, ("b", "c", "d", "e")])
case("mixed line ends are no columns", *TRAIN, text="a\tb\r\nc\r\td\n")
case("nothing", *TRAIN, text="")
case("empty lines", *TRAIN, text="\n \n")
case("not UTF-8", *TRAIN[:2], text="")
case("one source", *TRAIN, rows=[("a", "b"), ("a", "c")])
case("an unknown unit", *TRAIN, "--set", "data.target_unit=phoneme")
case("a share too large", *TRAIN, "--set", "data.test=0.6")
case("only own symbols", *TRAIN, "--set", "data.own=1.0")
case("no vocabulary", *TRAIN, "--set", "data.vocabulary=0")
case("no decoder", *TRAIN, "--set", "model.decoder=")
case("a decoder that is no cell", *TRAIN, "--set", "model.decoder=bahdanu")
case("a cell that reads a memory", *TRAIN, "--cell", "bahdanau")
case("a decoder for a text", "train", "p.tsv", "--task", "language", "--set", "model.decoder=gru")
case("tied weights", *TRAIN, "--set", "model.tied=true", "--set", "model.embedding=4")
case("a test file with one column", *TRAIN, "--test", "p.tsv", rows=[("a",)])
with_run("a beam wider than the symbols", "predict", "run", "new.tsv", "--beam", "99", text="ab\n")
with_run("a beam of nothing", "predict", "run", "new.tsv", "--beam", "0", text="ab\n")
with_run("an empty source to predict from", "predict", "run", "new.tsv", text="ab\n\tb\n")
with_run("too many columns to predict from", "predict", "run", "new.tsv", text="a\tb\tc\td\n")
with_run("no features to predict from", "predict", "run", "new.tsv", features=True, text="ab\n")
with_run("a model of pairs without data", "look", "run")
with_run("fewer rows than the first to look at", "look", "run", "--data", "p.tsv", "--first", "99")
with_run("text of a model of pairs", "sample", "run")
with_run("one column to evaluate on", "evaluate", "run", "new.tsv", text="ab\n")


def test_every_bad_input_gets_one_clear_message(
    tmp_path: Path, monkeypatch, capsys, golden: Callable[[str, str], None]
):
    golden("pairs_errors.txt", messages(CASES, tmp_path, monkeypatch, capsys))


def test_a_beam_is_for_pairs(tmp_path: Path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("t.txt").write_text("the cat sat on the mat. " * 20)
    assert main(["train", "t.txt", "--updates", "1", "--hidden", "3", "--out", "run", "--json"]) == 0
    capsys.readouterr()
    assert main(["evaluate", "run", "t.txt", "--beam", "3"]) == 2
    assert "--beam is for pairs" in capsys.readouterr().err


def test_repeated_pairs_and_other_files_are_counted(tmp_path: Path):
    content = read_content(write(tmp_path / "p.tsv", [("a", "b"), ("a", "b"), ("a", "c")]))
    assert content.repeated == 1 and [row.target for row in content.rows] == ["b", "c"]
    assert [row.line for row in content.rows] == [1, 3]
