"""Texts and recordings as people have them: what must be said of each, or the refusal and what to do."""

from __future__ import annotations

import gzip
import io
import json
import wave
import zipfile
from pathlib import Path
from typing import Any

import numpy
import pytest

from unrolled.data.kinds import kind_for
from unrolled.errors import UnrolledError
from unrolled.run.spec import Spec

PROSE = "Es war einmal eine Königin.\nSie las “Bücher” – viele.\n" * 40
Files = dict[str, "bytes | str"]
SAID: list[tuple[str, Files, dict[str, Any], tuple[str, ...]]] = []
REFUSED: list[tuple[str, Files, dict[str, Any], tuple[str, ...]]] = []


def said(name: str, files: Files | bytes | str, *expected: str, **options: Any) -> None:
    SAID.append((name, files if isinstance(files, dict) else {"a.txt": files}, options, expected))


def refused(name: str, files: Files | bytes | str, *expected: str, **options: Any) -> None:
    REFUSED.append((name, files if isinstance(files, dict) else {"a.txt": files}, options, expected))


def sound(seconds: float = 0.1, rate: int = 8000, channels: int = 1, seed: int = 0) -> bytes:
    samples = numpy.random.default_rng(seed).normal(0, 3000, (int(seconds * rate), channels)).astype("<i2")
    content = io.BytesIO()
    with wave.open(content, "wb") as file:
        file.setparams((channels, 2, rate, 0, "NONE", ""))
        file.writeframes(samples.tobytes())
    return content.getvalue()


def packed(name: str, content: bytes) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr(name, content)
    return archive.getvalue()


def folder(count: int = 6, **more: bytes | str) -> Files:
    return {**{f"t/{i}.txt": f"{PROSE[: 300 + i]}" for i in range(count)}, **{f"t/{n}": c for n, c in more.items()}}


def voices(count: int = 8, **more: bytes | str) -> Files:
    made: Files = {f"v/{label}/{i}.wav": sound(seed=i) for label in ("low", "high") for i in range(count)}
    return {**made, **{f"v/{name}": content for name, content in more.items()}}


LENGTH = f"text {len(PROSE):,} characters"

