"""Tickets that are none, or not for this: one line, a number, and never their text."""

from __future__ import annotations

import base64
import datetime as dt
import io
import os
import random
import sys
from typing import TYPE_CHECKING

import pytest

from masterworker import Master
from masterworker.security import credentials, ticket
from security.attackers import HOST, Bomb
from security.commands import (
    NOT_TRUSTED,
    USAGE,
    Said,
    file_with,
    terminal,
    wrong,
)
from support import unique_label

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Iterator[Callable[..., Said]]:
    with terminal(capfd) as carry_out:
        yield carry_out


@pytest.fixture(scope="module")
def good() -> str:
    made = ticket.issue("demo", "00c0ffee", [(HOST, 1)], valid=dt.timedelta(days=1))
    return made.text()


def expired() -> str:
    real = credentials.clock
    credentials.clock = lambda: real() - 3600
    try:
        made = ticket.issue("demo", "00c0ffee", [(HOST, 1)], valid=dt.timedelta(seconds=5))
    finally:
        credentials.clock = real
    return made.text()


def contents(good: str, bomb: Bomb) -> dict[str, str | bytes]:
    """What can stand in a file instead of a ticket."""
    inside = bomb.pickled() + ticket._checksum(bomb.pickled())
    return {
        "truncated": good[:-40],
        "empty": "",
        "noise": random.Random(3).randbytes(500),
        "huge": "mw1." + "A" * 1_000_000,
        "a pickle": bomb.pickled(),
        "a pickle inside": "mw1." + base64.urlsafe_b64encode(inside).decode().rstrip("="),
        "expired": expired(),
        "a newer version": "mw2." + good[4:],
    }


def make_bad_ticket(kind: str, good: str, folder: Path) -> str:
    """Returns what is given as the name of the file."""
    path = folder / "ticket"
    if kind in (files := contents(good, Bomb(folder / "went off"))):
        return file_with(path, files[kind])
    if kind == "world-readable":
        file_with(path, good, 0o644)
    elif kind == "a folder":
        path.mkdir()
    elif kind == "a fifo":
        os.mkfifo(path, 0o600)
    elif kind == "a link":
        path.symlink_to(file_with(folder / "real", good))
    return {"no name": "", "too long a name": "x" * 300}.get(kind, str(path))


BAD_TICKETS = [
    "missing", "world-readable", "truncated", "empty", "noise", "huge", "a pickle",
    "a pickle inside", "expired", "a folder", "a fifo", "a link", "a newer version", "no name",
    "too long a name",
]  # fmt: skip


@pytest.mark.parametrize("kind", BAD_TICKETS)
@pytest.mark.parametrize("command", ["worker", "show"])
def test_a_bad_ticket(run, kind: str, command: str, good: str, tmp_path: Path) -> None:
    said = run(command, f"--ticket={make_bad_ticket(kind, good, tmp_path)}")
    told = wrong(said, NOT_TRUSTED)
    assert good[4:44] not in told
    assert not (tmp_path / "went off").exists()


@pytest.mark.parametrize("kind", [kind for kind in BAD_TICKETS if kind != "no name"])
def test_a_bad_ticket_in_the_environment(
    run, kind: str, good: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It names a file; for other labels it does not matter, but has to be readable."""
    monkeypatch.setenv("MASTERWORKER_TICKET", make_bad_ticket(kind, good, tmp_path))
    wrong(run("show", "demo"), NOT_TRUSTED)


def test_a_ticket_for_another_label(run, good: str, tmp_path: Path) -> None:
    path = file_with(tmp_path / "t", good)
    assert "is for the job 'demo'" in wrong(run("worker", "other", "--ticket", path), USAGE)


@pytest.mark.parametrize("place", [" {}", "{}", "\t{}", "{}\n"])
def test_a_ticket_where_others_can_read_it_is_refused_and_not_repeated(
    run, good: str, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In arguments, or in the environment."""
    monkeypatch.delenv("MASTERWORKER_TICKET", raising=False)
    told = wrong(run("worker", "--ticket", place.format(good)), NOT_TRUSTED)
    assert "is a secret" in told
    assert good[4:44] not in told
    for words in (["worker", good], [good], [good, "demo"], ["worker", "demo", good]):
        assert good[60:100] not in wrong(run(*words), USAGE)
    monkeypatch.setenv("MASTERWORKER_TICKET", place.format(good))
    told = wrong(run("show", "demo"), NOT_TRUSTED)
    assert good[4:44] not in told
    assert "is a secret" in told


def test_a_mistyped_option_does_not_repeat_it(run, good: str) -> None:
    """The one word, and whatever it was broken into."""
    broken = " ".join(good[start : start + 76] for start in range(0, len(good), 76))
    lines = [
        ["worker", "--tickets", good], ["worker", f"--tickets={good}"], ["worker", f"-t{good}"],
        ["worker", "--tickets", *broken.split()], ["worker", f"--tickets={broken}"],
        ["worker", f"--tick={good}"], ["worker", "d", f"--slo={good}"], ["worker", "-n", good, "d"],
        ["worker", "d", "--port", good], ["nameserver", "--port", good], ["show", "d", "-m", good],
        ["show", "d", "--idle-timeout", good], [f"x{good}", "d"], ["worker", "d", "--until", good],
        ["ticket", "d", "--out", good], ["worker", "d", "--memory-limit", good],
    ]  # fmt: skip
    for words in lines:
        told = run(*words).err
        assert told.startswith("task_manager: "), words
        for start in range(4, len(good) - 20, 20):
            assert good[start : start + 20] not in told, words


STDIN = {"nothing": b"", "an empty line": b"\n", "noise": b"\xff\xfe\x80\n", "text": b"hello\n"}


@pytest.mark.parametrize("what", [*STDIN, "closed"])
def test_no_ticket_on_standard_input(run, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    given = None if what == "closed" else io.TextIOWrapper(io.BytesIO(STDIN[what]), "utf-8")
    monkeypatch.setattr(sys, "stdin", given)
    wrong(run("worker", "--ticket", "-"), NOT_TRUSTED)


def test_a_hidden_option_with_nonsense(run) -> None:
    """What supervisors hand over is theirs to hand over; with something else it is told."""
    read, write = os.pipe()
    os.write(write, b"\xff not a ticket")
    os.close(write)
    wrong(run("worker", f"--ticket-fd={read}"), NOT_TRUSTED)
    wrong(run("worker", "--ticket-fd=9999"), NOT_TRUSTED)
    wrong(run("worker", "--ticket-fd=-1"), NOT_TRUSTED)


@pytest.mark.parametrize(
    "options",
    [
        ["--valid", "soon"], ["--valid", "0s"], ["--valid", "-1d"], ["--valid", "9999d"],
        ["--valid", "999999999d"], ["--address", "a b"], ["--address", "h:0"],
        ["--address", "h:99999"], ["--address", ""], ["--address", "x" * 100_000],
    ],
    ids=lambda words: " ".join(words)[:30],
)  # fmt: skip
def test_a_ticket_that_cannot_be_made(run, options: list[str]) -> None:
    with Master(unique_label("inviting")) as master:
        wrong(run("ticket", master.label, f"{options[0]}={options[1]}"), USAGE)
