"""Records of jobs: what is written, how many are kept, and what is refused."""

from __future__ import annotations

import errno
import logging
import os
import stat
import time
from typing import TYPE_CHECKING

import msgspec
import pytest
from msgspec.structs import replace

from masterworker import job_record
from masterworker.errors import UsageError
from masterworker.manager import Manager
from masterworker.master import record_keeper
from masterworker.master.record_keeper import RecordKeeper
from support import HANG, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from masterworker.recorder import shapes


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state folder of our own; it does not exist yet."""
    folder = tmp_path / "deep" / "state"
    monkeypatch.setenv("MASTERWORKER_STATE", str(folder))
    monkeypatch.setattr(record_keeper, "_said", type(record_keeper._said)())
    return folder


def saved(label: str = "demo") -> shapes.Snapshot:
    snapshot = Manager().looking.afresh()
    job_record.save(label, "pid 1 on here (x)", snapshot)
    return snapshot


def path_of(state: Path) -> Path:
    (path,) = (state / "records").iterdir()
    return path


def test_it_comes_back_and_is_private(state: Path) -> None:
    """Folders 0700, files 0600, whatever the umask says; a later one takes its place."""
    before = os.umask(0)
    try:
        saved("demo")
        snapshot = saved("demo")
    finally:
        os.umask(before)
    record = job_record.find("demo")
    assert record is not None
    assert (record.label, record.snapshot) == ("demo", snapshot)
    assert abs(record.saved - time.time()) < HANG
    assert job_record.find("another") is None
    path = path_of(state)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert {stat.S_IMODE(p.stat().st_mode) for p in (state, path.parent)} == {0o700}


def test_how_many_are_kept(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The latest, by number and by size; of what was left behind none."""
    monkeypatch.setattr(job_record, "KEPT", 3)
    for number in range(5):
        saved(f"job {number}")
        for path in (state / "records").iterdir():  # all that is there is a bit older now
            os.utime(path, (0, path.stat().st_mtime - 10))
    left = state / "records" / ".new-left"
    left.touch()
    os.utime(left, (0, 0))
    saved("last")
    found, wrong = job_record.all_records()
    assert [record.label for record in found] == ["last", "job 4", "job 3"]
    assert (wrong, left.exists()) == ([], False)
    monkeypatch.setattr(job_record, "KEPT_BYTES", 1)
    saved("large")
    assert len(list((state / "records").iterdir())) == 1


def damage(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-10])


def garbage(path: Path) -> None:
    path.write_bytes(b"\x81\xa6format\xc1<html>")


def empty(path: Path) -> None:
    path.write_bytes(b"")


def no_time(path: Path) -> None:
    head = msgspec.msgpack.decode(path.read_bytes(), type=job_record.Head)
    path.write_bytes(msgspec.msgpack.encode(replace(head, saved=float("inf"))))


def later_format(path: Path) -> None:
    path.write_bytes(msgspec.msgpack.encode({"format": 9, "else": "?"}))


def later_snapshot(path: Path) -> None:
    head = msgspec.msgpack.decode(path.read_bytes(), type=job_record.Head)
    inside = msgspec.msgpack.encode({"version": 9, "else": "?"})
    path.write_bytes(msgspec.msgpack.encode(replace(head, snapshot=inside)))


def later_spans(path: Path) -> None:
    head = msgspec.msgpack.decode(path.read_bytes(), type=job_record.Head)
    inside = msgspec.msgpack.encode({"version": 9, "else": "?"})
    path.write_bytes(msgspec.msgpack.encode(replace(head, spans=inside)))


def bad_spans(path: Path) -> None:
    head = msgspec.msgpack.decode(path.read_bytes(), type=job_record.Head)
    path.write_bytes(msgspec.msgpack.encode(replace(head, spans=b"\x81\xa7version\x01")))


