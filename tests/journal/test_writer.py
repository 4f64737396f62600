"""Who writes a journal: the caller that waits, where that wakes no thread, else the writer."""

from __future__ import annotations

import threading
from math import inf
from typing import TYPE_CHECKING, cast

import pytest

from masterworker.journal.writer import Writer
from masterworker.journal.writing import Entries
from support import HANG, wait_until

if TYPE_CHECKING:
    from masterworker.journal.writing import Writing


class _Writing:
    """Takes entries, and notes which thread has."""

    def __init__(self) -> None:
        self.waiting: list[Entries] = []
        self.failure = ""
        self.threads: list[int] = []
        self.fails = False

    def step(self, _now: float, *, closing: bool = False) -> float:
        if not self.waiting:
            return inf
        if self.fails:
            raise ValueError("a bug")
        self.waiting.clear()
        self.threads.append(threading.get_ident())
        return 0.0

    def give_up(self, reason: str) -> None:
        self.failure = reason


class _Lends:
    """Always says that the caller will write."""

    asked = 0

    def __call__(self) -> bool:
        self.asked += 1
        return True


ENTRY = Entries(list)


@pytest.fixture
def writing() -> _Writing:
    return _Writing()


def _writer(writing: _Writing) -> Writer:
    """Return a writer that has written something, quickly."""
    writer = Writer(cast("Writing", writing))
    writer.put(ENTRY)
    wait_until(lambda: bool(writing.threads), HANG)
    writer._active = inf  # however slow this machine is
    writer.ring()
    wait_until(lambda: not writer.dozes, HANG)
    writer._took = 0.0
    return writer


def test_the_caller_writes(writing: _Writing) -> None:
    """Where it says that it will."""
    writer, mine = _writer(writing), threading.get_ident()
    lends = _Lends()
    writer.lends = lends

    def written_by_me() -> bool:  # the thread looks now and then, and may be the first
        writer.put(ENTRY)
        writer.write()
        return mine in writing.threads

    wait_until(written_by_me, HANG)
    assert lends.asked
    assert writer.close(HANG)


def test_what_a_caller_does_not_write_the_thread_does(writing: _Writing) -> None:
    """A signal handler has raised before it could."""
    writer = _writer(writing)
    writer.lends = lambda: True
    for _ in range(3):
        before = len(writing.threads)
        writer.put(ENTRY)
        wait_until(lambda before=before: len(writing.threads) > before, HANG)
    assert threading.get_ident() not in writing.threads
    assert writer.close(HANG)


@pytest.mark.parametrize("why", ["slow", "dozes"])
def test_the_thread_writes(writing: _Writing, why: str) -> None:
    """Where writing takes long, and a caller could not be interrupted; where it may be asleep."""
    writer = _writer(writing)
    lends = _Lends()
    writer.lends = lends
    if why == "slow":
        writer._took = inf
    else:
        writer._active = -inf
        wait_until(lambda: writer.dozes, HANG)
    before = len(writing.threads)
    writer.put(ENTRY)
    wait_until(lambda: len(writing.threads) > before, HANG)
    assert not lends.asked
    assert writer.close(HANG)


def test_a_bug_is_not_the_caller_s(writing: _Writing) -> None:
    """It ends the journal, as in the thread."""
    writer = _writer(writing)
    writer.lends = lambda: True
    writing.fails = True
    writer.put(ENTRY)
    writer.write()
    wait_until(lambda: "a bug" in writing.failure, HANG)
    wait_until(lambda: writer.has_ended, HANG)
    writer.write()  # nothing is written any more
