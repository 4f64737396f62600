"""`task_manager ticket LABEL`: print a line with which workers of other machines join a job."""

from __future__ import annotations

import os
import stat
import sys
from typing import TYPE_CHECKING, Final

from masterworker.cli import exit_codes
from masterworker.cli.finding import find
from masterworker.errors import MasterNotFoundError
from masterworker.security import ticket
from masterworker.security.duration import parse_duration
from masterworker.security.peer import Role
from masterworker.transport import notice
from masterworker.transport.address import parse
from masterworker.transport.discovery import locate
from masterworker.transport.hosts import is_local

if TYPE_CHECKING:
    import argparse

#: How long a ticket is valid if nothing else is said.
VALID: Final = "7d"


def run(label: str, options: argparse.Namespace) -> int:
    """Print a ticket."""
    client = find(label, options.master, wait=options.wait, role=Role.OBSERVER)
    job = client.call("instance")
    client.disconnect()
    places = _places(label, job, options)
    role = Role.OBSERVER if options.observer else Role.WORKER
    made = ticket.issue(label, job, places, role=role, valid=parse_duration(options.valid or VALID))
    _keep_private()
    print(made.text())
    if all(is_local(host) for host, _ in places):
        print(
            f"this master is reached from this machine only: start it with MASTERWORKER_HOST set "
            f"to an address of this machine, or let other machines come through a tunnel "
            f"(ssh -R {places[0][1]}:localhost:{places[0][1]} OTHER)",
            file=sys.stderr,
        )
    return exit_codes.OK


def _places(label: str, job: str, options: argparse.Namespace) -> list[tuple[str, int]]:
    """Return where workers of other machines are to connect."""
    here = notice.published(label)
    port = here.port if here is not None and here.job == job else 0
    if options.address:
        given = [parse(text, port) for text in options.address]
        return [(address.host, address.port) for address in given]
    if here is not None and here.job == job:
        return [(host, port) for host in here.hosts]
    address = locate(label, options.master)
    if not address.host:
        raise MasterNotFoundError(f"say where the master of {label!r} is, with --address HOST:PORT")
    return [(address.host, address.port)]


def _keep_private() -> None:
    """A ticket is a secret: the file that it is being written to is for this user alone."""
    fd = sys.stdout.fileno()
    if stat.S_ISREG(os.fstat(fd).st_mode):
        os.fchmod(fd, 0o600)
    elif os.isatty(fd):
        print("whoever has this line can join the job; keep it in a private file", file=sys.stderr)
