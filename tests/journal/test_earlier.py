"""Outcomes of an earlier run: which task of this run they are of, and what becomes of them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest

from journal import files
from masterworker import Master, wire
from masterworker.core.task import AGAIN, FAILURE, RESULT, Outcome
from masterworker.journal import code
from masterworker.journal.earlier import Earlier
from masterworker.journal.journal import Journal, Settings
from masterworker.journal.records import Asked, Began, Code, Ended, Forgot, Listens, Waits
from masterworker.manager import Manager
from masterworker.master.master import engine_of
from support import HANG, unique_label, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from masterworker.core.task import Finished
    from masterworker.journal.records import Entry


def key(name: str) -> bytes:
    """The key of a task."""
    return files.done(name).keys


def before(*, ended: bool = False) -> list[list[Entry]]:
    """What a run named "one" has written that had asked for a, b and c, and has got b."""
    began = Began(1.0, "here", 7, "program.py", {}, "one")
    asked = Asked(1, "@f", key("a") + key("b") + key("c"))
    last: list[Entry] = [Ended(2.0)] if ended else []
    return [
        [began, Listens(7801), Waits("w1", True), Waits("w2", True)],
        [asked],
        [files.done("b", b"B"), Waits("w2", False), *last],
    ]


class Run:
    """The next run.

    Args:
        path: Of the journal.
    """

    def __init__(self, path: Path, *, failures: bool = False) -> None:
        self.told: list[Finished] = []
        self.journal = Journal(Settings(path, keeps_failures=failures))
        self.manager = Manager(self.told.extend, keep=self.journal)
        self.journal.begin(self.manager.instance, self.manager.kept, lambda _: None, print)
        earlier, note = self.journal.earlier, self.journal.note_worker
        self.manager.keeping.come_back(earlier, note, self.journal.sign)
        hello = wire.introduce("worker", ["@f"], None, "w1", waits=True)
        self.member = self.manager.join(hello).member_id

    def ask(self, name: str) -> int:
        """Ask for a task; return its id."""
        expect = partial(self.journal.expect, "@f", [key(name)])
        return self.manager.request("@f", [name.encode()], direct=True, expect=expect)

    def bring(self, run: str, task_id: int, payload: bytes, kind: int = RESULT) -> list[int]:
        """Deliver an outcome of another run; return what is refused."""
        outcome = Outcome(task_id, 1, kind, [payload])
        reply = self.manager.exchange(wire.Exchange(self.member, [outcome], run=run))
        self.manager.check()
        return reply.refused

    def fetch(self) -> list[bytes]:
        """Ask for tasks."""
        reply = self.manager.exchange(wire.Exchange(self.member, want=9))
        return [payload for lease in reply.leases for payload in lease.payloads]

    def payloads(self, number: int) -> list[bytes]:
        """Wait until this many outcomes were told."""
        wait_until(lambda: len(self.told) >= number, HANG)
        return [payload for done in self.told for payload in done.payloads]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A journal whose master was killed."""
    made = tmp_path / "job.journal"
    files.write(made, before())
    return made


@pytest.fixture
def run(path: Path) -> Iterator[Run]:
    made = Run(path)
    yield made
    made.journal.close(HANG)


def done_in(path: Path) -> dict[bytes, bytes]:
    """What is in a journal, the first of each."""
    journal = Journal(Settings(path))
    found = {}
    for name in "abcd":
        ((_, kept),) = journal.recall([key(name)])
        if kept is not None:
            found[name.encode()] = kept.payloads[0]
    journal.close(HANG)
    return found


def test_a_task_that_is_asked_for_again(run: Run) -> None:
    """Its outcome comes, and it is not executed."""
    run.ask("d")
    run.ask("c")
    assert run.bring("one", 3, b"C") == []
    assert run.payloads(1) == [b"C"]
    assert run.fetch() == [b"d"]
    assert run.bring("one", 3, b"C") == [3]  # once more, as after a lost reply


def test_a_task_that_is_asked_for_later(run: Run, path: Path) -> None:
    """It is kept meanwhile, and not executed when it is asked for."""
    assert run.bring("one", 1, b"A") == []
    run.ask("a")
    assert run.payloads(1) == [b"A"]
    assert run.fetch() == []
    run.journal.close(HANG)
    assert done_in(path) == {b"a": b"A", b"b": b"B"}


def test_what_is_kept_is_recalled(run: Run) -> None:
    """It needs no task then."""
    assert run.bring("one", 1, b"A") == []
    wait_until(lambda: run.journal.earlier.told, HANG)
    parts = run.journal.recall([key("a"), key("c")])
    assert [(number, kept and list(kept.payloads)) for number, kept in parts] == [
        (1, [b"A"]),
        (1, None),
    ]


def test_one_that_is_executed_by_another_worker(run: Run) -> None:
    """The first outcome counts; the other worker is told to stop."""
    run.ask("c")
    assert run.fetch() == [b"c"]
    assert run.bring("one", 3, b"C") == []
    late = run.manager.exchange(wire.Exchange(run.member, [Outcome(1, 1, RESULT, [b"late"])]))
    assert late.refused == [1]
    assert run.payloads(1) == [b"C"]


@pytest.mark.parametrize(
    ("name", "number", "kind"),
    [
        ("another", 1, RESULT), ("one", 4, RESULT), ("one", 0, RESULT), ("one", -1, RESULT),
        ("one", 2, RESULT), ("one", 1, AGAIN), ("one", 1, FAILURE), ("", 3, 4),
    ],
)  # fmt: skip
def test_what_does_not_count(run: Run, name: str, number: int, kind: int) -> None:
    """Of another run, unknown, kept already, or a failure, which is tried again."""
    run.ask("a")
    if name:
        assert run.bring(name, number, b"X", kind) == [number]
    assert run.fetch() == [b"a"]
    assert run.told == []


