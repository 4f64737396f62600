"""Strikes survive the master: a task that ends workers does not begin anew with each run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from journal import files
from masterworker.core.crashes import MAX_LOSSES
from masterworker.core.task import LOST
from masterworker.journal import upkeep
from masterworker.journal.journal import Again, Journal, Settings
from masterworker.journal.records import Began, Done, Forgot, Struck
from support import HANG, Script, python_script, unique_label, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from masterworker.journal.records import Entry

#: A task ends its workers as often as it is executed, but that the given one waits.
PROGRAM = """
    import os, signal, sys, threading
    from masterworker import Master, TaskLost
    from masterworker.journal import journal
    PLANTED

    def deadly(x, y=0):
        with open("executed", "a") as file:
            file.write("x")
        if os.path.getsize("executed") == int(sys.argv[1]):
            threading.Event().wait()
        os.kill(os.getpid(), signal.SIGKILL)

    if __name__ == "__main__":
        with Master(workers=1, journal="job.journal") as master:
            try:
                WAY
            except TaskLost as lost:
                print("lost after", str(lost).count("SIGKILL"))
"""
#: The same with a handler.
TAGGED = """
    import os, signal, sys, threading
    from masterworker import Master, TaskLost, Worker, run_job

    class Asking(Master):
        def run(self):
            self.request_task("deadly", 1)
            try:
                list(self.results())
            except TaskLost as lost:
                print("lost after", str(lost).count("SIGKILL"))

    class Dying(Worker):
        def do_deadly(self, x):
            with open("executed", "a") as file:
                file.write("x")
            if os.path.getsize("executed") == 3:
                threading.Event().wait()
            os.kill(os.getpid(), signal.SIGKILL)

    run_job(LABEL, Asking, Dying, workers=1, journal="job.journal")
"""
WAYS = {
    "submit": "master.submit(deadly, 1).result()",
    "map": "list(master.map(deadly, range(5, 6)))",
    "map of pairs": "list(master.map(deadly, [5], [6]))",
    "options": "master.options(priority=2).submit(deadly, 1).result()",
}


def executed(folder: Path) -> int:
    """How many times the task was begun."""
    path = folder / "executed"
    return len(path.read_text()) if path.exists() else 0


def killed_and_started_again(folder: Path, way: str, planted: str = "") -> tuple[int, Script]:
    """Kill the master while the task is executed for the third time, and start it once more."""
    source = PROGRAM.replace("WAY", WAYS[way]).replace("PLANTED", planted)
    return _started_twice(folder, python_script(folder, "program.py", source))


def _started_twice(folder: Path, path: Path) -> tuple[int, Script]:
    first = Script(path, "3")
    wait_until(lambda: executed(folder) == MAX_LOSSES, 2 * HANG, what=first.told)
    first.kill()
    second = Script(path, "0")
    assert second.wait(2 * HANG) == 0, second.told
    return executed(folder), second


@pytest.mark.parametrize("way", WAYS)
def test_one_chance_is_left(tmp_path: Path, way: str) -> None:
    """Two workers were lost before the master was killed: the next one is the last."""
    times, second = killed_and_started_again(tmp_path, way)
    assert (times, second.out) == (MAX_LOSSES + 1, "lost after 3\n"), second.told
    third = Script(tmp_path / "program.py", "0")
    assert third.wait(2 * HANG) == 0, third.told
    assert (executed(tmp_path), third.out) == (times, "lost after 3\n")


def test_one_chance_is_left_to_a_task_by_tag(tmp_path: Path) -> None:
    source = TAGGED.replace("LABEL", repr(unique_label()))
    times, second = _started_twice(tmp_path, python_script(tmp_path, "program.py", source))
    assert (times, second.out) == (MAX_LOSSES + 1, "lost after 3\n"), second.told


def test_a_strike_that_is_forgotten_is_noticed(tmp_path: Path) -> None:
    """A planted bug."""
    planted = "journal.Journal.struck = lambda self, strikes: None"
    times, _ = killed_and_started_again(tmp_path, "submit", planted)
    assert times > MAX_LOSSES + 1


def keys_of(journal: Journal, *names: str) -> list[object]:
    """What is kept under keys that are made of names."""
    return [kept for _, kept in journal.recall([files.done(name).keys for name in names])]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the journal is."""
    return tmp_path / "job.journal"


def struck(name: str, *losses: str) -> Struck:
    """Strikes of a task whose key is made of a name."""
    return Struck(files.done(name).keys, list(losses))


RECORDS: list[Entry] = [
    Began(1.0, "here", 7, "program.py", {}),
    *(struck("void", "w1"), struck("void"), struck("two", "w1"), struck("two", "w1", "w2")),
    *(struck("done", "w1"), files.done("done"), struck("gone", "w1")),
    *(Forgot(files.done("gone").keys, "@f", LOST), struck("lost", "w1", "w2")),
    Done(files.done("lost").keys, "@f", LOST, [b"w1\nw2\nw3"], "", 1, 1.0),
]


@pytest.mark.parametrize("pruned", [False, True])
def test_what_is_known_of_strikes(path: Path, *, pruned: bool) -> None:
    files.write(path, [RECORDS])
    if pruned:
        upkeep.prune(path, files.key(), None)
    journal = Journal(Settings(path))
    try:
        void, two, done, gone, lost = (
            *keys_of(journal, "void"),
            *keys_of(journal, "two"),
            *keys_of(journal, "done"),
            *keys_of(journal, "gone"),
            *keys_of(journal, "lost"),
        )
        assert (void, two, gone) == (None, Again(["w1", "w2"]), None)
        assert [getattr(kept, "kind", None) for kept in (done, lost)] == [0, LOST]
        parts = journal.recall([files.done(n).keys for n in ("a", "two", "done", "two", "b", "c")])
        assert [number for number, _ in parts] == [1, 1, 1, 1, 2]
        assert [type(kept).__name__ for _, kept in parts] == [
            *("NoneType", "Again", "Kept", "Again", "NoneType"),
        ]
    finally:
        journal.close(HANG)


def test_what_is_written(path: Path) -> None:
    """Of tasks with a key only; the last state counts."""
    journal = Journal(Settings(path))
    key = files.done("one").keys
    journal.expect("@f", [key], 5)
    journal.struck([(5, ["w1"]), (6, ["w2"]), (5, ["w1", "w3"])])
    journal.close(HANG)
    again = Journal(Settings(path))
    assert again.recall([key]) == [(1, Again(["w1", "w3"]))]
    again.close(HANG)


@pytest.fixture(autouse=True)
def fresh_program() -> Iterator[None]:
    """Each test is a program of its own."""
    from masterworker.journal import journal

    journal._programs.clear()
    yield
    journal._programs.clear()
