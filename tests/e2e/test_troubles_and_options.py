"""What cannot go on is named, to whoever looks; options of tasks in the classic interface."""

from __future__ import annotations

from typing import TYPE_CHECKING

from e2e.desk import until

if TYPE_CHECKING:
    from e2e.desk import Desk

#: Within so many seconds everything has to be named.
SOON = 10.0

WAITING = """
master = initializeMasterProcess(LABEL, slave_script="slave.py")
for tag in sys.argv[1:]:
    master.requestTask(tag)
say("asked")
wait_for("go")
"""


def trouble(desk: Desk, text: str) -> str:
    """Wait until `show` tells of it; return the line."""

    def holds() -> str:
        shown = desk.command("-w", "show", desk.label).good().out
        return next((line for line in shown.splitlines() if text in line), "")

    return str(until(holds, f"`show` tells that {text!r}", SOON))


def test_no_workers(desk: Desk) -> None:
    """In `show`, and once in the master's log."""
    desk.script("slave.py", "startSlaveProcess()\n")
    master = desk.python("master.py", WAITING, "a", "b")
    desk.reach("asked")
    told = trouble(desk, "no workers").strip()
    assert told.startswith("trouble: 2 tasks wait, and there are no workers: start some with ")
    assert "`task_manager worker LABEL`" in told
    desk.write("go", "")
    master.good()
    assert master.err.count("there are no workers") == 1


def test_nobody_can_execute_a_tag(desk: Desk) -> None:
    """By name, with how many workers there are."""
    desk.script("slave.py", "def do_known():\n    return 1\n\nstartSlaveProcess()\n")
    master = desk.python("master.py", WAITING, "unknown")
    slave = desk.slave()
    line = trouble(desk, "the only worker cannot execute 'unknown'")
    assert "trouble" in line
    explained = desk.command("explain", desk.label, "unknown_0").good().out
    assert "it waits for a worker that can execute 'unknown'; none of 1 here can" in explained
    desk.write("go", "")
    master.good()
    slave.good()


def test_workers_that_fail_at_start(desk: Desk) -> None:
    """With the end of what they said, in the log of the one who launched them."""
    desk.script("slave.py", "import nonsense_that_is_not_there\n")
    master = desk.python(
        "master.py",
        """
        master = initializeMasterProcess(LABEL, slave_script="slave.py")
        master.requestTask("a")
        try:
            master.launchSlaveJobs(1)
        except Exception as error:
            print(error, flush=True)
        wait_for("go")
        """,
    )
    master.says("nonsense_that_is_not_there", SOON)
    trouble(desk, "no workers")
    desk.write("go", "")
    master.good()


def test_options_of_the_classic_interface(desk: Desk) -> None:
    """Attempts, time limits and cancelling, without any change of a signature."""
    desk.script(
        "slave.py",
        """
        def do_flaky(name):
            with open(name, "a") as file:
                file.write("x")
            if len(open(name).read()) < 3:
                raise OSError("not yet")
            return len(open(name).read())

        def do_hang():
            threading.Event().wait()

        startSlaveProcess()
        """,
    )
    master = desk.python(
        "master.py",
        """
        from masterworker.errors import TaskCancelled
        master = initializeMasterProcess(LABEL, slave_script="slave.py")
        master.launchSlaveJobs(1)
        master.options(retries=2, retry_on=OSError).requestTask("flaky", "calls")
        print(master.retrieveResult()[1:])
        limited = master.options(timeout=0.3).requestTask("hang")
        try:
            master.retrieveResult()
        except TaskRaisedException as failed:
            print(failed.task_id == limited, type(failed.exception).__name__)
        task = master.requestTask("hang")
        print(master.cancelTask(task), master.cancelTask(task))
        try:
            master.retrieveResult()
        except TaskCancelled as cancelled:
            print(cancelled)
        print(master.shutdown())
        """,
    )
    assert master.good().lines == [
        "('flaky', 3)",
        "True TaskTimeout",
        "True False",
        "task hang_2 was cancelled",
        "1 done, 1 failed, 1 cancelled, 0 not run",
    ]
