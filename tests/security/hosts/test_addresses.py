"""Where a master listens, what a ticket says of it, and the ways there: IPv6, ports, tunnels."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from masterworker.security import ticket
from security.hosts.users import TICKET, complete, invite, one_line

if TYPE_CHECKING:
    from collections.abc import Callable

    from security.hosts.network import Host
    from security.hosts.ssh import Sshd
    from security.hosts.users import User

WORKER = f"exec task_manager worker --ticket {TICKET}"
#: Takes ports at an address until it is ended.
TAKE = """
import socket, sys, threading
address, first, last = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
taken = [socket.create_server((address, port)) for port in range(first, last + 1)]
print("taken", flush=True)
threading.Event().wait(60)
"""


def addresses(user: User) -> list[tuple[str, int]]:
    """What is written in this user's ticket."""
    return list(ticket.parse((user.home / TICKET).read_text()).addresses)


def take(user: User, address: str, first: int, last: int) -> None:
    """Let somebody else have these ports."""
    user.write("take.py", TAKE)
    user.start(f"exec python take.py {address} {first} {last}").says("taken")


def test_ipv6(users: list[User]) -> None:
    a, b, c = users
    job = a.job(2, at="fd77::1", MASTERWORKER_PORTS="7800")
    invite(a, b)
    assert addresses(a) == [("fd77::1", 7800)]
    a.copy_key_to(c)
    workers = [b.start(WORKER), c.start("exec task_manager -m [fd77::1]:7800 worker demo")]
    assert complete(job) == {"hostB", "hostC"}
    a.ends(job, *workers)


@pytest.mark.parametrize(
    ("at", "reached"),
    [
        ("0.0.0.0", ["10.77.0.1", "127.0.0.1"]),  # noqa: S104  this is about it
        ("::", ["10.77.0.1", "fd77::1", "127.0.0.1", "::1"]),
        ("127.0.0.1,fd77::1,hostA", ["127.0.0.1", "fd77::1", "hostA"]),
    ],
)
def test_several_addresses(users: list[User], at: str, reached: list[str]) -> None:
    """A ticket holds all; a worker takes the first one where it finds the master."""
    a, b, c = users
    job = a.job(3, at=at, MASTERWORKER_PORTS="7800")
    assert invite(a, b, c).complaints == ""
    assert addresses(a) == [(host, 7800) for host in reached]
    a.copy_key_to(c)
    outside = next(host for host in reached if host not in {"127.0.0.1", "::1"})
    outside = f"[{outside}]" if ":" in outside else outside
    workers = [
        b.start(WORKER),
        c.start(f"exec task_manager -m {outside}:7800 worker demo"),
        a.start("exec task_manager -m 127.0.0.1:7800 worker demo"),
    ]
    assert complete(job) == {"hostA", "hostB", "hostC"}
    a.ends(job, *workers)


def test_a_name_that_stands_for_loopback(users: list[User]) -> None:
    """As a machine's own name often does: whoever makes a ticket is told."""
    a, b, _ = users
    a.job(1, at="127.0.1.1")
    assert "reached from this machine only" in invite(a, b).err


def test_somebody_else_at_one_of_the_addresses(users: list[User]) -> None:
    """What stands for this machine there, such as 127.0.0.1, may be another master's here."""
    a, b, _ = users
    others = b.job(1, at="127.0.0.1", MASTERWORKER_PORTS="7800")
    job = a.job(1, at="127.0.0.1,hostA", MASTERWORKER_PORTS="7800")
    invite(a, b)
    assert addresses(a) == [("127.0.0.1", 7800), ("hostA", 7800)]
    worker = b.start(WORKER)
    assert complete(job) == {"hostB"}
    a.ends(job, worker)
    own = b.start("exec task_manager worker demo")
    assert complete(others) == {"hostB"}
    b.ends(others, own)


