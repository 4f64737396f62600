"""`task_manager ticket`: its line is in nobody else's hands, from the first moment on."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from typing import TYPE_CHECKING, NamedTuple

import pytest

from masterworker import Master
from masterworker.security import ticket
from security.commands import NOT_FOUND, NOT_TRUSTED, USAGE, Said, task_manager, wrong
from support import HANG, unique_label

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

STRANGER = 54321
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")


@pytest.fixture(scope="module")
def label() -> Iterator[str]:
    """Of a job that is there."""
    with Master(unique_label("inviting")) as master:
        yield master.label


class Typed(NamedTuple):
    """A line that was typed to a shell."""

    status: int
    err: str


def shell(folder: Path, label: str, before: str, after: str) -> Typed:
    """`before; task_manager ticket LABEL after`"""
    line = f'{before}; exec "$0" -m masterworker.cli ticket "$1" {after}'
    done = subprocess.run(
        ["sh", "-c", line, sys.executable, label], stdin=subprocess.DEVNULL, cwd=folder,
        capture_output=True, text=True, timeout=HANG, check=False,
    )  # fmt: skip
    assert "mw1." not in done.stderr
    return Typed(done.returncode, done.stderr)


def refused(typed: Typed, status: int) -> str:
    return wrong(Said(typed.status, "", typed.err), status)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


# -- a file of our own making --------------------------------------------------------------


@pytest.mark.parametrize("umask", ["0", "022", "077"])
def test_a_new_file_is_for_this_user_alone(tmp_path: Path, label: str, umask: str) -> None:
    typed = shell(tmp_path, label, f"umask {umask}", "--out t")
    assert typed.status == 0, typed.err
    assert mode(tmp_path / "t") == 0o600
    assert ticket.read(str(tmp_path / "t")).label == label


def test_it_is_so_from_its_first_moment(tmp_path: Path, label: str) -> None:
    """It is never made, and then made private."""
    seen = tmp_path / "seen"
    source = f"""
import os, sys
real = os.open
def watched(path, flags, mode=0o777, **options):
    handle = real(path, flags, mode, **options)
    if str(path).endswith("demo.ticket"):
        with open({str(seen)!r}, "w") as file:
            file.write(f"{{os.fstat(handle).st_mode & 0o777:o}} {{bool(flags & os.O_EXCL)}}")
    return handle
os.umask(0)
os.open = watched
from masterworker.cli.main import main
sys.exit(main(["ticket", {label!r}, "--out", {str(tmp_path / "demo.ticket")!r}]))
"""
    subprocess.run([sys.executable, "-c", source], timeout=HANG, check=True)
    assert seen.read_text() == "600 True"


def _a_file(path: Path) -> None:
    path.write_text("old")


def _an_empty_file(path: Path) -> None:
    path.touch(0o600)


def _a_link(path: Path) -> None:
    (path.parent / "real").write_text("old")
    path.symlink_to(path.parent / "real")


def _a_link_to_nowhere(path: Path) -> None:
    path.symlink_to(path.parent / "nowhere")


@pytest.mark.parametrize(
    "there", [_a_file, _an_empty_file, _a_link, _a_link_to_nowhere, os.mkdir, os.mkfifo]
)
def test_what_is_there_already_is_told_and_stays(tmp_path: Path, label: str, there) -> None:
    path = tmp_path / "t"
    there(path)
    before = path.lstat()
    said = wrong(task_manager("ticket", label, "--out", str(path)), USAGE)
    assert f"{path} exists already" in said
    after = path.lstat()
    assert (after.st_ino, after.st_size, after.st_mode) == (
        before.st_ino, before.st_size, before.st_mode,
    )  # fmt: skip
    assert not (tmp_path / "nowhere").exists()
    assert not (tmp_path / "real").exists() or (tmp_path / "real").read_text() == "old"


@pytest.mark.parametrize("name", ["missing/t", "x" * 300, "/dev/null/t"])
def test_where_nothing_can_be_written(tmp_path: Path, label: str, name: str) -> None:
    wrong(task_manager("ticket", label, f"--out={tmp_path / name}"), NOT_TRUSTED)


def test_what_cannot_be_written_whole_is_removed(tmp_path: Path, label: str) -> None:
    """As on a full disk."""
    typed = shell(tmp_path, label, "trap '' XFSZ; ulimit -f 0", "--out t")
    assert "cannot be written" in refused(typed, NOT_TRUSTED)
    assert list(tmp_path.iterdir()) == []


def test_no_file_is_made_where_no_ticket_can_be(tmp_path: Path) -> None:
    said = task_manager("ticket", unique_label("nobody"), "--out", str(tmp_path / "t"))
    wrong(said, NOT_FOUND)
    assert list(tmp_path.iterdir()) == []


def test_it_is_an_option_of_tickets_only() -> None:
    assert "--out" in wrong(task_manager("show", "demo", "--out", "t"), USAGE)


# -- a file of the shell's making ----------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after", "fault"),
    [
        ("umask 022", "> t", "is open to other users"),
        ("umask 022", "--out - > t", "is open to other users"),
        ("umask 037", "> t", "is open to other users"),
        ("umask 077; : > t; chmod 604 t", "> t", "is open to other users"),
        ("umask 077; : > t; chmod 602 t", "> t", "is open to other users"),
        ("umask 022; echo old > t", ">> t", "is open to other users"),
        ("umask 077; echo old > t", ">> t", "is not empty"),
        pytest.param(
            f"umask 077; : > t; chown {STRANGER} t", "> t", "another user", marks=as_root
        ),
    ],
)  # fmt: skip
def test_a_file_that_others_may_have_opened_is_refused(
    tmp_path: Path, label: str, before: str, after: str, fault: str
) -> None:
    """And nothing is written to it, and it is not repaired."""
    told = refused(shell(tmp_path, label, before, after), USAGE)
    assert fault in told
    assert "--out FILE" in told
    content = (tmp_path / "t").read_text()
    assert content == ("old\n" if ">>" in after else "")
    if "077" not in before:
        assert mode(tmp_path / "t") & 0o077


def test_it_is_refused_before_there_is_a_ticket(tmp_path: Path) -> None:
    """Even before the job is looked for."""
    told = refused(shell(tmp_path, unique_label("nobody"), "umask 022", "> t"), USAGE)
    assert "--out FILE" in told


@pytest.mark.parametrize("after", ["> t", ">> t"])
def test_with_a_umask_of_077_it_is_as_good(tmp_path: Path, label: str, after: str) -> None:
    typed = shell(tmp_path, label, "umask 077", after)
    assert typed.status == 0, typed.err
    assert ticket.read(str(tmp_path / "t")).label == label


def test_a_pipe_gets_it(tmp_path: Path, label: str) -> None:
    typed = shell(tmp_path, label, "umask 022", "| { umask 077; cat > t; }")
    assert typed.status == 0, typed.err
    assert ticket.read(str(tmp_path / "t")).label == label


@pytest.mark.parametrize(
    ("after", "status"),
    [(">&-", USAGE), ("> /dev/full", NOT_TRUSTED), ("1< /dev/null", NOT_TRUSTED)],
)
def test_standard_output_that_takes_nothing(
    tmp_path: Path, label: str, after: str, status: int
) -> None:
    refused(shell(tmp_path, label, ":", after), status)


def test_a_reader_that_has_gone(tmp_path: Path, label: str) -> None:
    typed = shell(tmp_path, label, ":", "| true")
    assert "Traceback" not in typed.err
