"""Messages name tasks by the ids that the program knows."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from e2e.desk import Desk, Running

#: The first time, whoever calls this takes its process along.
ONCE = """
def once(name):
    if not said(name):
        say(name)
        os.kill(os.getpid(), 9)
"""
SLAVE = (
    ONCE
    + """
def do_one(number):
    return number
def do_die(number):
    once("died")
    return number
def do_outer(number):
    worker = current_worker()
    worker.request_task("one", number)
    worker.retrieve_result("one")
    once("died outer")
    return number
globals()["do_odd tag \\x1b\\n"] = do_die
from masterworker import current_worker
startSlaveProcess()
"""
)


def named(slave: Running) -> str:
    """Which task the supervisor names."""
    found = re.findall(r", while it executed task (.*?); another one takes its place", slave.err)
    assert len(found) == 1, slave.err
    return str(found[0])


@pytest.mark.parametrize(
    ("tasks", "name"),
    [
        (["die"], "die_0"),
        (["one"] * 20 + ["die"], "die_20"),
        (["outer"], "outer_0"),
        (["odd tag \x1b\n"], r"odd tag \x1b\n_0"),
    ],
    ids=["one", "after others", "after a further task", "cannot be printed"],
)
def test_what_a_slave_was_executing(desk: Desk, tasks: list[str], name: str) -> None:
    """Its id, as `requestTask` has returned it."""
    desk.script("slave.py", SLAVE)
    master = desk.python(
        "master.py",
        f"""
        master = initializeMasterProcess(LABEL, slave_script="slave.py")
        for tag in {tasks!r}:
            master.requestTask(tag, 1)
        for tag in {tasks!r}:
            master.retrieveResult(tag)
        """,
    )
    slave = desk.slave()
    master.good()
    assert named(slave.good()) == name


def test_what_a_worker_was_executing(desk: Desk) -> None:
    """A call is named after its function."""
    job = desk.write(
        "job.py",
        "import os\nfrom gate import said, say, wait_for\nfrom masterworker import Master\n"
        + ONCE
        + "def simulate(number):\n    once('died')\n    return number\n"
        + "with Master(LABEL) as master:\n"
        + "    print(list(master.map(simulate, range(3))))\n",
    )
    running = desk.start(job)
    worker = desk.command("-w", "worker", desk.label)
    assert running.good().lines == ["[0, 1, 2]"]
    assert re.fullmatch(r"@simulate_[0-2]", named(worker.good()))
