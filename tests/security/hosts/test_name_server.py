"""B17, C9, C11: a name server on a third machine, which anybody can fill and end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from security.hosts.users import TICKET, complete, invite, one_line

if TYPE_CHECKING:
    from e2e.desk import Running
    from security.hosts.users import User

#: The environment of everybody, and what the name server is called in messages.
KNOWN = {"PYRO_NS_HOST": "10.77.0.3"}
WHERE = "the name server at 10.77.0.3:9090"
OURS = "task_manager nameserver --host 10.77.0.3"
STOCK = "python -m Pyro5.nameserver -n 10.77.0.3"

#: As published, for a name server: waits for a file `go` and for workers, then asks for tasks.
CLASSIC = """
import json, socket, sys
from Scientific.DistributedComputing.MasterSlave import MasterProcess, SlaveProcess, runJob

class Master(MasterProcess):
    def run(self):
        from gate import until, wait_for
        workers, tasks = map(int, sys.argv[1:3])
        print("listens", flush=True)
        wait_for("go")
        until(lambda: self.task_manager.numberOfActiveProcesses() > workers)
        for number in range(tasks):
            self.requestTask("where", number)
        found = [self.retrieveResult("where")[2] for _ in range(tasks)]
        print(json.dumps({"found": found}), flush=True)
        wait_for("end")

class Slave(SlaveProcess):
    def do_where(self, number):
        import threading
        threading.Event().wait(0.01)
        return number, socket.gethostname()

runJob("demo", Master, Slave)
"""

#: `python hijack.py PORT`: enters the label anew, with this port of host C.
HIJACK = """
import sys
from Pyro5.api import Proxy
with Proxy("PYRO:Pyro.NameServer@10.77.0.3:9090") as names:
    names.register("TaskManager.demo", f"PYRO:TaskManager.demo@10.77.0.3:{sys.argv[1]}")
"""

#: Somebody who answers everybody with something, and prints what they said.
ROGUE = """
import socket
with socket.create_server(("10.77.0.3", 7900)) as listener:
    print("listens", flush=True)
    while True:
        line, _ = listener.accept()
        with line:
            line.settimeout(5)
            heard = line.recv(65536)
            line.sendall(b"PYRO" + bytes(100))
            try:
                while more := line.recv(65536):
                    heard += more
            except ConnectionResetError:
                pass
            print(heard.hex(), flush=True)
"""


def name_server(user: User, command: str = OURS) -> Running:
    """Start the name server, and wait until it serves."""
    started = user.start(f"exec {command}")
    probe = "from Pyro5.api import Proxy; Proxy('PYRO:Pyro.NameServer@10.77.0.3:9090').ping()"
    user.run(f'until python -c "{probe}"; do :; done 2>/dev/null').good()
    return started


def begin(user: User, workers: int = 1, tasks: int = 100) -> Running:
    """Start the job where the name server is known."""
    return user.job(workers, tasks, script=CLASSIC, MASTERWORKER_HOST="", **KNOWN)


def go(user: User) -> None:
    (user.home / "go").touch()


@pytest.mark.parametrize("command", [OURS, STOCK], ids=["ours", "stock"])
def test_found_by_label_alone(users: list[User], command: str) -> None:
    """By those who have the key. The master listens where the name server's machine reaches it."""
    a, b, c = users
    name_server(c, command)
    job = begin(a)
    a.copy_key_to(b)
    worker = b.start("exec task_manager worker demo", **KNOWN)
    go(a)
    assert complete(job) == {"hostB"}
    listed = b.run("task_manager list -v", **KNOWN).good().out
    assert listed.startswith("demo  2 active processes  at 10.77.0.1:")
    assert c.run("task_manager list -v", **KNOWN).good().out.startswith("demo  of another user")
    stranger = c.run("task_manager worker demo", **KNOWN)
    told = one_line(stranger, 7)
    assert "10.77.0.1:" in told
    assert WHERE in told
    a.ends(job, worker)
    assert "no active task managers" in b.run("task_manager list", **KNOWN).good().out


