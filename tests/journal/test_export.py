"""What a journal holds as CSV, JSON and Parquet: what counts, and nothing that does harm."""

from __future__ import annotations

import csv
import json
import os
import pickle
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from journal import files
from masterworker import Master
from masterworker.core.task import FAILURE, LOST, RESULT
from masterworker.data.cells import harmless
from masterworker.data.record import Failure
from masterworker.errors import JournalError, UsageError
from masterworker.journal.export import export
from masterworker.journal.records import Began, Behind, Done
from support import HANG, Script, python_script, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the journal is."""
    return tmp_path / "job.journal"


@pytest.fixture
def exported(path: Path) -> Callable[[str], Any]:
    """Export the journal, and read what was written."""

    def read(ending: str) -> Any:
        out = path.with_name(f"out{ending}")
        export(path, files.key(), out)
        if ending == ".json":
            return json.loads(out.read_text())
        if ending == ".csv":
            with out.open(newline="") as file:
                return list(csv.DictReader(file))
        parquet = pytest.importorskip("pyarrow.parquet")
        return parquet.read_table(out).to_pylist()

    return read


def outcome(name: str, kind: int, payload: object, asked: object = (1,)) -> Done:
    """One outcome of a classic task."""
    pickled = payload if isinstance(payload, bytes) else pickle.dumps(payload)
    key = name.encode().ljust(16, b".")
    return Done(key, "sqrt", kind, [pickled], "=worker", 2, 1.5, [pickle.dumps(asked)])


FAILED = Failure("ValueError", "@bad", "", b"").encode()
BEGAN = Began(1.0, "here", 7, "program.py", {})


def test_each_kind_of_outcome(path: Path, exported: Callable[[str], Any]) -> None:
    some = [
        outcome("a", FAILURE, FAILED),
        outcome("b", FAILURE, FAILED, (2, "x")),
        outcome("a", RESULT, {"n": [1, 2.5, None, (True, "t")]}),
        outcome("c", LOST, b"killed\nkilled again"),
        outcome("b", FAILURE, Failure("KeyError", "", "", b"").encode(), (2, "x")),
    ]
    files.write(path, [[BEGAN, *some[:2]], some[2:]])  # type: ignore[list-item]
    first, second, third = exported(".json")
    assert first["result"] == {"n": [1, 2.5, None, [True, "t"]]}
    assert (first["task"], first["state"], first["parameters"]) == (
        (b"a" + 15 * b".").hex(),
        "result",
        [1],
    )
    assert first["time"] == "1970-01-01T00:00:01.500000+00:00"
    assert (second["state"], second["failure"]) == ("lost", "killed; killed again")
    assert (third["failure"], third["parameters"]) == ("KeyError", [2, "x"])
    assert [row["worker"] for row in exported(".csv")] == ["'=worker"] * 3
    table = exported(".parquet")
    assert json.loads(table[0]["result"]) == first["result"]
    assert [row["result"] is None for row in table] == [False, True, True]
    assert [row["worker"] for row in table] == ["=worker"] * 3


@pytest.mark.parametrize("ending", [".csv", ".json", ".parquet"])
def test_a_journal_without_outcomes(
    path: Path, exported: Callable[[str], Any], ending: str
) -> None:
    files.write(path, [[BEGAN]])
    assert exported(ending) == []


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("+1", "'+1"),
        ("-1+2", "'-1+2"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t'=1"),
        ("\r=1", "'\r'=1"),
        (" =1", "' =1"),
        ('"=1', "'\"=1"),
        ("\uff1d1", "'\uff1d1"),
        ("a;=1", "a;'=1"),
        ("a\n=1", "a\n'=1"),
        ("\0=1", "'\0=1"),
        ("a=1", "a=1"),
        ("3-2", "3-2"),
        ("", ""),
    ],
)
def test_formulas_do_no_harm(text: str, cell: str) -> None:
    assert harmless(text) == cell


def test_numbers_stay_numbers(path: Path, exported: Callable[[str], Any]) -> None:
    """Also those below zero, which begin like a formula."""
    values = [-5, -0.5, -1e-7, 2**70, True]
    files.write(path, [[outcome(str(n), RESULT, value, (-1,)) for n, value in enumerate(values)]])
    rows = exported(".csv")
    assert [row["result"] for row in rows] == ["-5", "-0.5", "-1e-07", str(2**70), "True"]
    assert {row["parameters"] for row in rows} == {"[-1]"}


class Hidden:
    """Its text is a formula, and it cannot be shown."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        if not self.text:
            raise RuntimeError
        return self.text


