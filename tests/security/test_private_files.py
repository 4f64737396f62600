"""C10: a key that others could have read or changed is refused, with the reason."""

from __future__ import annotations

import contextlib
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from masterworker.errors import CredentialError, TransportError, UsageError
from masterworker.security import private
from masterworker.security.private import (
    create_private,
    private_folder,
    read_private,
    write_new,
    write_private,
)
from support import HANG

if TYPE_CHECKING:
    from collections.abc import Callable

CONTENT = b"hushhush"
STRANGER = 54321
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "key.pem"
    write_private(path, CONTENT)
    return path


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def open_files() -> int:
    folder = Path("/proc/self/fd")
    return len(list(folder.iterdir())) if folder.is_dir() else 0


def refusal(path: Path, limit: int = private.LIMIT) -> str:
    before = open_files()
    with pytest.raises(CredentialError) as caught:
        read_private(path, limit)
    assert open_files() == before, "a refused file stays open"
    told = str(caught.value)
    assert str(path) in told
    assert "\n" not in told
    assert CONTENT.decode() not in told
    return told


def test_a_private_file_is_read(path: Path) -> None:
    assert read_private(path) == CONTENT
    assert mode(path) == 0o600


def test_it_is_replaced_whole_and_nothing_else_is_left(path: Path) -> None:
    path.chmod(0o644)
    write_private(path, b"another")
    assert read_private(path) == b"another"
    assert mode(path) == 0o600
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("bit", [0o040, 0o020, 0o010, 0o004, 0o002, 0o001])
def test_for_any_permission_of_others_it_is_refused(path: Path, bit: int) -> None:
    path.chmod(0o600 | bit)
    assert f"run chmod 600 {path}" in refusal(path)


def test_a_read_only_file_is_fine(path: Path) -> None:
    path.chmod(0o400)
    assert read_private(path) == CONTENT


def test_a_symbolic_link_is_refused(path: Path) -> None:
    link = path.with_name("link")
    link.symlink_to(path)
    assert "is a symbolic link" in refusal(link)


def test_a_link_that_appears_at_the_last_moment_is_refused(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = path.with_name("link")
    link.symlink_to(path)
    monkeypatch.setattr(type(path), "is_symlink", lambda _: False)
    assert "cannot be read" in refusal(link)


def test_a_folder_is_refused(path: Path) -> None:
    folder = path.with_name("folder")
    folder.mkdir(mode=0o700)
    assert "is not a regular file" in refusal(folder)


def test_a_fifo_is_refused_and_does_not_block(path: Path) -> None:
    fifo = path.with_name("fifo")
    os.mkfifo(fifo, 0o600)
    assert "is not a regular file" in refusal(fifo)


@as_root
def test_a_file_of_another_user_is_refused(path: Path) -> None:
    os.chown(path, STRANGER, STRANGER)
    assert f"belongs to another user (id {STRANGER})" in refusal(path)


def test_a_missing_file_is_told(path: Path) -> None:
    assert "No such file" in refusal(path.with_name("missing"))


def test_a_name_that_no_file_can_have_is_told(path: Path) -> None:
    assert "cannot be read" in refusal(path.with_name("x" * 1000))


def test_too_large_is_refused_and_just_not_too_large_is_not(path: Path) -> None:
    assert read_private(path, len(CONTENT)) == CONTENT
    assert f"is larger than {len(CONTENT) - 1} bytes" in refusal(path, len(CONTENT) - 1)


def test_a_folder_is_made_private_and_its_parents_as_usual(tmp_path: Path) -> None:
    folder = tmp_path / "config" / "masterworker"
    assert private_folder(folder) == folder
    assert mode(folder) == 0o700
    assert mode(folder.parent) == 0o777 & ~_umask()
    assert private_folder(folder) == folder


def _umask() -> int:
    now = os.umask(0o022)
    os.umask(now)
    return now


def _open_to_others(folder: Path) -> None:
    folder.mkdir()
    folder.chmod(0o750)


def _a_link(folder: Path) -> None:
    (folder.parent / "real").mkdir(mode=0o700)
    folder.symlink_to(folder.parent / "real")


def _a_file(folder: Path) -> None:
    folder.touch(0o700)


def _of_another(folder: Path) -> None:
    folder.mkdir(mode=0o700)
    os.chown(folder, STRANGER, STRANGER)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (_open_to_others, "run chmod 700"),
        (_a_link, "is a symbolic link"),
        (_a_file, "no private folder at"),
        pytest.param(_of_another, f"another user (id {STRANGER})", marks=as_root),
    ],
)
def test_an_unsafe_folder_is_refused(
    tmp_path: Path, make: Callable[[Path], None], told: str
) -> None:
    folder = tmp_path / "keys"
    make(folder)
    with pytest.raises(TransportError) as caught:
        private_folder(folder)
    assert told in str(caught.value)
    assert str(folder) in str(caught.value)