def test_the_entry_is_exchanged_for_another_master(users: list[User]) -> None:
    """A real one, of another user: who works goes on, who comes is not taken in by it."""
    a, b, c = users
    name_server(c)
    job = begin(a)
    a.copy_key_to(b)
    worker = b.start("exec task_manager worker demo", **KNOWN)
    a.workers_here(1)
    c.job(1, MASTERWORKER_PORTS="7900")
    c.write("hijack.py", HIJACK)
    c.run("python hijack.py 7900").good()
    told = one_line(b.run("task_manager worker demo", **KNOWN), 7)
    assert "10.77.0.3:7900" in told
    assert WHERE in told
    go(a)
    assert complete(job) == {"hostB"}
    a.ends(job, worker)
    assert "demo" in b.run("task_manager list", **KNOWN).good().out, "it is not ours to remove"


def test_the_entry_is_exchanged_for_something_else(users: list[User]) -> None:
    """It hears a TLS greeting, and nothing else."""
    a, b, c = users
    name_server(c)
    begin(a)
    a.copy_key_to(b)
    c.write("rogue.py", ROGUE)
    c.write("hijack.py", HIJACK)
    rogue = c.start("exec python rogue.py")
    rogue.says("listens")
    c.run("python hijack.py 7900").good()
    for words in ("worker demo", "show demo"):
        assert WHERE in one_line(b.run(f"task_manager {words}", **KNOWN), 7)
    rogue.kill()
    heard = [bytes.fromhex(line) for line in rogue.lines[1:]]
    assert heard
    for greeting in heard:
        assert greeting[:3] == b"\x16\x03\x01"
        hello = 5 + int.from_bytes(greeting[3:5], "big")
        rest = greeting[hello:]  # the alert that ends it: this is no TLS
        assert rest[:1] in {b"", b"\x15"}
        assert len(rest) <= 7
        assert b"demo" not in greeting
    told = one_line(b.run("task_manager worker demo", **KNOWN), 3)
    assert "Connection refused" in told
    assert WHERE in told


def test_the_name_server_ends(users: list[User]) -> None:
    """Nobody who works notices; with a ticket others still come."""
    a, b, c = users
    names = name_server(c)
    job = begin(a, workers=2)
    a.copy_key_to(b)
    worker = b.start("exec task_manager worker demo", **KNOWN)
    a.workers_here(1)
    names.kill()
    told = one_line(b.run("task_manager worker demo", **KNOWN), 3)
    assert "no name server answers at 10.77.0.3:9090" in told
    invite(a, c)
    second = c.start(f"exec task_manager worker --ticket {TICKET}")
    go(a)
    assert complete(job) == {"hostB", "hostC"}
    a.ends(job, worker, second)


def test_no_name_server_from_the_beginning(users: list[User]) -> None:
    """Said once; the job goes on, and is reached at the address that would have been entered."""
    a, b, _ = users
    job = begin(a)
    assert job.err.count("no name server answers at 10.77.0.3:9090") == 1
    invite(a, b)
    worker = b.start(f"exec task_manager worker --ticket {TICKET}", **KNOWN)
    go(a)
    assert complete(job) == {"hostB"}
    a.ends(job, worker)


def test_the_label_is_taken(users: list[User]) -> None:
    """By this user, elsewhere. The error says where."""
    a, b, c = users
    name_server(c)
    job = begin(a)
    a.copy_key_to(b)
    b.write("job.py", CLASSIC)
    second = b.run("exec python job.py 1 1", **KNOWN)
    assert second.process.returncode == 1
    last = second.err.splitlines()[-1]
    assert "LabelTakenError: label 'demo' is taken by a master at 10.77.0.1:" in last
    assert WHERE in last
    worker = b.start("exec task_manager worker demo", **KNOWN)
    go(a)
    assert complete(job) == {"hostB"}
    a.ends(job, worker)


def test_the_label_is_another_users(users: list[User]) -> None:
    """Both masters work: the entry stays with the one who came first, the other says so."""
    a, b, c = users
    name_server(c)
    job = begin(a)
    other = begin(b)
    told = [line for line in other.err.splitlines() if "name server" in line]
    assert len(told) == 1, other.err
    assert WHERE in told[0]
    assert "at 10.77.0.1:" in told[0]
    assert "is no master of yours" in told[0]
    here = b.start("exec task_manager worker demo", **KNOWN)
    a.copy_key_to(c)
    worker = c.start("exec task_manager worker demo", **KNOWN)
    for user in (a, b):
        go(user)
    assert complete(other) == {"hostB"}
    assert complete(job) == {"hostC"}
    b.ends(other, here)
    assert "demo" in c.run("task_manager list", **KNOWN).good().out, "it is not B's to remove"
    a.ends(job, worker)