def test_values_of_any_class(path: Path, exported: Callable[[str], Any]) -> None:
    import numpy as np

    values: list[Any] = [
        Hidden("=1"),
        Hidden(""),
        float("nan"),
        bytearray(b"=1"),
        "\ud800",
        1j,
        [[]] * 2000,
    ]
    values += [np.arange(3), np.float32(0.5), np.zeros(5000), {1: 2}, "x" * 20_000]
    files.write(path, [[outcome(str(n), RESULT, value) for n, value in enumerate(values)]])
    rows = exported(".json")
    found = [row["result"] for row in rows]
    assert found[0] == "=1"
    assert "cannot be shown" in found[1]
    assert found[2:4] == ["nan", "bytearray(b'=1')"]
    assert found[7:9] == [[0, 1, 2], 0.5]
    assert found[10] == "{1: 2}"
    assert all(len(str(each)) < 11_000 for each in found)
    assert exported(".csv")[0]["result"] == "'=1"
    assert len(exported(".parquet")) == len(values)


def test_a_bad_pickle_is_a_text(path: Path, exported: Callable[[str], Any]) -> None:
    bad = b"\x80\x04cnowhere_at_all\nthing\n."
    ends = b"\x80\x04csys\nexit\n)R."
    files.write(path, [[outcome("a", RESULT, bad), outcome("b", RESULT, ends)]])
    first, second = exported(".json")
    assert "ModuleNotFoundError" in first["result"]
    assert "SystemExit" in second["result"]


def test_nothing_is_opened_whose_check_fails(path: Path, tmp_path: Path) -> None:
    mark = tmp_path / "executed"
    evil = b"cposix\nsystem\n(V" + f"touch {mark}".encode() + b"\ntR."
    good = b"\x80\x05N.".ljust(len(evil), b"z")
    ends = files.write(path, [[outcome("a", RESULT, good)], [outcome("b", RESULT, 2)]])
    data = path.read_bytes().replace(good, evil)
    path.write_bytes(data)
    out = tmp_path / "out.json"
    with pytest.raises(JournalError, match=r"damaged at byte .*prune"):
        export(path, files.key(), out)
    path.write_bytes(data[: ends[0]])
    export(path, files.key(), out)  # as if its end was torn
    assert json.loads(out.read_text()) == []
    assert not mark.exists()
    with pytest.raises(JournalError, match="another key"):
        export(path, b"k" * 32, out)
    assert [p.name for p in tmp_path.iterdir() if "part" in p.name] == []
    files.write(path, [[outcome("a", RESULT, evil)]])
    export(path, files.key(), out)
    assert mark.exists()  # what has a good check is trusted


def test_groups_that_were_ahead_of_a_crash_are_a_torn_end(
    path: Path, exported: Callable[[str], Any]
) -> None:
    """The system has kept a later group, and not the one before it, which was not flushed."""
    ends = files.write(path, [[outcome("a", RESULT, 1)], [outcome("b", RESULT, 2)], [Behind(1)]])
    data = path.read_bytes()
    path.write_bytes(data[: ends[0]] + bytes(ends[1] - ends[0]) + data[ends[1] :])
    assert [row["result"] for row in exported(".json")] == [1]


def test_what_cannot_be_written(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files.write(path, files.groups())
    with pytest.raises(UsageError, match=r"must be one of \.csv, \.json, \.parquet"):
        export(path, files.key(), tmp_path / "out.xlsx")
    with pytest.raises(UsageError, match="cannot be written: No such file"):
        export(path, files.key(), tmp_path / "missing" / "out.csv")
    journal = tmp_path / "job.json"
    before = path.read_bytes()
    journal.write_bytes(before)
    with pytest.raises(UsageError, match="is the journal itself"):
        export(journal, files.key(), journal)
    assert journal.read_bytes() == before
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UsageError, match=r"pip install 'masterworker\[parquet\]'"):
        export(path, files.key(), tmp_path / "out.parquet")


PROGRAM = """
    import threading
    from dataclasses import dataclass
    from masterworker import Master

    @dataclass
    class Point:
        x: int

    def move(point, by=1, *, twice=False):
        if by == 3:
            raise ValueError("too far")
        return Point(point.x + by * (1 + twice))

    with Master(workers=2, journal="job.journal") as master:
        list(master.map(abs, range(-300, 0)))
        list(master.map(lambda x, y: x * y, range(5), "abcde", seed=4))
        master.submit(move, Point(1), 2, twice=True).result()
        master.submit(move, Point(1), 3).exception()
        master.submit(bytes, 300_000).result()
        print("ready", flush=True)
        threading.Event().wait()
"""


