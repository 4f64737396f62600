"""`task_manager ticket LABEL`: make a line with which workers of other machines join a job.

The line is a secret from its first moment. A shell makes the file of `> FILE` readable for all,
as its umask says, long before we run; a process that has opened it then reads on, whatever its mode
is later. So `--out FILE` makes the file, and one that the shell has made so is refused.
"""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from masterworker import units
from masterworker.cli import exit_codes
from masterworker.cli.finding import find
from masterworker.errors import CredentialError, MasterNotFoundError, UsageError
from masterworker.security import ticket
from masterworker.security.peer import Role
from masterworker.security.private import FOR_OTHERS, write_all, write_new
from masterworker.transport import notice
from masterworker.transport.address import parse
from masterworker.transport.discovery import locate
from masterworker.transport.hosts import is_local

if TYPE_CHECKING:
    import argparse

#: How long a ticket is valid if nothing else is said.
VALID: Final = "7d"


def run(label: str, options: argparse.Namespace) -> int:
    """Write a ticket to a new file, or to standard output."""
    path = None if options.out in {None, "-"} else Path(options.out)
    if path is None:
        _judge_output()  # before there is a ticket
    client = find(label, options.master, wait=options.wait, role=Role.OBSERVER)
    run = client.call("instance")
    job = client.job() or run
    client.disconnect()
    places = places_of(label, run, options)
    role = Role.OBSERVER if options.observer else Role.WORKER
    made = ticket.issue(label, job, places, role=role, valid=units.duration(options.valid or VALID))
    line = f"{made.text()}\n".encode()
    if path is None:
        _print(line)
    else:
        write_new(path, line)
    if all(is_local(host) for host, _ in places):
        print(
            f"this master is reached from this machine only: start it with MASTERWORKER_HOST set "
            f"to an address of this machine, or let other machines come through a tunnel "
            f"(ssh -R {places[0][1]}:localhost:{places[0][1]} OTHER)",
            file=sys.stderr,
        )
    return exit_codes.OK


def places_of(label: str, run: str, options: argparse.Namespace) -> list[tuple[str, int]]:
    """Return where workers of other machines are to connect.

    Raises:
        MasterNotFoundError: It is not known.
    """
    here = notice.published(label)
    port = here.port if here is not None and here.job == run else 0
    if options.address:
        given = [parse(text, port) for text in options.address]
        return [(address.host, address.port) for address in given]
    if here is not None and here.job == run:
        return [(host, port) for host in here.hosts]
    address = locate(label, options.master)
    if not address.host:
        raise MasterNotFoundError(f"say where the master of {label!r} is, with --address HOST:PORT")
    return [(address.host, address.port)]


def _output() -> int:
    """Return the file descriptor of standard output.

    Raises:
        UsageError: It is closed.
    """
    try:
        return sys.stdout.fileno()
    except (AttributeError, OSError, ValueError):  # AttributeError: it was closed before we began
        raise UsageError("there is no standard output to write to: use --out FILE") from None


def _judge_output() -> None:
    """Refuse a file that others can read, or could when it was made; it cannot be repaired.

    Raises:
        UsageError: It is such a file, or closed.
    """
    found = os.fstat(_output())
    if not stat.S_ISREG(found.st_mode):
        return
    if found.st_uid != os.geteuid():
        fault = f"belongs to another user (id {found.st_uid})"
    elif found.st_mode & FOR_OTHERS:
        fault = "is open to other users"
    elif found.st_size:
        fault = "is not empty"
    else:
        return
    raise UsageError(
        f"a ticket is a secret, and the file that standard output goes to {fault}: "
        f"use --out FILE (or umask 077 and a new file)"
    )


def _print(line: bytes) -> None:
    """Write to standard output, past its buffer: what stays in that is tried again at the end.

    Raises:
        CredentialError: It cannot be written.
    """
    handle = _output()
    try:
        write_all(handle, line)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise CredentialError(f"the ticket cannot be written: {error.strerror}") from None
    if os.isatty(handle):
        print(
            "with this line any host can join the job; --out FILE writes it to a private file",
            file=sys.stderr,
        )
