"""Texts as numbers in a file: every part, window and document is that of the same text in memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from unrolled import Ragged, cells
from unrolled.data import tokens as tokens_file
from unrolled.data.bits import bits_per_step
from unrolled.data.characters import Vocabulary
from unrolled.data.documents import read_documents
from unrolled.data.filtered import unknown_in
from unrolled.data.texts import at_words
from unrolled.data.token_documents import TokenDocuments
from unrolled.data.tokens import Tokens, TokenWriter
from unrolled.data.units import Subwords, Words
from unrolled.errors import DataError
from unrolled.files.progress import shown
from unrolled.files.text import TextFile
from unrolled.nn.model import SequenceModel
from unrolled.sequence import streams
from unrolled.sequence.streams import document_rest, document_windows, overlapping_windows, rest, windows

PROSE = "The quick brown fox, it's said:  jumps\n\n\tover 12 lazy dogs' beds … été.\n \n" * 9
ROWS, LONGEST, STRIDE = st.integers(1, 4), st.integers(1, 9), st.integers(1, 5)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks that end anywhere."""
    monkeypatch.setattr(streams, "BLOCK", 11)


def equal(found, expected) -> bool:
    pairs = zip(found, expected, strict=True)
    return all(torch.equal(a, b) for ours, theirs in pairs for a, b in zip(ours, theirs, strict=True))


@given(st.integers(5, 60), ROWS, LONGEST, STRIDE)
def test_windows_of_a_stored_text_are_those_in_memory(length: int, rows: int, longest: int, stride: int):
    series = torch.randperm(length)
    stored = Tokens.of(series.split(7), length)
    assert equal(windows(stored, rows, longest), windows(series, rows, longest))
    of_both = [overlapping_windows(s, rows, longest, min(stride, longest)) for s in (stored, series)]
    assert equal(*of_both)
    left = [rest(s, rows) for s in (stored, series)]
    assert (left[0] is None) == (left[1] is None) and equal([left[0] or ()], [left[1] or ()])


@given(st.lists(st.integers(0, 9), min_size=1, max_size=9).filter(lambda n: max(n) > 1), ROWS, LONGEST, STRIDE)
def test_windows_of_stored_documents_are_those_in_memory(lengths: list[int], rows: int, longest: int, stride: int):
    memory = Ragged([torch.arange(10 * i, 10 * i + n) for i, n in enumerate(lengths)])
    stored = TokenDocuments(Tokens.of(memory, 100), memory.lengths)
    order = torch.randperm(len(lengths))
    both = stored.select(order), memory.select(order)
    assert equal([list(both[0])], [list(both[1])])
    rows = min(rows, streams.predicted(memory))
    assert streams.predicted(stored) == streams.predicted(memory)
    for way in ((rows, longest), (rows, longest, stride)):
        assert equal(*(document_windows(documents, *way) for documents in both))
    left = [document_rest(documents, rows) for documents in both]
    assert (left[0] is None) == (left[1] is None) and equal([left[0] or ()], [left[1] or ()])


def test_bits_are_those_in_memory():
    torch.manual_seed(0)
    model = SequenceModel(cells.gru, 5, 5, 6)
    series, documents = torch.randint(5, (900,)), Ragged([torch.randint(5, (n,)) for n in (30, 0, 1, 2, 300)])
    stored = TokenDocuments(Tokens.of(documents, 5), documents.lengths)
    for piece in (2000, 50):
        assert bits_per_step(model, Tokens.of([series], 5), piece) == bits_per_step(model, series, piece)
        assert bits_per_step(model, stored, piece) == bits_per_step(model, documents, piece)


@pytest.mark.parametrize("size", [256, 257, 65536, 65537, 0x110000])
def test_the_smallest_type_holds_every_number(size: int):
    numbers = torch.tensor([0, size - 1, size // 2])
    stored = Tokens.of([numbers[:1], numbers[1:]], size)
    assert torch.equal(stored.read(0, 3), numbers) and torch.equal(stored[1:].read(0, 2), numbers[1:])
    assert stored.values.itemsize == (1 if size <= 256 else 2 if size <= 65536 else 4)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 50])
