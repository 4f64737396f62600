"""B5, B6: workers by ticket on a machine that is cut off for a while, or vanishes."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from security.hosts.users import TICKET, complete, invite
from support import HANG, wait_until

if TYPE_CHECKING:
    from security.hosts.network import Net
    from security.hosts.users import User

#: A worker writes `begun-NUMBER` into its home, and waits for a file `release` there. The master
#: waits for a file `counted`, and until it has no more connections than that says, if it does.
#: Workers that say nothing for four times HEARTBEAT (seconds) are lost.
JOB = """
import json, logging, os, socket, sys, threading
from pathlib import Path
from masterworker import Master, Worker, run_job
from masterworker.transport import sockets

if "IMPATIENT" in os.environ:  # with hosts that do not answer
    sockets.PROBE, sockets.UNANSWERED = 1, 2.0

def threads(name):
    return [thread for thread in threading.enumerate() if thread.name.startswith(name)]

class Asking(Master):
    def run(self):
        from gate import until, wait_for
        workers, tasks = map(int, sys.argv[1:3])
        print("listens", flush=True)
        until(lambda: self.number_of_workers >= workers)
        for number in range(tasks):
            self.request_task("where", number)
        found = [result[:2] for _, _, result in self.results("where")]
        wait_for("counted")
        most = int(Path("counted").read_text() or 1000)
        until(lambda: len(threads("masterworker-connection")) <= most)
        print(json.dumps({"found": found}), flush=True)
        wait_for("end")

class Hand(Worker):
    def do_where(self, number):
        with open(f"begun-{number}", "a") as note:
            note.write("x")
        for _ in range(3000):
            if Path("release").exists():
                break
            threading.Event().wait(0.01)
        return number, socket.gethostname(), os.urandom(PADDING)

logging.basicConfig(format="%(message)s")
run_job("demo", Asking, Hand, heartbeat=HEARTBEAT)
if (Path(__file__).parent / "end").exists():  # this is the master
    from gate import until
    kept = threads("masterworker-forgotten")  # one for all jobs of a process
    until(lambda: threads("") == [threading.main_thread(), *kept])
    print(json.dumps("nobody left"), flush=True)
"""

#: The same worker as a script of its own.
HAND = (
    "import os, socket, threading\nfrom pathlib import Path\nfrom masterworker import Worker\n"
    + JOB[JOB.index("class Hand") : JOB.index("logging.basic")]
    + 'Hand("demo", heartbeat=0.25).run()\n'
).replace("PADDING", "60_000")
TASKS = 20


def script(heartbeat: float = 0.25, padding: int = 0) -> str:
    """The job with this heartbeat of its workers, and so many bytes in each result."""
    return JOB.replace("HEARTBEAT", str(heartbeat)).replace("PADDING", str(padding))


WORKER = f"exec task_manager worker --ticket {TICKET}"


def begun(user: User) -> list[str]:
    """The tasks that have been begun at this host."""
    return [path.name for path in user.home.glob("begun-*")]


def workers(user: User) -> set[int]:
    """The worker processes at this host."""
    return {p.pid for p in user.host.processes() if "--supervised" in " ".join(p.cmdline())}


@pytest.mark.parametrize(("heartbeat", "seconds"), [(2.0, 2.0), (0.25, 1.5)], ids=["short", "long"])
def test_b5_cut_off_and_back(users: list[User], net: Net, heartbeat: float, seconds: float) -> None:
    """Shorter and longer than it may be silent: the same processes go on; each result once."""
    a, b, _ = users
    job = a.job(2, TASKS, script=script(heartbeat))
    invite(a, b)
    worker = b.start(f"{WORKER} -n 2")
    wait_until(lambda: len(begun(b)) == 2, what="both are at work")
    before = workers(b)
    assert "hostB" in a.run("task_manager explain demo where_0").good().out
    net.cut(b.host)
    (b.home / "release").touch()
    if seconds > 4 * heartbeat:
        job.says(") lost: ")
    threading.Event().wait(seconds)
    assert (") lost: " in job.err) == (seconds > 4 * heartbeat)
    net.heal(b.host)
    (a.home / "counted").touch()
    assert complete(job, TASKS) == {"hostB"}
    a.workers_here(2)  # whoever comes only after the end cannot know why nobody is there
    assert workers(b) == before
    a.ends(job, worker)
    assert job.result == "nobody left"


def test_b6_a_machine_vanishes(users: list[User], net: Net) -> None:
    """While its workers hold tasks: others do these, and the master keeps nothing of it."""
    a, b, c = users
    job = a.job(3, TASKS, script=script(), IMPATIENT="yes")
    invite(a, b, c)
    b.start(f"{WORKER} -n 2")
    wait_until(lambda: len(workers(b)) == 2, what="two workers on B")
    (c.home / "release").touch()
    worker = c.start(WORKER)
    wait_until(lambda: len(begun(b)) == 2, what="both are at work")
    held = {int(name.rpartition("-")[2]) for name in begun(b)}
    net.crash(b.host)
    job.says(") lost: ")
    (a.home / "counted").write_text("3")  # a worker, and its supervisor, which has two
    assert complete(job, TASKS, 2 * HANG) == {"hostC"}
    assert held <= {int(name.rpartition("-")[2]) for name in begun(c)}
    assert len(a.census()["processes"]) == 2
    a.ends(job, worker)
    assert job.result == "nobody left"


def test_the_master_is_cut_off_for_a_while(users: list[User], net: Net) -> None:
    """For its workers everywhere that is the same."""
    a, b, c = users
    job = a.job(2, TASKS, script=script())
    invite(a, b, c)
    started = [user.start(WORKER) for user in (b, c)]
    wait_until(lambda: begun(b) and begun(c), what="both are at work")
    net.cut(a.host)
    for user in (b, c):
        (user.home / "release").touch()
    wait_until(lambda: job.err.count(") lost: ") == 2, what="both are lost")
    net.heal(a.host)
    (a.home / "counted").touch()
    complete(job, TASKS)
    a.workers_here(2)
    a.ends(job, *started)


def test_a_narrow_line(users: list[User], net: Net) -> None:
    """A result that takes longer than a worker may be silent arrives, once."""
    a, b, _ = users
    job = a.job(1, 2, script=script(padding=60_000))
    invite(a, b)
    b.write("worker.py", HAND)
    worker = b.start("exec python worker.py", MASTERWORKER_TICKET=TICKET)
    wait_until(lambda: begun(b), what="it is at work")
    net.narrow(b.host, 400)  # 50 kB/s, and a queue that holds two seconds
    (b.home / "release").touch()
    (a.home / "counted").touch()
    assert complete(job, 2, 2 * HANG) == {"hostB"}
    net.narrow(b.host, 0)
    a.workers_here(1)
    a.ends(job, worker)
