"""`task_manager explain` and `replay`: what has become of a task, and its call once more, here."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from e2e.desk import desk_at, until
from e2e.replaying import one_line, replay
from masterworker import failed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from e2e.desk import Desk

CLASSIC = """
class Master(MasterProcess):
    def run(self):
        state = self.setGlobalState(table=[10, 20])
        self.requestTask("ratio", 1, 0)
        self.requestTask("look", GlobalStateValue(state, "table"), 5)
        self.requestTask("repaired")
        self.requestTask("leave")
        self.requestTask("further", 3)
        for tag in "ratio", "look", "repaired", "leave", "further":
            try:
                self.retrieveResult(tag)
            except TaskRaisedException as failed:
                print(failed.task_id, flush=True)
        self.requestTask("good")
        self.retrieveResult("good")
        self.requestTask("held")
        self.requestTask("nobody's")
        self.requestTask("held")
        wait_for("end")

class Slave(SlaveProcess):
    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.offset = 1
    def do_good(self):
        return "fine"
    def do_ratio(self, a, b):
        above = a + self.offset
        return above / b
    def do_look(self, table, index):
        return table[index]
    def do_half(self, x):
        return x / 2
    def do_further(self, x):
        worker = current_worker()
        worker.request_task("half", x)
        task_id, tag, half = worker.retrieve_result("half")
        raise ValueError(f"half of it is {half}")
    def do_repaired(self):
        if not said("repaired"):
            raise RuntimeError("broken")
        return {"answer": 42}
    def do_leave(self):
        sys.exit(3)
    def do_held(self):
        say("held")
        wait_for("end")

from masterworker import current_worker
runJob(LABEL, Master, Slave)
"""


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A job that stands still after some tasks have failed: one slave holds a task."""
    with desk_at(tmp_path_factory.mktemp("explain"), "explain: it's one") as desk:
        master = desk.programs["master"] = desk.python("master.py", CLASSIC)
        worker = desk.programs["worker"] = desk.slave()
        desk.reach("held")
        until(lambda: desk.census()["waiting"] == {"held": 1, "nobody's": 1}, "the job stands")
        until(lambda: len(failed.saved(desk.label)) == 5, "the failed calls are kept")
        yield desk
        desk.write("end", "")
        master.good()
        worker.good()


# -- explain --------------------------------------------------------------------------------


def test_explain_one_that_nobody_can_execute(job: Desk) -> None:
    """It says so, with the tag."""
    told = job.command("explain", job.label, "nobody's_8").good().out
    assert "now: waiting" in told
    assert "none of 1 here can" in told
    assert "nobody's" in told


def test_explain_one_that_runs(job: Desk) -> None:
    """Who has it; by its number alone."""
    told = job.command("explain", job.label, "7").good().out
    worker = next(info for pid, info in _processes(job) if pid != 0)
    assert "in the hands of" in told
    assert worker in told


def test_explain_one_that_waits_for_its_turn(job: Desk) -> None:
    """How many are before it, and how many workers are busy."""
    told = job.command("explain", "-w", job.label, "held_9").good().out
    assert "waits for its turn" in told
    assert "1 of 1 workers busy" in told


def test_explain_one_that_failed_and_is_delivered(job: Desk) -> None:
    """What it raised, and how to replay it, as a command that can be pasted."""
    told = job.command("explain", job.label, "ratio_0").good().lines
    assert any("ZeroDivisionError: division by zero" in line for line in told)
    assert told[-1].endswith("""task_manager replay 'explain: it'"'"'s one' ratio_0""")


def test_explain_one_that_is_done(job: Desk) -> None:
    """Nothing more is known."""
    assert "has been delivered" in job.command("explain", job.label, "6").good().out


@pytest.mark.parametrize("task", ["10", "held_999", str((1 << 63) - 2)])
def test_explain_one_that_never_was(job: Desk, task: str) -> None:
    """One line, status 3."""
    assert "never asked for" in one_line(job.command("explain", job.label, task), 3)


@pytest.mark.parametrize("task", ["x", "held", "", "9" * 30, "9" * 20_000, "1.5"])
def test_explain_what_is_no_task(job: Desk, task: str) -> None:
    """One line, status 2."""
    one_line(job.command("explain", job.label, task), 2)