def test_units_of_pieces_are_those_of_the_whole_text(size: int):
    pieces = [PROSE[i : i + size] for i in range(0, len(PROSE), size)]
    assert "".join(at_words(pieces)) == PROSE
    assert Words.of(pieces, 30) == Words.of(PROSE, 30)
    subwords = Subwords.of(pieces, 300)
    assert subwords.dump() == Subwords.of(PROSE, 300).dump()
    for units in (Words.of(PROSE, 30), subwords):
        assert torch.cat([units.encode(piece) for piece in at_words(pieces)]).tolist() == units.encode(PROSE).tolist()
    unknown = Vocabulary.of("Thequick brown").unknown(PROSE)
    assert unknown_in(pieces, Vocabulary.of("Thequick brown")) == unknown


def test_a_text_that_changes_while_it_is_read_is_refused(tmp_path: Path):
    path = tmp_path / "log.txt"
    path.write_text(PROSE)
    documents = read_documents(path)
    vocabulary = Vocabulary(documents.scan.characters)
    path.write_text(PROSE + "more")
    with pytest.raises(DataError, match="has changed while it was read"):
        documents.encoded(vocabulary)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
def test_a_pipe_is_read_like_a_file(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe")
    with subprocess.Popen([sys.executable, "-c", f"open('pipe', 'w').write({PROSE!r})"], cwd=tmp_path):
        documents = read_documents(tmp_path / "pipe")
        assert documents.texts == [PROSE] and documents.scan.length == len(PROSE)
        assert len(documents.encoded(Vocabulary.of(PROSE))[0]) == int(len(PROSE) * 0.9)


def test_progress_goes_to_the_end_of_every_pass(tmp_path: Path):
    for name in ("a.txt", "b.txt", "c.txt"):
        (tmp_path / name).write_text(PROSE + name)
    documents, seen = read_documents(tmp_path), []
    with shown(lambda done, what: seen.append((what, done))):
        documents.encoded(Vocabulary(documents.scan.characters))
    for what in ("reading", "tokenising"):
        steps = [done for of, done in seen if of == what]
        assert steps == sorted(steps) and len(steps) == 3 and steps[-1] == 1
    documents.training_pieces()
    assert len(seen) == 6, "nobody looks any more"


def test_a_full_disk_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tokens_file.tempfile, "tempdir", None)
    writer = TokenWriter(5)
    writer._file.close()
    full = open("/dev/full", "wb", buffering=0)  # noqa: SIM115
    monkeypatch.setattr(writer, "_file", full)
    with (
        full,
        pytest.raises(DataError, match=r"cannot be written to .*no space left on device. Name a folder .* TMPDIR"),
    ):
        for _ in range(100):
            writer.write(torch.zeros(10_000, dtype=torch.long))
    assert not list(tmp_path.iterdir()), "the file has no name"


def test_the_size_of_a_text_does_not_matter_to_its_first_lines(tmp_path: Path):
    path = tmp_path / "a.txt"
    path.write_text("first\n" * 400_000)
    file = TextFile(path)
    next(iter(next(iter(file.texts()))))
    assert file.place < file.size


@pytest.mark.slow
def test_memory_does_not_grow_with_a_text(tmp_path: Path):
    """60 MB of text; in memory as a text and as numbers, they took 1.4 GB. Half of what is left is torch."""
    words = [f"{word}{'.' * (i % 7 == 0)}" for i, word in enumerate(PROSE.split())]
    line = " ".join(words[i * 7 % len(words)] for i in range(2000)) + "\n"
    (tmp_path / "large.txt").write_text(line * (60_000_000 // len(line)))
    (tmp_path / "small.txt").write_text(line)
    command = ["train", "large.txt", "--hidden", "8", "--updates", "20", "--json", "--out", "run"]
    command += ["--validation", "small.txt", "--test", "small.txt"]
    # a process starts with the peak memory of the one that started it: a shell, not these tests
    shell = ["sh", "-c", '"$@"; exit $?', "sh", sys.executable, "-m", "unrolled", *command]
    done = subprocess.run(shell, cwd=tmp_path, capture_output=True, text=True, check=True)
    last = json.loads(done.stdout.splitlines()[-1])
    assert json.loads(done.stdout.splitlines()[0])["characters"] > 59_000_000
    assert 50e6 < last["memory"] < 600e6
