"""What has changed for workers that come back: functions, and what numbers of tasks mean."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from masterworker import wire
from masterworker.conversation.worker.effects import Joined
from masterworker.core.task import RESULT, Outcome
from masterworker.errors import RejectedError
from masterworker.launch.process_context import Assignment, ProcessContext
from masterworker.launch.scoreboard import CANCEL
from masterworker.manager import Manager, Service
from masterworker.security.peer import OWNER
from masterworker.testing import MemoryConnection
from masterworker.worker.session_shell import SessionShell
from support import HANG, Script, python_script, unique_label, wait_until

if TYPE_CHECKING:
    from pathlib import Path

FUNCTION = """
    import os, time

    def work(x):
        open(f"begun by {VERSION}: {x}", "w").close()
        while VERSION == 1 and not os.path.exists("go"):
            time.sleep(0.01)
        open(f"done by {VERSION}: {x}", "w").close()
        return VERSION
"""
PROGRAM = """
    from masterworker import Master

    if __name__ == "__main__":
        with Master(LABEL, journal="job.journal") as master:
            print("begun", flush=True)
            print(list(master.map(work, range(4))), flush=True)
"""


@pytest.mark.timeout(400)
@pytest.mark.parametrize("place", ["a module", "the program"])
def test_a_function_that_is_changed_while_the_master_is_away(tmp_path: Path, place: str) -> None:
    """What workers had begun by the old one does not count, and no worker executes it any more."""
    program = PROGRAM.replace("LABEL", repr(unique_label()))

    def master(version: int) -> Script:
        function = FUNCTION.replace("VERSION", str(version)) + version * "    # another size\n"
        if place == "a module":
            python_script(tmp_path, "model.py", function)
            function = "    from model import work"
        return Script(python_script(tmp_path, "program.py", function + program))

    def seen(what: str) -> int:
        return len(list(tmp_path.glob(f"{what}*")))

    first = master(1)
    first.says("begun")
    label = program.partition("Master('")[2].partition("'")[0]
    command = [sys.executable, "-m", "masterworker.cli", "worker", label, "-n", "2"]
    environment = {**os.environ, "MASTERWORKER_RECONNECT": "120"}
    workers = subprocess.Popen(command, cwd=tmp_path, env=environment)
    try:
        wait_until(lambda: seen("begun by 1") == 2, 2 * HANG, what=lambda: first.told)
        first.kill()
        (tmp_path / "go").touch()
        wait_until(lambda: seen("done by 1") >= 2, HANG)
        second = master(2)
        assert second.wait(4 * HANG) == 0, second.told
        assert "[2, 2, 2, 2]" in second.told
        assert workers.wait(HANG) == 0
    finally:
        workers.kill()
        workers.wait()


def test_a_number_that_was_to_be_broken_off_means_another_task() -> None:
    """It stands on the scoreboard still when the worker has joined another run."""
    context, manager = ProcessContext(), Manager()
    shell = SessionShell(lambda: MemoryConnection(Service(manager, OWNER)), None, None, context)
    context.board[CANCEL] = 7
    shell._act(Joined(1, another_run=False))
    assert context.board[CANCEL] == 7
    shell._act(Joined(2, another_run=True))
    assert context.board[CANCEL] == 0


def test_a_worker_that_another_run_refuses_says_nothing_to_it() -> None:
    """It has other slave code. Its numbers, as member and of tasks, are others' there."""
    runs, lines = [Manager()], list[MemoryConnection]()

    def connect() -> MemoryConnection:
        lines.append(MemoryConnection(Service(runs[-1], OWNER)))
        return lines[-1]

    shell = SessionShell(connect, None, None, ProcessContext())
    shell.tags = ["a"]
    shell.join_first()
    runs[0].request("a", [b"x"])
    (lease,) = shell.exchange(1, 0.0).leases
    shell.session.hand.outcomes.append(Outcome(lease.task_id, lease.attempt, RESULT, [b"old"]))

    second = Manager()
    other = second.join(wire.introduce("other", ["a"], None, "client")).member_id
    assert other == shell.session.member_id
    second.request("a", [b"y"])
    assert second.exchange(wire.Exchange(other, want=1)).leases[0].task_id == lease.task_id
    second.program_digest = "other code"
    runs.append(second)
    lines[-1].close()
    shell._context.assignment = Assignment("label", "my code")
    with pytest.raises(RejectedError):
        shell.exchange(0, 0.0)
    shell.leave()
    assert list(second.core.members) == [other]
    assert second.census().finished == {}
