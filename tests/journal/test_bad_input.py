"""What is no journal, cannot be written, or is in use: an error that says so, and nothing lost."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from journal import files
from masterworker import Master
from masterworker.cli.main import main
from masterworker.errors import JournalError, UsageError
from masterworker.journal import upkeep
from masterworker.journal.export import export
from support import HANG, Script, python_script

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the journal is."""
    return tmp_path / "job.journal"


def opened(path: object, **options: object) -> None:
    """Make a master with a journal, and end it."""
    Master(serial=True, journal=path, **options).shutdown()  # type: ignore[arg-type]


def test_a_torn_end_is_kept_elsewhere_and_cut(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    ends = files.write(path, files.groups())
    whole = path.read_bytes()
    torn = whole[ends[2] : ends[3] - 5]
    path.write_bytes(whole[: ends[2]] + torn)
    opened(path)
    assert path.with_name("job.journal.torn-1").read_bytes() == torn
    assert path.read_bytes().startswith(whole[: ends[2]])
    assert "was not whole" in caplog.text


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda data, ends: data[: ends[0] + 9] + b"!" + data[ends[0] + 10 :], "damaged at byte"),
        (lambda data, ends: data[: ends[0]] + data[ends[1] :], "left out"),
        (lambda _data, _ends: b"#!/bin/sh\n" * 20, "not a journal"),
        (lambda _data, _ends: files.bytes_of(files.groups(), b"other".ljust(32))[0], "another key"),
        (lambda data, _ends: data[:24] + b"\x63\x00" + data[26:], "newer one"),
    ],
    ids=["damage inside", "group left out", "another file", "another key", "future format"],
)
def test_what_is_refused_stays_as_it_is(path: Path, change: object, says: str) -> None:
    data, ends = files.bytes_of(files.groups())
    bad = change(data, ends)  # type: ignore[operator]
    path.write_bytes(bad)
    with pytest.raises(JournalError, match=says):
        opened(path)
    assert path.read_bytes() == bad
    assert list(path.parent.iterdir()) == [path]


def test_a_second_master_is_refused_and_the_first_is_named(path: Path) -> None:
    with Master(serial=True, journal=path) as master:
        assert master.submit(abs, -1).result() == 1
        with pytest.raises(JournalError, match=f"another master.*process {os.getpid()} on"):
            opened(path)
    opened(path)


def test_an_end_frees_the_journal_whatever_the_forks_do(path: Path) -> None:
    context = multiprocessing.get_context("fork")
    go_on = context.Event()
    with Master(serial=True, journal=path) as master:
        assert master.submit(abs, -1).result() == 1
        child = context.Process(target=go_on.wait, args=(HANG,))
        child.start()
        assert master.submit(abs, -2).result() == 2
    size = path.stat().st_size
    opened(path)
    go_on.set()
    child.join(HANG)
    assert child.exitcode == 0
    assert path.stat().st_size >= size


def _link(path: Path) -> Path:
    path.symlink_to(path.with_name("real.journal"))
    return path


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda path: path.parent / "missing" / "a.journal", "no folder"),
        (lambda path: path.parent, "is a folder"),
        (_link, "symbolic link"),
        (lambda _path: "/dev/null", "is no file"),
    ],
    ids=["missing folder", "folder", "symbolic link", "device"],
)
def test_bad_places(path: Path, make: object, says: str) -> None:
    with pytest.raises(JournalError, match=says):
        opened(make(path))  # type: ignore[operator]


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write everywhere")
def test_a_folder_that_cannot_be_written(path: Path) -> None:
    path.parent.chmod(0o500)
    try:
        with pytest.raises(JournalError, match="cannot be written"):
            opened(path)
    finally:
        path.parent.chmod(0o700)


@pytest.mark.parametrize(
    "options",
    [
        {"journal_mode": "fast"},
        {"journal_failures": True},
        {"journal_changed": "ignore"},
        {"journal": ""},
        {"journal": 5},
    ],
)
def test_bad_options(path: Path, options: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="must be"):
        Master(serial=True, **{"journal": path, **options})  # type: ignore[arg-type]