def test_failures_that_are_kept(path: Path) -> None:
    run = Run(path, failures=True)
    assert run.bring("one", 1, b"F", FAILURE) == []
    run.ask("a")
    assert run.payloads(1) == [b"F"]
    run.journal.close(HANG)


def test_a_run_that_has_ended_in_good_order_has_left_nothing(tmp_path: Path) -> None:
    path = tmp_path / "job.journal"
    files.write(path, before(ended=True))
    run = Run(path)
    assert not run.journal.earlier
    assert run.bring("one", 1, b"A") == [1]
    run.journal.close(HANG)


def test_what_is_asked_for_is_written_soon(run: Run, path: Path, tmp_path: Path) -> None:
    """Without any outcome, and without the end of the job: the run after it knows the numbers."""
    run.ask("c")
    second = run.ask("d")
    wait_until(lambda: key("c") + key("d") in path.read_bytes(), HANG)
    copy = tmp_path / "copy.journal"
    copy.write_bytes(path.read_bytes())
    copy.chmod(0o600)
    again = Journal(Settings(copy))
    assert again.earlier.place(run.manager.instance, second, RESULT) == (-1, "@f")
    assert again.earlier.place("one", second, RESULT) == (0, "")  # b, which is kept
    again.close(HANG)


def test_an_old_number_that_is_taken_for_a_new_one_is_noticed(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What these tests rely on: with that bug, tasks get outcomes of others."""
    monkeypatch.setattr(Earlier, "place", lambda _self, _run, number, _kind: (number, "@f"))
    run.manager.machine.returning.place = run.journal.earlier.place
    run.ask("d")
    assert run.bring("one", 1, b"A") == []
    assert run.payloads(1) == [b"A"]  # of d


def test_nothing_is_handed_out_before_those_are_back_that_were_there(run: Run) -> None:
    """Of two workers one had left; the other one has asked for tasks when it has brought all."""
    run.ask("c")
    hello = wire.introduce("worker", ["@f"], None, "another", waits=True)
    other = run.manager.join(hello).member_id
    assert run.manager.exchange(wire.Exchange(other, want=1)).leases == []
    assert run.bring("one", 3, b"C") == []
    run.ask("d")
    assert run.manager.exchange(wire.Exchange(other, want=1)).leases == []
    assert run.fetch() == [b"d"]


def test_they_are_not_waited_for_for_long(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("masterworker.conversation.returning.GRACE", 0.05)
    run = Run(path)
    run.ask("c")
    hello = wire.introduce("worker", ["@f"], None, "another", waits=True)
    other = run.manager.join(hello).member_id
    asked = wire.Exchange(other, want=1, wait=5.0)
    wait_until(lambda: run.manager.exchange(asked).leases, HANG)
    run.journal.close(HANG)


def test_one_that_is_busy_is_not_waited_for_either(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is back, and executes a task that may take hours: it says so, and asks for nothing."""
    monkeypatch.setattr("masterworker.conversation.returning.GRACE", 1e9)
    monkeypatch.setattr("masterworker.conversation.returning.BUSY", 0.05)
    run = Run(path)
    run.ask("c")
    hello = wire.introduce("worker", ["@f"], None, "another", waits=True)
    other = run.manager.join(hello).member_id
    asked = wire.Exchange(other, want=1, wait=0.2)
    assert run.manager.exchange(asked).leases == []
    run.manager.exchange(wire.Exchange(run.member))
    wait_until(lambda: run.manager.exchange(asked).leases, HANG)
    run.journal.close(HANG)


def test_port_and_workers_are_read(path: Path) -> None:
    journal = Journal(Settings(path))
    assert (journal.earlier.port, journal.earlier.workers) == (7801, {"w1"})
    journal.close(HANG)


def test_what_was_forgotten_does_not_come_back(path: Path) -> None:
    """A worker that has not heard that its outcome was kept has it still; later ones count."""
    later = [Began(3.0, "here", 7, "program.py", {}, "two"), Asked(5, "@f", key("b"))]
    files.write(path, [*before(), [Forgot(key("b"), "@f", RESULT)], later])
    run = Run(path)
    run.ask("b")
    assert run.bring("one", 2, b"old") == [2]
    assert run.fetch() == [b"b"]
    assert run.bring("two", 5, b"B") == []
    assert run.payloads(1) == [b"B"]
    run.journal.close(HANG)


def work(x: int) -> int:
    return x


@pytest.mark.parametrize(("text", "same"), [("def work(x): return -x", False), (None, True)])
def test_code_that_has_changed_before_there_was_any_outcome(
    tmp_path: Path, text: str | None, same: bool
) -> None:
    """What workers bring was computed by what the function was."""
    text = code.source_of(work) if text is None else text
    assert text is not None
    known = [Began(1.0, "here", 7, "program.py", {}, "one"), Code(f"{__name__}:work", text, 0)]
    digests = []
    for name, asked in ("plain", []), ("asked", [Asked(1, "@work", key("a"))]):
        files.write(tmp_path / name, [known, asked])
        with Master(unique_label(), journal=tmp_path / name) as master:
            journaled = engine_of(master).submission.journaled
            assert journaled is not None
            digests.append(journaled.digest(work, (1,)))
    assert (digests[0] == digests[1]) == same