@as_root
@pytest.mark.parametrize("below", ["keys", ".config/masterworker"])
def test_nothing_is_made_in_the_folder_of_somebody_else(tmp_path: Path, below: str) -> None:
    """Unless the user has named it for us; what is there already is judged as ever."""
    os.chown(tmp_path, STRANGER, STRANGER)
    with pytest.raises(TransportError) as caught:
        private_folder(tmp_path / below)
    assert f"since {tmp_path} belongs to another user (id {STRANGER})" in str(caught.value)
    assert "sudo -H" in str(caught.value)
    assert list(tmp_path.iterdir()) == []
    assert mode(private_folder(tmp_path / below, named=True)) == 0o700
    assert private_folder(tmp_path / below) == tmp_path / below


@as_root
@pytest.mark.parametrize(("bits", "fine"), [(0o1777, True), (0o777, False), (0o1755, False)])
def test_in_a_folder_that_is_everybodys_it_is(tmp_path: Path, bits: int, fine: bool) -> None:
    """As /tmp is: nobody can remove there what is somebody else's."""
    os.chown(tmp_path, STRANGER, STRANGER)
    tmp_path.chmod(bits)
    if fine:
        private_folder(tmp_path / "a" / "b")
    else:
        with pytest.raises(TransportError, match="another user"):
            private_folder(tmp_path / "a" / "b")
    assert (tmp_path / "a").exists() == fine


def test_the_first_writer_wins(path: Path) -> None:
    fresh = path.with_name("fresh")
    assert create_private(fresh, b"first") == b"first"
    assert create_private(fresh, b"second") == b"first"
    assert mode(fresh) == 0o600
    assert sorted(path.parent.iterdir()) == sorted([path, fresh])


def test_an_unsafe_first_file_is_refused(path: Path) -> None:
    path.chmod(0o644)
    with pytest.raises(CredentialError, match="chmod 600"):
        create_private(path, b"second")


@pytest.mark.parametrize("write", [write_private, create_private])
def test_what_cannot_be_written_is_told(path: Path, write: Callable[[Path, bytes], object]) -> None:
    with pytest.raises(CredentialError, match="cannot be written"):
        write(path / "below a file", CONTENT)
    with pytest.raises(CredentialError, match="cannot be written"):
        write(path.parent / "missing" / "key", CONTENT)


def test_a_new_file_is_private_and_is_written_once(tmp_path: Path) -> None:
    fresh = tmp_path / "fresh"
    before, files = os.umask(0), open_files()
    try:
        write_new(fresh, CONTENT)
    finally:
        os.umask(before)
    assert (mode(fresh), read_private(fresh)) == (0o600, CONTENT)
    with pytest.raises(UsageError, match="exists already"):
        write_new(fresh, b"second")
    assert read_private(fresh) == CONTENT
    with pytest.raises(CredentialError, match="cannot be written"):
        write_new(tmp_path / "missing" / "fresh", CONTENT)
    assert open_files() == files


@pytest.mark.parametrize(
    ("found", "told"), [(0o100644, "cannot be kept from other users"), (None, "cannot be written")]
)
def test_a_new_file_that_cannot_be_private_or_whole_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, found: int | None, told: str
) -> None:
    """As on a file system that knows no modes, or that is full."""
    real = os.fstat

    def strange(handle: int) -> os.stat_result:
        if found is None:
            raise OSError(28, "No space left on device")
        return os.stat_result((found, *real(handle)[1:]))

    monkeypatch.setattr(os, "fstat", strange)
    with pytest.raises(CredentialError, match=told):
        write_new(tmp_path / "fresh", CONTENT)
    monkeypatch.undo()
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_nothing(path: Path) -> None:
    folder = path.with_name("folder")
    folder.mkdir()
    with pytest.raises(CredentialError, match="cannot be written"):
        write_private(folder, CONTENT)
    assert sorted(path.parent.iterdir()) == sorted([path, folder])


RACER = """
import sys
from pathlib import Path
from masterworker.security.private import create_private
print("ready", flush=True)
sys.stdin.readline()
for number in range(50):
    mine = f"{sys.argv[1]} {number}".encode() * 500
    print(create_private(Path(f"key{number}"), mine).decode()[:20], flush=True)
"""


def test_of_many_processes_one_wins(tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        racers = [
            stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", RACER, str(number)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    cwd=tmp_path,
                    text=True,
                )
            )
            for number in range(6)
        ]
        for racer in racers:
            assert racer.stdout is not None
            assert racer.stdout.readline() == "ready\n"
        for racer in racers:
            assert racer.stdin is not None
            racer.stdin.write("go\n")
            racer.stdin.flush()
        told = [racer.communicate(timeout=HANG)[0] for racer in racers]
    assert [racer.returncode for racer in racers] == [0] * len(racers)
    assert len(told[0].splitlines()) == 50
    assert set(told) == {told[0]}
    assert len(list(tmp_path.iterdir())) == 50, "drafts are left behind"