def test_a_range_of_ports(users: list[User]) -> None:
    """As a firewall lets through: the first free one; when none is, it is said."""
    a, b, _ = users
    take(a, "0.0.0.0", 7800, 7804)  # noqa: S104  whatever address the master has
    job = a.job(1, MASTERWORKER_PORTS="7800-7805")
    invite(a, b)
    assert addresses(a) == [("10.77.0.1", 7805)]
    worker = b.start(WORKER)
    assert complete(job) == {"hostB"}
    refused = a.run(
        "exec python -c \"from masterworker import Master; Master('next')\"",
        MASTERWORKER_HOST="hostA",
        MASTERWORKER_PORTS="7800-7805",
    )
    assert refused.process.returncode == 1
    last = refused.err.splitlines()[-1]
    assert "cannot listen at hostA, ports 7800 to 7805: Address already in use" in last
    a.ends(job, worker)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"MASTERWORKER_HOST": "10.77.0.2"}, "cannot listen at 10.77.0.2, port 0: Cannot assign"),
        ({"MASTERWORKER_HOST": "nowhere.invalid"}, "cannot listen at nowhere.invalid"),
        ({"MASTERWORKER_PORTS": "7810-7800"}, "write one port or a range, as in 7800-7900"),
        ({"MASTERWORKER_PORTS": "http"}, "write one port or a range, as in 7800-7900"),
    ],
)
def test_settings_that_cannot_be(users: list[User], settings: dict[str, str], told: str) -> None:
    """The program ends with an error that names what is wrong."""
    line = "exec python -c \"from masterworker import Master; Master('demo')\""
    done = users[0].run(line, **settings)
    assert done.process.returncode == 1
    assert told in done.err.splitlines()[-1]


# -- loopback alone ------------------------------------------------------------------------


def test_nobody_outside_unless_told(users: list[User]) -> None:
    """The default; whoever makes a ticket is told in one line what to do about it."""
    a, b, _ = users
    a.job(1, MASTERWORKER_HOST="", MASTERWORKER_PORTS="7800")
    made = invite(a, b)
    assert addresses(a) == [("127.0.0.1", 7800)]
    assert len(made.err.splitlines()) == 1
    assert "MASTERWORKER_HOST" in made.err
    assert "ssh -R 7800:localhost:7800 OTHER" in made.err
    a.copy_key_to(b)
    for options in (f"--ticket {TICKET}", "-m hostA:7800", "-m 10.77.0.1:7800"):
        told = one_line(b.run(f"task_manager worker {options} demo"), 3)
        assert "Connection refused" in told


def test_the_tunnel_that_is_proposed(
    users: list[User], start_sshd: Callable[[Host | None], Sshd]
) -> None:
    """Literally, but for the name of the other machine: the ticket fits the tunnel."""
    a, b, _ = users
    a.knows(start_sshd(b.host))
    job = a.job(2, MASTERWORKER_HOST="")
    hint = invite(a).err
    proposed = re.search(r"\((ssh -R \d+:localhost:\d+) OTHER\)", hint)
    assert proposed
    line = f"{proposed[1]} hostB task_manager worker --ticket - -n 2 < {TICKET}"
    worker = a.start(line)
    assert complete(job) == {"hostB"}
    a.ends(job, worker)


@pytest.mark.parametrize(
    ("ticket_options", "worker_options"),
    [("", "--master localhost:7766"), ("--address localhost:7766", "")],
    ids=["told there", "told in the ticket"],
)
def test_a_tunnel_with_another_port(
    users: list[User],
    start_sshd: Callable[[Host | None], Sshd],
    ticket_options: str,
    worker_options: str,
) -> None:
    """--master says where the master is found from there; --address puts it into the ticket."""
    a, b, _ = users
    a.knows(start_sshd(b.host))
    job = a.job(1, MASTERWORKER_HOST="", MASTERWORKER_PORTS="7800")
    worker = a.start(
        f"task_manager ticket demo {ticket_options} 2>/dev/null | "
        f"ssh -R 7766:localhost:7800 hostB task_manager worker --ticket - {worker_options}"
    )
    assert complete(job) == {"hostB"}
    a.ends(job, worker)


def test_a_tunnel_from_the_other_side(
    users: list[User], start_sshd: Callable[[Host | None], Sshd]
) -> None:
    """For machines from which one can log in to the master's, and not the other way round."""
    a, b, _ = users
    b.knows(start_sshd(a.host))
    job = a.job(1, MASTERWORKER_HOST="", MASTERWORKER_PORTS="7800")
    invite(a, b)
    tunnel = b.start("exec ssh -N -L 7800:localhost:7800 hostA")
    shown = b.start(f"until task_manager show --ticket {TICKET}; do :; done 2>/dev/null")
    shown.good()
    worker = b.start(WORKER)
    assert complete(job) == {"hostB"}
    a.ends(job, worker)
    tunnel.kill()
