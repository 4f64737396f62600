"""Tickets, as a master gives them to those who are to join from elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from masterworker.errors import UsageError
from masterworker.security.duration import parse_duration
from masterworker.security.peer import Role
from masterworker.security.ticket import issue

if TYPE_CHECKING:
    from masterworker.transport.pyro.server import Server


def make_ticket(label: str, job: str, server: Server | None, valid: str, role: str) -> str:
    """Make a ticket; see `Master.ticket`.

    Args:
        label: The label of the job.
        job: Its random id.
        server: Where the master listens; None: nowhere.
        valid: For how long.
        role: What its owner may be.
    """
    if server is None:
        raise UsageError("a job with serial=True takes no workers, so there are no tickets")
    if role not in {Role.WORKER, Role.OBSERVER}:
        raise UsageError(f"a ticket is for a worker or an observer, not for {role!r}")
    places = [(host, server.port) for host in server.addresses]
    return issue(label, job, places, role=Role(role), valid=parse_duration(valid)).text()