def without_spans(path: Path) -> None:
    """As an earlier version wrote it."""
    head = msgspec.msgpack.decode(path.read_bytes())
    del head["spans"]
    path.write_bytes(msgspec.msgpack.encode(head))


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path, 0o600)


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir(mode=0o700)


def link(path: Path) -> None:
    path.rename(path.parent.parent / "elsewhere")
    path.symlink_to(path.parent.parent / "elsewhere")


def writable(path: Path) -> None:
    path.chmod(0o620)


def foreign(path: Path) -> None:
    if os.geteuid():
        pytest.skip("only root can give files away")
    os.chown(path, 12345, -1)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (damage, "is damaged"),
        (garbage, "is damaged"),
        (empty, "is damaged"),
        (no_time, "is damaged"),
        (pipe, "is damaged"),
        (folder, "is damaged"),
        (link, "cannot be read"),
        (later_format, "in version 9"),
        (later_snapshot, "in version 9"),
        (later_spans, "in version 9"),
        (bad_spans, "is damaged"),
        (writable, "can be written by others"),
        (foreign, "is not yours"),
    ],
)
def test_one_that_cannot_be_used(state: Path, spoil: Callable[[Path], None], said: str) -> None:
    """One sentence; the others are found all the same."""
    saved("demo")
    spoil(path_of(state))
    with pytest.raises(UsageError) as caught:
        job_record.find("demo")
    assert said in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
    saved("other")
    found, wrong = job_record.all_records()
    assert [record.label for record in found] == ["other"]
    assert len(wrong) == 1


def test_one_of_before_there_were_spans(state: Path) -> None:
    saved("demo")
    without_spans(path_of(state))
    record = job_record.find("demo")
    assert record is not None
    assert list(record.spans) == []


def test_a_folder_that_others_can_change(state: Path) -> None:
    """Nothing of it is used."""
    saved("demo")
    (state / "records").chmod(0o770)
    for use in (lambda: job_record.find("demo"), job_record.all_records, saved):
        with pytest.raises(UsageError, match="can be written by others"):
            use()


def test_no_folder(
    state: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A file is there: it is said once, for all jobs of this process."""
    monkeypatch.setenv("MASTERWORKER_RECORDS", "")
    state.parent.mkdir()
    state.touch()
    with caplog.at_level(logging.WARNING, "masterworker"):
        for label in ("one", "two"):
            RecordKeeper(label, Manager().looking).close(HANG)
    assert [record.getMessage().count("cannot be kept") for record in caplog.records] == [1]


def test_a_full_disk_that_is_emptied(
    state: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is tried again; what was begun is removed."""
    rename, tries = os.rename, []

    def full(*names: str, **folders: int) -> None:
        tries.append(names)
        if len(tries) < 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        rename(*names, **folders)

    monkeypatch.setattr(os, "rename", full)
    monkeypatch.setattr(record_keeper, "EVERY", 0.01)
    monkeypatch.setattr(record_keeper, "EVERY_SHARE", 0.0)
    with caplog.at_level(logging.WARNING, "masterworker"):
        keeper = RecordKeeper("demo", Manager().looking)
        wait_until(lambda: len(tries) > 3, HANG)
        keeper.close(HANG)
    assert len(caplog.records) == 1
    assert "No space left on device" in caplog.text
    assert path_of(state).name.startswith("demo-")


def test_the_first_one_is_saved_early(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A master that is killed before the second one has left one."""
    monkeypatch.setattr(record_keeper, "FIRST", 0.01)
    keeper = RecordKeeper("demo", Manager().looking)
    wait_until(lambda: job_record.find("demo") is not None, HANG)
    keeper.close(HANG)


@pytest.mark.parametrize("told", ["0", "no", " OFF "])
def test_none_is_wanted(state: Path, monkeypatch: pytest.MonkeyPatch, told: str) -> None:
    """No thread, no file."""
    monkeypatch.setenv("MASTERWORKER_RECORDS", told)
    keeper = RecordKeeper("demo", Manager().looking)
    keeper.close()
    assert (keeper._thread, state.exists()) == (None, False)