def test_a_large_result_that_is_gone_or_changed(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def work(number: int) -> bytes:
        return bytes([number]) * 300_000

    def results() -> list[bytes]:
        from masterworker.journal import journal

        journal._programs.clear()  # as in a program that is started again
        with Master(serial=True, journal=path) as master:
            return [master.submit(work, number).result() for number in range(3)]

    first = results()
    one, other, _ = sorted(p for p in path.with_name("job.journal.d").rglob("*") if p.is_file())
    one.unlink()
    with other.open("r+b") as file:
        file.seek(1000)
        file.write(b"!")
    assert results() == first
    assert caplog.text.count("is gone or was changed") == 2


SMALL_DISK = """
    import os, sys, threading, time
    import logging
    logging.basicConfig()
    from masterworker import Master

    def work(x):
        return os.urandom(1500)

    with Master(serial=True, journal="disk/job.journal") as master:
        got = []
        def free():
            while len(got) < 5 or time.monotonic() < full + 2:
                time.sleep(0.05)
            os.unlink("disk/ballast")
        full = time.monotonic()
        thread = threading.Thread(target=free)
        thread.start()
        for x in range(200):
            got.append(master.submit(work, x).result())
        thread.join()
    print("done", len(got))
"""


def test_a_full_disk_holds_up_and_then_goes_on(tmp_path: Path) -> None:
    if shutil.which("unshare") is None:
        pytest.skip("needs unshare")
    program = python_script(tmp_path, "program.py", SMALL_DISK)
    (tmp_path / "disk").mkdir()
    mount = "mount -t tmpfs -o size=512k none disk && head -c 300000 /dev/zero > disk/ballast"
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", f"{mount} && exec {sys.executable} {program}"],
        cwd=tmp_path,
        check=False,
        capture_output=True,
        text=True,
        timeout=4 * HANG,
    )
    if "unshare failed" in done.stderr or "mount:" in done.stderr:
        pytest.skip(f"no namespaces here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "done 200\n"
    assert "no room on the disk" in done.stderr


def test_a_slow_disk_keeps_the_file_at_the_end(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The number of its descriptor must not become another file's while it is written."""
    from masterworker.journal import journal as module
    from masterworker.journal import writing

    slow, real = threading.Event(), os.fdatasync

    def flush(fd: int) -> None:
        slow.wait(HANG)
        real(fd)

    class System:
        fdatasync = staticmethod(flush)

        def __getattr__(self, name: str) -> object:
            return getattr(os, name)

    monkeypatch.setattr(writing, "os", System())
    journal = module.Journal(module.Settings(path))
    fd = journal._fd
    assert not journal.close(0.05)
    assert os.path.samestat(os.fstat(fd), path.stat())
    slow.set()
    assert journal.close(HANG)
    opened(path)


BROKEN = """
    import errno, os, sys
    import masterworker.journal.writing as writing
    from masterworker import JournalError, Master

    flushes = []

    class System:
        def __getattr__(self, name):
            return getattr(os, name)

        def fdatasync(self, fd):
            flushes.append(fd)
            if len(flushes) > 3:
                raise OSError(errno.EIO, "Input/output error")
            os.fdatasync(fd)

    writing.os = System()
    told = 0
    try:
        with Master(WORKERS, journal="job.journal") as master:
            for x in range(100):
                master.submit(abs, -x).result()
                told += 1
    except JournalError as error:
        print(told, len(flushes), error)
"""


@pytest.mark.parametrize("workers", ["serial=True", "workers=1"])
def test_a_flush_that_fails_ends_the_job(tmp_path: Path, workers: str) -> None:
    source = BROKEN.replace("WORKERS", workers)
    script = Script(python_script(tmp_path, "program.py", source))
    assert script.wait() == 0, script.told
    told, flushes, text = script.out.split(" ", 2)
    assert int(flushes) == 4
    assert 1 <= int(told) <= 3
    assert "the disk did not take it" in text


@pytest.fixture(autouse=True)
def fresh_program() -> Iterator[None]:
    """Each test is a program of its own."""
    from masterworker.journal import journal

    journal._programs.clear()
    yield
    journal._programs.clear()


@pytest.mark.parametrize("action", [["show"], ["check"], ["forget", "--failed"]])
def test_commands_say_which_file_is_no_journal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], action: list[str]
) -> None:
    """A folder, a pipe (which is not waited for), and a file without bytes."""
    for path in not_journals(tmp_path):
        assert main(["journal", str(path), *action]) != 0
        said = capsys.readouterr().err
        assert said.startswith(f"task_manager: {path}"), said
        assert "Traceback" not in said


def test_an_export_says_which_file_is_no_journal(tmp_path: Path) -> None:
    for path in not_journals(tmp_path):
        with pytest.raises(JournalError, match=f"^{path}"):
            export(path, files.key(), tmp_path / "out.csv")


def not_journals(folder: Path) -> list[Path]:
    """Make what can be taken for the file of a journal."""
    empty, pipe = folder / "empty", folder / "pipe"
    empty.touch()
    os.mkfifo(pipe)
    return [empty, folder, pipe]


def test_a_place_where_nothing_can_be_written(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files.write(path, files.groups())
    before = path.read_bytes()
    assert main(["journal", str(path), "prune", str(path.parent / "missing" / "new")]) != 0
    assert "new cannot be written: No such file" in capsys.readouterr().err
    assert path.read_bytes() == before


ENDED = """
    import os
    from masterworker import Master

    master = Master(serial=True, journal="job.journal")
    master.shutdown()
    child = os.fork()
    if not child:
        os._exit(0)
    print(os.waitpid(child, 0)[1])
"""


def test_a_fork_after_the_end_has_nothing_to_let_go_of(tmp_path: Path) -> None:
    script = Script(python_script(tmp_path, "program.py", ENDED))
    assert script.wait() == 0, script.told
    assert script.out == "0\n"
    assert "could not let go" not in script.err


def test_a_program_whose_path_is_no_text(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["program-\udcff.py"])
    with Master(serial=True, journal=path) as master:
        assert master.submit(abs, -1).result() == 1
    assert upkeep.count(path, files.key()).runs[0].program == r"program-\udcff.py"