# encodings and line ends of a text
said("UTF-8", PROSE, LENGTH, "different ones")
said("a mark", b"\xef\xbb\xbf" + PROSE.encode(), LENGTH)
said("CR LF", PROSE.replace("\n", "\r\n"), LENGTH, "lines the line ends CR LF are read as LF")
said("CR", PROSE.replace("\n", "\r"), LENGTH, "the line ends CR are read as LF")
said("two line ends", PROSE + "\r\nx\r", "the line ends CR LF and CR are read as LF")
said("no line end at all", PROSE.replace("\n", " "), LENGTH)
said("one long line", "abc " * 20_000, "80,000 characters, 4 different ones")
said("another suffix", {"book": PROSE}, LENGTH)
said("markdown", {"a.md": PROSE}, LENGTH)
said("emoji and accents that combine", "né\u0301 👩‍👩‍👧 " * 30, "300 characters, 7 different ones")
said("control characters", "a\x00b\x07c\n" * 30, "180 characters, 6 different ones")
refused("Latin-1", PROSE.replace("“", "").replace("”", "").replace("–", "").encode("latin-1"), "a.txt:1", "iconv")
refused("UTF-16 with a mark", PROSE.encode("utf-16"), "iconv -f utf-16")
refused("UTF-16 without a mark", PROSE.encode("utf-16-le"), "iconv -f utf-16-le")
refused("UTF-32", PROSE.encode("utf-32"), "iconv -f utf-32")
refused("half a character at the end", PROSE.encode() + b"\xc3", "a.txt:81", "unexpected end of data")
refused("an error far from the beginning", PROSE.encode() * 900 + b"\xff", "a.txt:72001", "0xff")
refused("empty", b"", "is empty")
refused("a mark alone", b"\xef\xbb\xbf", "is empty")
refused("too short", "abc", "has 3 characters")
refused("packed by gzip", gzip.compress(PROSE.encode()), "a file packed by gzip")
refused("a zip archive", packed("a.txt", PROSE.encode()), "a zip archive")
refused("a PDF", b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n" * 20, "a PDF file")
refused("a picture", b"\x89PNG\r\n\x1a\n" + bytes(99), "a picture")
refused("an array", b"\x93NUMPY" + bytes(99), "an array of numpy")
refused("a table in a text", b"PAR1" + bytes(99), "a Parquet file")

# documents
said("a folder", folder(), "6 documents")
said("a folder in capitals", {f"t/{i}.TXT": PROSE for i in range(5)}, "5 documents")
said("deeper folders", {f"t/{i}/{i}.txt": PROSE + str(i) for i in range(5)}, "5 documents")
said("other files beside them", folder(**{"notes.md": "x", "b.bin": b"\xff"}), "6 documents")
said("hidden texts", folder(**{".a.txt": b"\xff", "__MACOSX/._0.txt": b"\xff", ".git/x.txt": b"\xff"}), "6 documents")
said("lines", "\n".join(f"name {i}" for i in range(99)), "99 documents", document="line")
said("empty lines between", "\n\n".join(f"name {i}" for i in range(99)), "99 documents", document="line")
said("lines of Windows", "\r\n".join(f"name {i}" for i in range(99)), "99 documents", "CR LF", document="line")
said("folders of the parts", {f"t/{p}/{i}.txt": PROSE for p in ("train", "test") for i in range(4)}, "test test/")
refused("a folder with one text", folder(1), "has 1 document")
refused("an empty document", folder(**{"9.txt": ""}), "9.txt' is empty")
refused("a document in Latin-1", folder(**{"9.txt": "ö".encode("latin-1")}), "9.txt:1")
refused("a folder without texts", {"t/a.bin": b"x"}, "without recordings")
refused("equal lines", "the same\n" * 90, "has 1 different line", document="line")
refused("a text beside folders of parts", folder(**{"train/a.txt": PROSE, "test/a.txt": PROSE}), "in none of train/")

# records
ROWS = [{"id": i, "text": f"story {i} of many"} for i in range(40)]
JSONL = "\n".join(map(json.dumps, ROWS))
said("records", {"a.jsonl": JSONL}, "40 documents", field="text")
said("records without a text", {"a.jsonl": JSONL + '\n{"id": 1}\n'}, "1 without a text in 'text'", field="text")
said("records in an array", {"a.json": json.dumps(ROWS)}, "40 documents", field="text")
said("packed records", {"a.jsonl.gz": gzip.compress(JSONL.encode())}, "40 documents", field="text")
said("a mark before records", {"a.jsonl": b"\xef\xbb\xbf" + JSONL.encode()}, "40 documents", field="text")
said(
    "files of records", {"t/a.jsonl": JSONL, "t/b.jsonl": JSONL.replace("story", "tale")}, "80 documents", field="text"
)
refused("another field", {"a.jsonl": JSONL}, "Did you mean 'text'", field="texts")
refused("a record that is cut off", {"a.jsonl": JSONL[:-3]}, "a.jsonl:40: this is not JSON", field="text")
refused("records that are lists", {"a.jsonl": "[1]\n" * 50}, "a.jsonl:1: expected a JSON object", field="text")
refused("a field of numbers", {"a.jsonl": JSONL}, "'id' must be a text", field="id")

# recordings
said("recordings", voices(), "8,000 Hz", "classes 2: high, low")
said("two channels", voices(**{"low/9.wav": sound(channels=2)}), "8,000 Hz")
said("hidden files", voices(**{".DS_Store": b"x", "__MACOSX/low/._1.wav": b"x"}), "classes 2: high, low")
said("other files", voices(**{"low/a.m4a": b"x"}), "other files: .m4a 1")
said("labels in names", {f"v/{c}_{i}.wav": sound(seed=i) for c in "ab" for i in range(8)}, "classes 2: a, b")
said("capitals", {f"v/{c}/{i}.WAV": sound(seed=i) for c in "ab" for i in range(8)}, "classes 2: a, b")
said("a cut recording, skipped", voices(**{"low/9.wav": sound()[:200]}), "skipped 1 unreadable", skip_unreadable=True)
refused("a cut recording", voices(**{"low/9.wav": sound()[:200]}), "is cut off after", "skip_unreadable=true")
refused("no samples", voices(**{"low/9.wav": sound(0)}), "has no samples")
refused("an empty file", voices(**{"low/9.wav": b""}), "cannot be read as a recording")
refused("a text called wav", voices(**{"low/9.wav": PROSE}), "cannot be read as a recording")
refused("two rates", voices(**{"low/9.wav": sound(rate=16000)}), "recordings of 2 sample rates", "sox")
refused("one class", {f"v/a/{i}.wav": sound() for i in range(8)}, "has one class only, 'a'")
refused("a class with one recording", voices(**{"odd/1.wav": sound()}), "class 'odd' has 1 recording")
refused("a class without recordings", voices(**{"odd/1.m4a": b"x"}), "class 'odd' has no recordings")
refused("no label", voices(**{"9.wav": sound()}), "'9.wav' has no label")


def learned(files: Files, options: dict[str, Any], at: Path) -> Any:
    for name, content in files.items():
        path = at / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    path = at / Path(next(iter(files))).parts[0]
    kind = kind_for(path, None, None, options.get("field"))
    spec = Spec.read(kind.name, {"data": options, "reading": {"batch": 2}})
    return spec.kind.learn(path, spec.data, spec.reading)


@pytest.mark.parametrize(("files", "options", "expected"), [c[1:] for c in SAID], ids=[c[0] for c in SAID])
def test_what_was_understood_is_said(files: Files, options: dict, expected: tuple, tmp_path: Path):
    _needs_soundfile(files)
    told = "\n".join(f"{word} {text}" for word, text in learned(files, options, tmp_path).describe())
    for words in expected:
        assert words in told, told


@pytest.mark.parametrize(("files", "options", "expected"), [c[1:] for c in REFUSED], ids=[c[0] for c in REFUSED])
def test_what_cannot_be_understood_is_refused(files: Files, options: dict, expected: tuple, tmp_path: Path):
    _needs_soundfile(files)
    with pytest.raises(UnrolledError) as refusal:
        learned(files, options, tmp_path)
    for words in expected:
        assert words in str(refusal.value)


def _needs_soundfile(files: Files) -> None:
    if any(name.lower().endswith(".wav") for name in files):
        pytest.importorskip("soundfile")
