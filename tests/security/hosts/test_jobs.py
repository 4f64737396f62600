"""Workers on other machines, as the README tells it: by tickets, and with a copy of the key."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

import pytest

from security.hosts.users import TICKET, complete, invite, one_line

if TYPE_CHECKING:
    from collections.abc import Callable

    from security.hosts.network import Host
    from security.hosts.ssh import Sshd
    from security.hosts.users import User

CLASSIC = """
import socket, sys
from Scientific.DistributedComputing.MasterSlave import MasterProcess, SlaveProcess, runJob

class Master(MasterProcess):
    def run(self):
        from gate import wait_for
        for x in range(5):
            self.requestTask("sqrt", float(x * x))
        found = [self.retrieveResult("sqrt") for _ in range(5)]
        print(sorted(root for _, _, (root, _) in found), {host for _, _, (_, host) in found})
        sys.stdout.flush()
        wait_for("end")

class Slave(SlaveProcess):
    def do_sqrt(self, x):
        return x ** 0.5, socket.gethostname()

runJob("demo", Master, Slave)
"""

PLAIN = """
import socket
from Scientific.DistributedComputing.MasterSlave import startSlaveProcess

def do_sqrt(x):
    return x ** 0.5, socket.gethostname()

startSlaveProcess("demo")
"""


def test_three_commands(users: list[User], start_sshd: Callable[[Host | None], Sshd]) -> None:
    """Start the job; make a ticket and copy it; start workers there. Or the last two in one."""
    a, b, c = users
    a.knows(start_sshd(b.host), start_sshd(c.host))
    job = a.job(4)
    made = a.run("task_manager ticket demo --out demo.ticket").good()
    a.run(f"scp -q demo.ticket hostB:{b.home}").good()
    assert made.complaints == ""
    assert stat.S_IMODE((b.home / TICKET).stat().st_mode) == 0o600
    by_file = b.start("exec task_manager worker --ticket demo.ticket -n 2")
    piped = a.start("task_manager ticket demo | ssh hostC task_manager worker --ticket - -n 2")
    assert complete(job) == {"hostB", "hostC"}
    assert len(a.workers_here(4)) == 5
    assert b.census(f"show --ticket {TICKET}")["processes"] == a.census()["processes"]
    shown = a.run("task_manager show demo -v").good().out
    assert "hostB" in shown
    assert "hostC" in shown
    assert a.run("task_manager list -v").good().out.startswith("demo  5 active processes  at ")
    told = a.run(f"task_manager explain demo {job.result['last']}").good().out
    assert "is done" in told
    a.ends(job, by_file, piped)
    assert all("master's folder" in line for line in by_file.err.splitlines())
    late = b.run(f"task_manager worker --ticket {TICKET}")
    assert "no master answers" in one_line(late, 3)


def test_a_ticket_is_no_secret_in_the_list_of_processes(users: list[User]) -> None:
    """Neither the supervisor nor its workers show it, in arguments or environment (C12)."""
    a, b, _ = users
    job = a.job(2, 4)
    invite(a, b)
    secret = (b.home / TICKET).read_text().strip()
    worker = b.start(f"exec task_manager worker --ticket {TICKET} -n 2")
    complete(job, 4)
    seen = [(p.cmdline(), p.environ()) for p in b.host.processes()]
    assert len(seen) >= 3
    assert secret[-40:] not in repr(seen)
    a.ends(job, worker)


def test_the_classic_interface_by_ticket(users: list[User]) -> None:
    """`runJob` is the same script as ever; slaves get its code from the master."""
    a, b, _ = users
    a.write("job.py", CLASSIC)
    job = a.start("exec python job.py", MASTERWORKER_HOST=a.host.address)
    a.workers_here(0)
    invite(a, b)
    slave = b.start(f"exec task_manager slave --ticket {TICKET}")
    job.says("[0.0, 1.0, 2.0, 3.0, 4.0] {'hostB'}")
    told = a.run("task_manager explain demo sqrt_3").good().out
    assert "is done" in told
    assert b.run(f"task_manager explain --ticket {TICKET} sqrt_3").good().out == told
    a.ends(job, slave)


def test_a_slave_script_by_ticket(users: list[User]) -> None:
    """A script of one's own takes the ticket from the file that MASTERWORKER_TICKET names."""
    a, b, _ = users
    a.write("job.py", CLASSIC)
    job = a.start("exec python job.py", MASTERWORKER_HOST=a.host.address)
    a.workers_here(0)
    invite(a, b)
    b.write("slave.py", PLAIN)
    slave = b.start("exec python slave.py", MASTERWORKER_TICKET=TICKET)
    shown = b.run("task_manager -w show demo", MASTERWORKER_TICKET=TICKET).good().out
    assert shown.startswith("Task manager demo")
    job.says("[0.0, 1.0, 2.0, 3.0, 4.0] {'hostB'}")
    a.ends(job, slave)


