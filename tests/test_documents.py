"""Texts of many documents: nothing of one reaches the next, whatever reads them."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from unrolled import Ragged, cells
from unrolled.cli import main
from unrolled.data.bits import bits_per_step
from unrolled.data.characters import Vocabulary
from unrolled.data.documents import Documents, read_documents
from unrolled.data.kinds import recognise
from unrolled.data.language import Language, LanguageOptions, Text
from unrolled.data.reading import Reading
from unrolled.data.writing import write
from unrolled.nn.model import SequenceModel
from unrolled.run.checkpoint import checkpoints, read_checkpoint
from unrolled.sequence import losses
from unrolled.sequence.streams import document_rest, document_windows, predicted

CHANCE = random.Random(0)
NAMES = ["".join(CHANCE.choices(("an", "be", "ka", "li", "so"), k=CHANCE.randint(1, 4))) for _ in range(300)]
SMALL = ("--hidden", "6", "--batch", "3", "--updates", "6", "--json")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of texts, some deeper in it, and one with a name in each line."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "texts" / "more").mkdir(parents=True)
    for i in range(20):
        folder = tmp_path / "texts" / ("more" if i % 2 else "")
        (folder / f"{i}.txt").write_text(" ".join(NAMES[10 * i : 10 * i + 1 + i]))
    (tmp_path / "texts" / "notes.md").write_text("no text")
    (tmp_path / "names.txt").write_text("\n".join([*NAMES[:200], "", *NAMES[200:]]))
    return tmp_path


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict:
    """The last line of JSON that a command prints."""
    capsys.readouterr()
    assert main([*arguments]) == 0
    return json.loads(capsys.readouterr().out.splitlines()[-1])


# what is read


def test_a_document_is_a_file_or_a_line(here: Path):
    whole = read_documents(Path("names.txt"))
    assert not whole.many and whole.texts == [Path("names.txt").read_text()]
    lines = read_documents(Path("names.txt"), by_line=True)
    assert lines.texts == [f"\n{name}\n" for name in NAMES], "empty lines are none"
    folder = read_documents(Path("texts"))
    assert list(folder.files) == sorted(folder.files) and len(folder.files) == 20 and "more/1.txt" in folder.files
    assert folder.texts == [(here / "texts" / name).read_text() for name in folder.files]
    assert recognise(Path("texts")) is Language


def in_parts(documents: Documents) -> list[list[str]]:
    """The texts of each part."""
    return [[text for text, p in zip(documents.texts, documents.parts, strict=True) if p == part] for part in range(3)]


def test_parts_are_whole_disjoint_and_follow_from_the_documents_alone(here: Path):
    documents = read_documents(Path("names.txt"), by_line=True)
    train, validation, test = in_parts(documents)
    assert sorted([*train, *validation, *test]) == sorted(documents.texts)
    assert not set(train) & set(validation) and not set(train) & set(test) and not set(validation) & set(test)
    assert 0.8 < len(train) / len(NAMES) < 0.98
    Path("turned.txt").write_text("\n".join(NAMES[::-1]))
    turned = read_documents(Path("turned.txt"), by_line=True)
    assert [sorted(part) for part in in_parts(turned)] == [sorted(part) for part in (train, validation, test)]
    assert "".join(documents.training_pieces()) == "".join(train)


def test_a_text_and_a_folder_have_fingerprints_of_all_that_is_in_them(here: Path):
    def found() -> str:
        return read_documents(Path("texts")).sha256

    before = found()
    Path("texts/0.txt").rename("texts/00.txt")
    renamed = found()
    Path("texts/00.txt").write_text("another")
    assert len({before, renamed, found()}) == 3


# what is learned from it


@given(
    lengths=st.lists(st.integers(0, 9), min_size=1, max_size=8).filter(lambda n: max(n) > 1),
    rows=st.integers(1, 3),
    longest=st.integers(1, 9),
    stride=st.integers(1, 9),
)
def test_overlapping_windows_of_documents_are_parts_of_the_long_ones(lengths, rows, longest, stride):
    documents = Ragged([torch.arange(100 * i, 100 * i + n) for i, n in enumerate(lengths)])
    if predicted(documents) < rows:
        return
    stride = min(stride, longest)
    (whole,) = document_windows(documents, rows, 1000)
    pieces = list(document_windows(documents, rows, longest, stride))
    steps = whole.x.shape[1]
    if stride < longest:
        assert len(pieces) == max(steps - longest, 0) // stride + 1
        for k, piece in enumerate(pieces):
            for part, all_of_it in zip(piece, whole, strict=True):
                assert torch.equal(part, all_of_it[:, k * stride : k * stride + longest])
    else:
        assert torch.equal(torch.cat([piece.x for piece in pieces], 1), whole.x)
    assert bool((whole.y == whole.x + 1).all()), "only the next step of the same document"
    left = document_rest(documents, rows)
    assert whole.x.numel() + (left.x.numel() if left else 0) == predicted(documents)


@pytest.mark.parametrize("piece", [1_000_000, 20])
def test_bits_are_those_of_each_document_by_itself(piece: int):
    torch.manual_seed(0)
    model = SequenceModel(cells.gru, 5, 5, 6, layers=2)
    documents = Ragged([torch.randint(5, (n,)) for n in (30, 0, 1, 2, 9, 300)])
    with torch.no_grad():
        apart = [losses.nll(model(d[None, :-1])[0], d[None, 1:]).item() for d in documents if len(d) > 1]
    bits = sum(apart) / math.log(2) / (29 + 1 + 8 + 299)
    exact = piece > 1000  # more rows begin inside of a document
    assert bits_per_step(model, documents, piece) == pytest.approx(bits, rel=1e-6 if exact else 0.05)


def test_the_gradient_is_that_of_each_document_by_itself(tmp_path: Path):
    """One row over all documents, in one window: the reset mask parts them as if each were alone."""
    for i, name in enumerate(NAMES[:40]):
        (tmp_path / f"{i}.txt").write_text(name)
    documents = read_documents(tmp_path)
    vocabulary = documents.scan.characters
    kind = Language(LanguageOptions(), Reading(batch=1, window=1000), Vocabulary(vocabulary))
    data = Text(kind, Path(), "", True, documents, *documents.encoded(kind.vocabulary))
    model = SequenceModel(cells.lstm, len(vocabulary), len(vocabulary), 5, 2)
    (batch,) = data.batches(0)
    total, steps, _ = data.loss(model, batch, ())
    total.backward()
    found = [p.grad.clone() for p in model.parameters()]
    model.zero_grad()
    train = [d for d in data.train if len(d) > 1]
    apart = sum(losses.nll(model(d[None, :-1])[0], d[None, 1:]) for d in train)
    apart.backward()
    assert steps == sum(len(d) - 1 for d in train)
    torch.testing.assert_close(total, apart, rtol=1e-6, atol=0)
    for a, p in zip(found, model.parameters(), strict=True):
        torch.testing.assert_close(a, p.grad, rtol=1e-5, atol=1e-6 * float(p.grad.abs().max()))
    orders = [torch.cat([b.x.flatten() for b in data.batches(epoch)]) for epoch in (0, 0, 1)]
    assert torch.equal(orders[0], orders[1]) and not torch.equal(orders[0], orders[2]), "a new order with each pass"


def test_writing_begins_anew_at_a_border():
    torch.manual_seed(0)
    model = SequenceModel(cells.gru, 3, 3, 8)
    text = list(write(model, torch.tensor([0]), 400, temperature=0, border=0))
    model_of_one = list(write(model, torch.tensor([1, 2, 0]), 400, temperature=0, border=0))
    assert text == model_of_one, "what stands before a border is forgotten"
    assert text != list(write(model, torch.tensor([1, 2, 0]), 400, temperature=0)) or 0 not in text


# the commands


@pytest.mark.parametrize("data", ["texts", "names.txt"])
@pytest.mark.parametrize("way", [(), ("--window", "9", "--stride", "4"), ("--memory", "20 KB")], ids=str)
def test_documents_are_trained_on_and_gone_on_with(here: Path, capsys, data: str, way: tuple[str, ...]):
    kind = ("--set", "data.document=line") if data == "names.txt" else ()
    base = ("train", data, *SMALL, *kind, *way, "--checkpoint-every", "2")
    result = told(capsys, *base, "--out", "run")
    assert result["bits_per_character"] < math.log2(27) and result["per_second"] > 0 and result["memory"] > 10_000_000
    evaluated = told(capsys, "evaluate", "run", data, "--json")
    assert evaluated["held_out"] and evaluated["bits_per_character"] == result["bits_per_character"]
    start = json.loads(Path("run/log.jsonl").read_text().splitlines()[0])
    assert start["documents"] == (300 if kind else 20)
    whole = read_checkpoint(checkpoints(Path("run"))[-1]).model
    for path in checkpoints(Path("run"))[-1:]:
        for file in path.iterdir():
            file.unlink()
        path.rmdir()
    assert told(capsys, "train", "--resume", "run", "--json")["update"] == 6
    again = read_checkpoint(checkpoints(Path("run"))[-1]).model
    assert all(torch.equal(whole[n], again[n]) for n in whole), "the same bits as without the stop"


def test_a_model_of_lines_reads_writes_and_is_diagnosed_line_by_line(here: Path, capsys):
    assert main(["train", "names.txt", *SMALL, "--set", "data.document=line", "--out", "run"]) == 0
    Path("others.txt").write_text("\n".join(NAMES[:7]) + "\n")
    evaluated = told(capsys, "evaluate", "run", "others.txt", "--json")
    assert not evaluated["held_out"]
    assert main(["stream", "run", "others.txt", "--each", "--chunk", "5", "--out", "bits"]) == 0
    rows = [json.loads(line) for line in Path("bits").read_text().splitlines()]
    assert main(["stream", "run", "others.txt", "--each", "--out", "bits", "--overwrite"]) == 0
    again = [json.loads(line) for line in Path("bits").read_text().splitlines()]
    assert [r["character"] for r in rows] == [r["character"] for r in again]
    bits = [[r["bits"] for r in of][1:] for of in (rows, again)]
    assert bits[0] == pytest.approx(bits[1], rel=1e-6), "whatever the chunk"
    lines = Path("lines.txt")
    lines.write_text(f"{NAMES[0]}\n{NAMES[1]}\n")
    second = [row["bits"] for row in rows[len(NAMES[0]) + 1 :][: len(NAMES[1]) + 1]]
    lines.write_text(f"{NAMES[1]}\n")
    alone = told(capsys, "evaluate", "run", "lines.txt", "--json")["bits"]
    assert sum(second) / len(second) == pytest.approx(alone, rel=1e-5), "a line costs what it costs alone"
    assert told(capsys, "sample", "run", "--prompt", NAMES[0][:2], "--length", "20", "--json")["text"]
    assert "layers.0" in json.dumps(told(capsys, "diagnose", "run", "--json"))


def test_every_bad_document_gets_one_clear_message(here: Path, capsys, golden: Callable[[str, str], None]):
    train = ("train", "texts", *SMALL, "--out", "no")
    assert main(["train", "texts", *SMALL, "--out", "texts/run"]) == 0
    assert len(read_documents(Path("texts")).files) == 20, "equations.txt of a run is no text"
    Path("texts/run").rename("run")
    Path("few.txt").write_text("the same line\n" * 50 + "and another one\n")
    Path("short.txt").write_text("\n".join("abcdefghij") * 9)
    Path("empty").mkdir()
    Path("nested/deep").mkdir(parents=True)
    Path("nested/deep/a.txt").write_text("abc" * 30)
    for name, content in (("void", b""), ("latin", "gut\nschön".encode("latin1"))):
        Path(name).mkdir()
        for i in range(4):
            Path(name, f"{i}.txt").write_bytes(b"something to read " * 9)
        Path(name, "wrong.txt").write_bytes(content)
    Path("strange").mkdir()
    Path("strange/a.txt").write_text("be\nka")
    Path("strange/b.txt").write_text("be\nß")
    Path("singles").mkdir()
    for i in range(60):
        Path("singles", f"{i}.txt").write_text("x")
    cases = {
        "folder with nothing in it": ("train", "empty", *SMALL),
        "folder without texts": ("train", "empty", "--task", "language", *SMALL),
        "folder with one text": ("train", "nested", *SMALL),
        "folder with an empty file": ("train", "void", *SMALL),
        "folder with a file of another encoding": ("train", "latin", *SMALL),
        "too few different lines": ("train", "few.txt", *SMALL, "--set", "data.document=line"),
        "documents of one character": ("train", "singles", *SMALL),
        "unknown kind of document": (*train, "--set", "data.document=lines"),
        "unseen characters in a folder": ("evaluate", "run", "strange"),
    }
    said = []
    for name, arguments in cases.items():
        capsys.readouterr()
        assert main([*arguments]) == 2, name
        captured = capsys.readouterr()
        assert captured.out == "" and "Traceback" not in captured.err, name
        shown = " ".join(a for a in arguments if a not in SMALL)
        said.append(f"{name}\n$ unrolled {shown}\n{captured.err}\n")
    golden("document_errors.txt", "".join(said))
    assert not Path("no").exists()
