"""JSON records: a table, or with a named field documents."""

from __future__ import annotations

import gzip
import json
import math
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch

from unrolled.cli import main
from unrolled.data.documents import read_documents
from unrolled.data.kinds import recognise
from unrolled.data.language import Language, LanguageOptions
from unrolled.data.reading import Reading
from unrolled.data.table import Table
from unrolled.errors import DataError
from unrolled.look.data_page import look_at_data
from unrolled.run.trained import load_characters
from unrolled.stream.options import StreamOptions
from unrolled.stream.streaming import Streaming, open_streamed

TEXTS = [f"{'a long ' * (i % 5)}story\r\nnumber {i}\n" for i in range(60)]
READ = [text.replace("\r", "") for text in TEXTS]
RECORDS: list[dict[str, Any]] = [{"id": i, "body": text} for i, text in enumerate(TEXTS)]
EMPTY: list[dict[str, Any]] = [{"id": 60}, {"id": 61, "body": None}, {"id": 62, "body": ""}]
LINES = "".join(f"{json.dumps(record)}\n" for record in [*EMPTY, *RECORDS])


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The same records in every form."""
    monkeypatch.chdir(tmp_path)
    Path("a.jsonl").write_text(LINES)
    Path("a.ndjson").write_text("\n" + LINES.replace("\n", "\r\n"))
    Path("a.json").write_text(json.dumps([*EMPTY, *RECORDS], indent=2))
    Path("a.jsonl.gz").write_bytes(gzip.compress(LINES.encode()))
    with zipfile.ZipFile("a.json.zip", "w") as archive:
        archive.writestr("a.json", json.dumps([*EMPTY, *RECORDS]))
    Path("folder").mkdir()
    Path("folder/a.jsonl").write_text(LINES)
    return ["a.jsonl", "a.ndjson", "a.json", "a.jsonl.gz", "a.json.zip", "folder"]


def test_each_record_is_a_document(files: list[str]):
    found = [Language.learn(Path(name), LanguageOptions(field="body"), Reading(batch=2)) for name in files]
    for name, data in zip(files, found, strict=True):
        assert data.documents.texts == READ, name
        assert data.sizes() == found[0].sizes() and data.sizes()["documents"] == 60
        said = dict(data.describe())
        assert said["records"] == "3 without a text in 'body' are left out"
        assert said["lines"] == "the line ends CR LF are read as LF"
    by_line = read_documents(Path("a.jsonl"), by_line=True, field="body")
    assert by_line.texts == [f"\n{line}\n" for text in READ for line in text.split("\n") if line]


def test_equal_records_are_in_the_same_part(tmp_path: Path):
    path = tmp_path / "twice.jsonl"
    path.write_text(LINES + LINES)
    documents = read_documents(path, field="body")
    parts = {text: set[int]() for text in READ}
    assert sorted(set(documents.parts)) == [0, 1, 2]
    for text, part in zip(documents.texts, documents.parts, strict=True):
        parts[text] = parts[text] | {part}
    assert all(len(of) == 1 for of in parts.values())


def test_commands_read_the_field(files: list[str], capsys):
    assert recognise(Path("a.json")) is recognise(Path("a.jsonl")) is recognise(Path("a.json.zip")) is Table
    command = ["train", "a.jsonl", "--field", "body", "--updates", "3", "--hidden", "5", "--batch", "2", "--json"]
    assert main([*command, "--out", "run"]) == 0
    bits = json.loads(capsys.readouterr().out.splitlines()[-1])["bits_per_character"]
    assert main(["evaluate", "run", "a.jsonl", "--json"]) == 0
    score = json.loads(capsys.readouterr().out)
    assert score["held_out"] and score["bits"] == bits
    assert main(["evaluate", "run", "folder", "--json"]) == 0
    assert main(["train", "--resume", "run", "--updates", "2", "--json"]) == 0
    assert main(["look", "run", "--data", "a.json", "--out", "page.html", "--steps", "9"]) == 0
    assert main(["look", "folder", "--set", "data.field=body", "--out", "data.html"]) == 0
    assert look_at_data(Path("a.json"), options={"data": {"field": "body"}}).notes[0].startswith("text: 60 documents")


def test_streams_read_the_field(files: list[str], capsys, tmp_path: Path):
    """The surprise at each character of a record is that of the record alone, in whatever pieces it is read."""
    command = ["train", "a.jsonl", "--field", "body", "--updates", "3", "--hidden", "5", "--batch", "2", "--json"]
    assert main([*command, "--out", "run"]) == 0
    model, _, vocabulary = load_characters(Path("run"))
    capsys.readouterr()
    for name, chunk in (("a.jsonl", "7"), ("a.ndjson", "1000"), ("a.json", "5")):
        assert main(["stream", "run", name, "--each", "--chunk", chunk]) == 0
        rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert "".join(row["character"] for row in rows) == "".join(READ)
        assert [row["position"] for row in rows] == list(range(len(rows)))
        for number, text in enumerate(READ[:9]):
            own = [row["bits"] for row in rows if row["record"] == number + len(EMPTY)]
            y = vocabulary.encode(text)
            scores, _ = model(y[None, :-1])
            expected = -scores[0].double().log_softmax(-1).gather(1, y[1:, None])[:, 0] / math.log(2)
            assert own[0] is None and torch.allclose(torch.tensor(own[1:]).double(), expected, atol=1e-5)
    streamed = open_streamed(Path("run"), StreamOptions(5))
    done: list[int] = []
    stopped = Streaming(streamed, Path("a.jsonl"), Path("out"), StreamOptions(5), stop=lambda: len(done) >= 9)
    done.extend(stopped.run())
    assert main(["stream", "run", "a.jsonl", "--chunk", "5", "--out", "out", "--resume"]) == 0
    assert main(["stream", "run", "a.jsonl", "--chunk", "5", "--out", "whole"]) == 0
    assert Path("out").read_text() == Path("whole").read_text()
    Path("other.jsonl").write_text('{"boddy": "a"}')
    assert main(["stream", "run", "other.jsonl"]) == 2
    assert (
        "other.jsonl' has no record with a text in the field 'body'. Did you mean 'boddy'?" in capsys.readouterr().err
    )


@pytest.mark.parametrize(
    ("name", "content", "field", "message"),
    [
        ("a.jsonl", LINES, "boddy", r"no record with a text in the field 'boddy'. Did you mean 'body'\?"),
        ("a.jsonl", LINES, "x", "The records have id, body"),
        ("a.jsonl", LINES, "id", r"a.jsonl:1: the field 'id' must be a text, got 60"),
        ("a.jsonl", LINES + "{", "body", r"a.jsonl:64: this is not JSON"),
        ("a.jsonl", "[1]\n", "body", r"a.jsonl:1: expected a JSON object such as"),
        ("a.json", '[{"body": "x"}, 3]', "body", r"a.json', record 2: expected a JSON object such as .*, got a number"),
        ("a.json", '{"body": "x"}', "body", r"a.json' holds an object; expected an array of records"),
        ("a.json", '[{"body": "x"},\n', "body", r"a.json:2: this is not JSON"),
        ("a.json", '[{"body": 1}]', "body", r"a.json', record 1: the field 'body' must be a text, got 1"),
        ("a.jsonl.gz", "plain", "body", r"a.jsonl.gz' cannot be unpacked"),
        ("a.jsonl.zip", "plain", "body", r"a.jsonl.zip' cannot be unpacked"),
    ],
)
def test_bad_records_are_named(name: str, content: str, field: str, message: str, tmp_path: Path):
    (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match=message):
        assert read_documents(tmp_path / name, field=field).texts


def test_a_folder_of_records_asks_for_the_field(files: list[str]):
    with pytest.raises(DataError, match=r"'folder' has JSON records. If they are texts, .*--field text"):
        recognise(Path("folder"))
    with pytest.raises(DataError, match="folder without JSON records"):
        Path("none").mkdir()
        read_documents(Path("none"), field="body")


def test_other_json_is_a_text(tmp_path: Path):
    for content in ('{"a": [1]}', "[1, 2]", "", "[[1]]"):
        (tmp_path / "a.json").write_text(content)
        assert recognise(tmp_path / "a.json") is Language
