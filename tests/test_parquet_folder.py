"""Folders of Parquet files that are one table, and large files that are read group by group."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy
import pytest

from unrolled.cli import main
from unrolled.data.kinds import recognise
from unrolled.data.table import Table
from unrolled.data.tables.read import read_sheet
from unrolled.errors import DataError
from unrolled.run.spec import Spec

pandas = pytest.importorskip("pandas")
pytest.importorskip("pyarrow")


def shop(name: str, seed: int, count: int = 60) -> Any:
    days = pandas.date_range("2021-01-01", periods=count)
    values = numpy.random.default_rng(seed).normal(10, 2, count)
    return pandas.DataFrame({"shop": name, "day": days, "load": values})


@pytest.fixture
def shops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Six shops as one table, as a file of several row groups, as parts, and as folders by shop."""
    monkeypatch.chdir(tmp_path)
    frames = [shop(f"00{number}", number) for number in range(6)]
    whole = pandas.concat(frames, ignore_index=True)
    whole.to_parquet("whole.parquet", index=False, row_group_size=50)
    whole.to_csv("whole.csv", index=False)
    Path("parts/deeper").mkdir(parents=True)
    for number in range(6):
        place = "parts/deeper" if number > 3 else "parts"
        whole[60 * number : 60 * (number + 1)].to_parquet(f"{place}/{number}.parquet", index=False)
        folder = Path(f"by_shop/shop=00{number}")
        folder.mkdir(parents=True)
        frames[number][["day", "load"]].to_parquet(folder / "part.parquet", index=False)
    Path("parts/_metadata.parquet").write_bytes(b"not data")
    Path("parts/.hidden.parquet").write_bytes(b"not data")
    return frames


def learned(path: str, **options: Any) -> Any:
    spec = Spec.read("forecast", {"data": options})
    return spec.kind.learn(Path(path), spec.data, spec.reading)


def test_parts_are_one_table(shops: list[Any]):
    assert recognise(Path("parts")) is recognise(Path("by_shop")) is Table
    found = [learned(path, sequence="shop") for path in ("whole.parquet", "parts", "by_shop")]
    for data in found:
        for ours, theirs in zip(data.parts, found[0].parts, strict=True):
            assert [e.name for e in ours] == [e.name for e in theirs]
            for a, b in zip(ours, theirs, strict=True):
                assert a.x.equal(b.x) and a.y.nan_to_num(nan=9e9).equal(b.y.nan_to_num(nan=9e9))
        said = dict(data.describe())
        assert said["series"].startswith("6 by shop (000, 001, 002, 003, 004, 005), 60 rows each")
    assert dict(found[1].describe())["file"] == dict(found[2].describe())["file"] == "6 Parquet files"
    assert len({data.sha256 for data in found}) == 3


def test_groups_of_rows_are_the_whole_file(shops: list[Any]):
    in_groups, packed = read_sheet(Path("whole.parquet")), Path("whole.parquet").read_bytes()
    pandas.concat(shops, ignore_index=True).to_parquet("one.parquet", index=False)
    pandas.testing.assert_frame_equal(in_groups.frame, read_sheet(Path("one.parquet")).frame)
    assert len(packed) and in_groups.line(299) == "row 300"


def test_a_row_is_named_by_its_file(shops: list[Any]):
    broken = shops[2].assign(load=shops[2].load.where(shops[2].index != 7, numpy.inf))
    broken.to_parquet("parts/2.parquet", index=False)
    with pytest.raises(DataError, match=r"'?parts'?, 2.parquet, row 8: .*finite numbers"):
        learned("parts", sequence="shop")


def test_commands_read_folders(shops: list[Any], capsys):
    command = ["train", "parts", "--sequence", "shop", "--updates", "2", "--json", "--out", "run"]
    assert main(command) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert main(["evaluate", "run", "parts", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["mase"] == result["mase"]
    assert main(["predict", "run", "parts"]) == 0
    assert main(["look", "parts", "--set", "data.sequence=shop", "--out", "page.html"]) == 0
    whole = ["train", "whole.parquet", "--sequence", "shop", "--test", "parts", "--updates", "2", "--out", "other"]
    assert main(whole) == 0


def test_files_that_do_not_fit_together_are_refused(shops: list[Any]):
    other = shops[1]
    cases = {
        "'1.parquet' has a column 'price', which '0.parquet' does not have": other.assign(price=1.0),
        "'1.parquet' has no column 'load', which '0.parquet' has": other[["shop", "day"]],
        "the columns of '1.parquet' are in another order": other[["day", "shop", "load"]],
        "column 'load' has numbers in some files and texts in others": other.assign(load="high"),
    }
    for message, frame in cases.items():
        frame.to_parquet("parts/1.parquet", index=False)
        with pytest.raises(DataError, match=message):
            read_sheet(Path("parts"))
    Path("parts/1.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match=r"parts/1.parquet' cannot be read as a table"):
        read_sheet(Path("parts"))


def test_folders_of_parts_are_named_apart(shops: list[Any]):
    for name in ("train", "test"):
        Path("split", name).mkdir(parents=True)
        shops[0].to_parquet(f"split/{name}/a.parquet", index=False)
    with pytest.raises(DataError, match="'split/train' as the data, and --validation or --test"):
        read_sheet(Path("split"))


MEMORY = """
import resource, sys
from pathlib import Path
from unrolled.data import table
from unrolled.data.reading import Reading
from unrolled.files import shelf

def learned(path):
    return table.Table.learn(Path(path), table.TableOptions(goal="steps", target="label"), Reading())

def used():
    return 1024 * int(next(line for line in open("/proc/self/status") if line.startswith("VmData")).split()[1])

learned("small.parquet")
shelf.IN_MEMORY, table.AT_ONCE = 1 << 20, 1 << 20
limit = used() + int(sys.argv[1])
resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))  # of memory that is not a part of a file
print(sum(len(example.x) for example in learned("large").train))
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc, and limits memory as Linux does")
def test_the_memory_of_a_large_table(tmp_path: Path):
    """Forty megabytes of numbers take at most twice as much, since there are columns of texts and of row numbers
    in memory. As arrays of all rows, they took more than four times as much."""
    count = 600_000
    frame = pandas.DataFrame(numpy.random.default_rng(0).normal(size=(count, 8)), columns=list("abcdefgh"))
    frame["label"] = numpy.where(frame.a > 0, "high", "low")
    (tmp_path / "large").mkdir()
    for number in range(2):
        part = frame[number * count // 2 : (number + 1) * count // 2]
        part.to_parquet(tmp_path / "large" / f"{number}.parquet", index=False, row_group_size=50_000)
    frame[:100].to_parquet(tmp_path / "small.parquet", index=False)
    command = [sys.executable, "-c", MEMORY, str(16 * 8 * count)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) == count