def test_explain_without_a_job(desk: Desk) -> None:
    """One line, status 3; -m works as elsewhere."""
    assert desk.label in one_line(desk.command("explain", desk.label, "1"), 3)
    one_line(desk.command("-m", "localhost:9", "explain", desk.label, "1"), 3)


@pytest.mark.parametrize(
    "words",
    [
        ["explain"],
        ["explain", "demo"],
        ["explain", "demo", "1", "2"],
        ["replay"],
        ["replay", "demo", "1", "2"],
        ["replay", "demo", "-n", "2"],
        ["show", "demo", "--pdb"],
        ["slave", "demo", "--break"],
    ],
    ids=str,
)
def test_a_wrong_command_line(desk: Desk, words: list[str]) -> None:
    """One line, status 2."""
    one_line(desk.command(*words), 2)


def _processes(job: Desk) -> list[tuple[int, str]]:
    found = sorted((p["id"], p["info"]) for p in job.census()["processes"])
    return [(index, info) for index, (_, info) in enumerate(found)]


# -- replay ---------------------------------------------------------------------------------


def test_replay_lists(job: Desk) -> None:
    """Newest first: the id, when, and what it raised."""
    lines = replay(job).good().lines
    assert [line.split()[0] for line in lines] == [
        "further_4",
        "leave_3",
        "repaired_2",
        "look_1",
        "ratio_0",
    ]
    assert re.search(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d  ZeroDivisionError: division", lines[-1])


def test_replay_a_handler_that_raises(job: Desk) -> None:
    """The traceback begins in the user's code; status 1."""
    again = replay(job, "ratio_0")
    assert again.status() == 1
    assert "ZeroDivisionError: division by zero" in again.err
    assert "return above / b" in again.err
    assert "cli" not in again.err
    assert again.err.count('File "') == 1


def test_replay_a_handler_that_is_repaired(job: Desk) -> None:
    """Its result; status 0. It runs in the job's folder."""
    assert replay(job, "repaired_2").status() == 1
    job.write("repaired", "")
    assert "returned {'answer': 42}" in replay(job, "2").good().out


def test_replay_with_a_state(job: Desk) -> None:
    """While the job runs, its states are there."""
    again = replay(job, "look_1")
    assert again.status() == 1
    assert "IndexError" in again.err


def test_replay_with_further_tasks(job: Desk) -> None:
    """They are executed inside it; nothing reaches the job."""
    before = job.census()["submitted"]
    again = replay(job, "further_4")
    assert again.status() == 1
    assert "ValueError: half of it is 1.5" in again.err
    assert job.census()["submitted"] == before
    assert len(failed.saved(job.label)) == 5


def test_replay_an_exit(job: Desk) -> None:
    """`sys.exit` in a handler is a failure, as in a worker."""
    again = replay(job, "leave_3")
    assert again.status() == 1
    assert "SystemExit: 3" in again.err


def test_the_debugger_afterwards(job: Desk) -> None:
    """--pdb: where it was raised, with its variables."""
    again = replay(job, "ratio_0", "--pdb", said="p 'above is', above\nq\n")
    assert again.status() == 1
    assert "('above is', 2)" in again.out


def test_the_debugger_before(job: Desk) -> None:
    """--break: at the handler's first line; its parameters can be changed."""
    again = replay(job, "--break", "ratio_0", said="p 'b is', b\n!b = 4\nc\n")
    assert "returned 0.5" in again.good().out
    assert again.out.index("above = a + self.offset") < again.out.index("('b is', 0)")
    left = replay(job, "--break", "ratio_0", said="q\n")
    assert left.status() == 1
    assert "was left" in left.err


@pytest.mark.parametrize("task", ["ratio_9", "99", "another_0"])
def test_replay_what_is_not_kept(job: Desk, task: str) -> None:
    """One line, status 3."""
    assert "is kept" in one_line(replay(job, task), 3)


def test_replay_nothing(desk: Desk) -> None:
    """A job that never failed: one line, status 3."""
    assert desk.label in one_line(replay(desk), 3)