def test_the_journal_of_a_master_that_goes_on(tmp_path: Path) -> None:
    """Without a lock, and without its classes: those of the main program are shown all the same."""
    script = Script(python_script(tmp_path, "program.py", PROGRAM))
    wait_until(lambda: "ready" in script.out, 2 * HANG, what=script.told)
    command = [sys.executable, "-m", "masterworker.cli", "journal", "job.journal", "export"]
    done = subprocess.run(
        [*command, "out.json"],
        cwd=tmp_path,
        env=dict(os.environ),
        check=False,
        capture_output=True,
        text=True,
        timeout=2 * HANG,
    )
    script.kill()
    assert done.stdout == "308 outcomes in out.json\n", done.stderr
    rows = json.loads((tmp_path / "out.json").read_text())
    by_tag: dict[str, list[Any]] = {}
    for row in rows:
        by_tag.setdefault(row["tag"], []).append((row["parameters"], row["result"]))
    assert sorted(by_tag["abs"]) == [([-n], n) for n in range(300, 0, -1)]
    assert sorted(by_tag["<lambda>"]) == [([n, "abcde"[n]], n * "abcde"[n]) for n in range(5)]
    assert by_tag["move"][0] == (["Point(x=1)", 2, {"twice": True}], "Point(x=5)")
    assert by_tag["move"][1] == (["Point(x=1)", 3], None)
    assert by_tag["bytes"][0][0] == [300_000]
    assert str(by_tag["bytes"][0][1]).startswith("b'\\x00")


def test_memory_does_not_grow_with_the_journal(path: Path) -> None:
    """Twenty times the outcomes take no more memory."""
    import tracemalloc

    def most(number: int) -> int:
        groups = [
            [outcome(f"{g}-{n}", RESULT, "x" * 500) for n in range(50)] for g in range(number)
        ]
        files.write(path, groups)  # type: ignore[arg-type]
        del groups
        tracemalloc.start()
        try:
            assert export(path, files.key(), path.with_name("out.csv")) == 50 * number
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    most(5)
    assert most(200) < 2 * most(10) + 500_000


def test_what_was_exported_is_replaced(path: Path) -> None:
    with Master(serial=True, journal=path) as master:
        assert master.submit(abs, -1).result() == 1
    out = path.with_name("out.json")
    out.write_text("old")
    assert export(path, files.key(), out) == 1
    assert json.loads(out.read_text())[0]["result"] == 1


def test_whole_numbers_that_are_too_large_for_other_programs(
    path: Path, exported: Callable[[str], Any]
) -> None:
    """Python makes no digits of some; JSON's readers would make infinity of others."""
    files.write(
        path, [[outcome("a", RESULT, 10**6000), outcome("b", RESULT, [-(2**1024), 2**1023])]]
    )
    for ending in (".json", ".csv", ".parquet"):
        assert str(exported(ending)[0]["result"]).strip('"').startswith(hex(10**6000)[:100])
    assert exported(".json")[1]["result"] == [hex(-(2**1024)), 2**1023]


def raises(text: str) -> None:
    """What a value is made by that cannot be rebuilt."""
    raise ValueError(text)


class Broken:
    """It cannot be rebuilt, and the reason is no text that can be written."""

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return raises, ("the file \udcff",)


def test_a_reason_that_cannot_be_written(path: Path, exported: Callable[[str], Any]) -> None:
    files.write(path, [[outcome("a", RESULT, Broken())]])
    for ending in (".json", ".csv", ".parquet"):
        assert "ValueError: the file ?" in exported(ending)[0]["result"]


def test_no_cell_is_too_long_for_a_reader(path: Path, exported: Callable[[str], Any]) -> None:
    """One that is lets Python's own reader of CSV refuse the file."""
    long = ["x" * 9_000] * 20
    failed = Failure("ValueError", "y" * 200_000, "", b"").encode()
    files.write(path, [[outcome("a", RESULT, long), outcome("b", FAILURE, failed)]])
    first, second = exported(".csv")
    assert first["result"].endswith("... (180,080 characters)")
    assert second["failure"].endswith("... (200,012 characters)")
    assert exported(".json")[0]["result"] == long