def test_a_ticket_to_look_on_does_not_let_work(users: list[User]) -> None:
    a, b, _ = users
    a.job(1)
    invite(a, b, options="--observer")
    assert len(b.census(f"show --ticket {TICKET}")["processes"]) == 1
    worker = b.run(f"task_manager worker --ticket {TICKET}")
    assert "observer" in one_line(worker, 7)


def test_a_ticket_of_an_earlier_run(users: list[User]) -> None:
    """It was for that one, and is not for the next at the same place."""
    a, b, _ = users
    job = a.job(0, 1, MASTERWORKER_PORTS="7800")
    invite(a, b)
    job.kill()
    a.job(1, MASTERWORKER_PORTS="7800")
    for words in ("worker", "show"):
        told = one_line(b.run(f"task_manager {words} --ticket {TICKET}"), 7)
        assert "an earlier run" in told
        assert "hostA" in told or a.host.address in told


# -- one user's key ------------------------------------------------------------------------


def test_the_key_copied(users: list[User]) -> None:
    """Then B needs no ticket; and is a stranger before that."""
    a, b, _ = users
    job = a.job(1, MASTERWORKER_PORTS="7800")
    for words in ("worker demo", "show demo"):
        told = one_line(b.run(f"task_manager -m hostA:7800 {words}"), 7)
        assert "hostA:7800" in told
    a.copy_key_to(b)
    worker = b.start("exec task_manager -m hostA:7800 worker demo")
    assert complete(job) == {"hostB"}
    shown = b.run("task_manager -m hostA:7800 show demo").good()
    assert "2 active processes" in shown.out
    a.ends(job, worker)
    assert job.err.count(f"a connection from {b.host.address} was refused") == 1


@pytest.mark.parametrize("mode", [0o640, 0o604])
def test_a_key_that_others_can_read_is_refused(users: list[User], mode: int) -> None:
    a, b, _ = users
    a.job(1)
    a.run("task_manager ticket demo --out demo.ticket").good()  # which makes the key
    a.copy_key_to(b)
    (b.keys / "authority.pem").chmod(mode)
    told = one_line(b.run("task_manager -m hostA:7800 worker demo"), 7)
    assert "other users can read" in told
    assert "chmod 600" in told


# -- folders -------------------------------------------------------------------------------

IMPORTING = """
from masterworker import Master

def where():
    import colorsys
    return colorsys.__file__

with Master("demo") as master:
    print(master.submit(where).result(timeout=60), flush=True)
"""


def test_nothing_is_imported_from_a_folder_of_somebody_else(users: list[User]) -> None:
    """The master's folder may be anybody's on another machine, such as one below /tmp."""
    a, b, _ = users
    a.write("job.py", IMPORTING)
    job = a.start("exec python job.py", MASTERWORKER_HOST=a.host.address)
    a.workers_here(0)
    invite(a, b)
    theirs = f"mkdir -p {a.home} && echo > {a.home}/colorsys.py && chown -R 65534 {a.home}"
    worker = b.start(f"{theirs} && exec task_manager worker --ticket {TICKET}")
    job.good()
    worker.good()
    assert job.lines[-1].endswith("colorsys.py")
    assert str(a.home) not in job.lines[-1]
