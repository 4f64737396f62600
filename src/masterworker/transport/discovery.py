"""Finding a label's master: by a ticket, a given address, its notice, or the Pyro name server."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from typing import TYPE_CHECKING, Final

from masterworker.errors import (
    JobEndedError,
    MasterNotFoundError,
    NotTrustedError,
    TransportError,
)
from masterworker.security.peer import Role
from masterworker.transport.address import Address, check_label, parse
from masterworker.transport.pyro.connection import connect

if TYPE_CHECKING:
    from masterworker.security.credentials import Credential
    from masterworker.security.ticket import Ticket
    from masterworker.transport.endings import Ending
    from masterworker.transport.pyro.connection import PyroConnection


#: The module that reads tickets.
_TICKETS: Final = "masterworker.security.ticket"
#: Names the file with the ticket that a program is to use.
TICKET_VARIABLE: Final = "MASTERWORKER_TICKET"

#: What this process has learned when it was started as a worker, by label; see `remember`.
_sockets: dict[str, str] = {}
_masters: dict[str, str] = {}


def remember(label: str, *, socket: str = "", master: str | None = None) -> None:
    """Take note of where a label's master is, for later calls that name the label alone.

    So a worker that its master has launched looks for nothing, and loads nothing to look with. And
    the classes of a worker's program need not pass an address on.

    Args:
        label: The label.
        socket: The master's private socket, which is tried first: its process has named it. If no
            master is there (any more), the label is looked up as usual.
        master: "host" or "host:port", which takes the place of looking the label up.
    """
    if socket:
        _sockets[label] = socket
    if master is not None:
        _masters[label] = master


def locate(label: str, master: str | None = None) -> Address:
    """Say where a label's master listens.

    Args:
        label: The label.
        master: "host" or "host:port"; None: look it up.

    Raises:
        MasterNotFoundError: No such label is known. Says where was looked.
        UsageError: The label or the address cannot be used.
    """
    return _locate(label, master, "--master HOST:PORT")[0]


def reach(
    label: str,
    master: str | None = None,
    role: Role = Role.WORKER,
    *,
    option: str = "--master HOST:PORT",
) -> PyroConnection:
    """Connect to a label's master.

    Args:
        label: The label.
        master: "host" or "host:port"; None: look it up.
        role: What we come as. The private socket of this machine does not ask for it, and a
            ticket knows it.
        option: How the user says where the master is.

    Raises:
        JobEndedError: The job was on this machine, and was ended.
        MasterNotFoundError: No such label is known, or no master answers.
        NotTrustedError: What answers is not a master of this user, or it refuses us.
        CredentialError: Our own ticket, key or certificate cannot be used.
        UsageError: The label or the address cannot be used.
    """
    check_label(label)
    if (ticket := ticket_of(label)) is not None:
        return _reach_by(ticket, _masters.get(label) if master is None else master, option)
    if master is None and (socket := _sockets.get(label)):
        with contextlib.suppress(MasterNotFoundError):
            return connect(Address(socket=socket), label)
    try:
        address, source = _locate(label, master, option)
        try:
            return connect(address, label, credential=lambda: _own(role))
        except (MasterNotFoundError, NotTrustedError) as error:
            if source:
                raise type(error)(f"{error} ({source})") from None
            raise
    except (MasterNotFoundError, NotTrustedError):  # its port may be another user's by now
        _tell_ending(label, master)
        raise


def labels() -> dict[str, Address]:
    """Return the labels of this user's masters here, and of those the name server knows."""
    from masterworker.transport.pyro.names import NameServer

    found: dict[str, Address] = {}
    with contextlib.suppress(TransportError):  # none is running: the notices are all there is
        found.update(NameServer().labels())
    from masterworker.transport import notice

    found.update(notice.all_notices())
    return found


def ticket_of(label: str) -> Ticket | None:
    """Return the ticket that this process was given for a label; None: it is the user's own."""
    if _TICKETS not in sys.modules and TICKET_VARIABLE not in os.environ:
        return None  # this process has none; most never load what reads them
    from masterworker.security.ticket import held

    return held(label)


def _tell_ending(label: str, master: str | None) -> None:
    """Raise an error if a job's master is not found because the job has ended.

    Raises:
        JobEndedError: It was on this machine, and was ended in good order.
    """
    from masterworker.transport.hosts import LOCAL

    ending = _ending(label)
    if ending is None:
        return
    if master is None or parse(master)[:2] in {(host, ending.port) for host in LOCAL}:
        raise JobEndedError(label, ending.seconds)


def _ending(label: str) -> Ending | None:
    """Return how a job of this label has ended on this machine; None: none has, or a later one."""
    from masterworker.transport import endings, notice

    ending, last = endings.find(label), notice.last_seen(label)
    return None if last is not None and ending is not None and last.job != ending.job else ending


def _own(role: Role) -> Credential:
    from masterworker.security.credentials import user_credential

    return user_credential(role)


def _reach_by(ticket: Ticket, master: str | None, option: str) -> PyroConnection:
    """Connect by a ticket: to where it says, one after the other, or where the user says."""
    ticket.require_valid(time.time())
    places = [Address(host, port) for host, port in ticket.addresses]
    if master is not None:
        places = [parse(master)]
    problem: TransportError | None = None
    for place in places:
        try:
            return connect(place, ticket.label, credential=lambda: ticket.credential)
        except (MasterNotFoundError, NotTrustedError) as error:
            # One of the master's addresses, such as 127.0.0.1, may be another program's here.
            problem = problem or error
    ending = _ending(ticket.label)  # of a master on this machine, which the ticket is for
    if ending is not None and ending.port in {port for _, port in ticket.addresses}:
        raise JobEndedError(ticket.label, ending.seconds)
    raise problem or MasterNotFoundError(f"this ticket holds no address: add {option}")


def _locate(label: str, master: str | None, option: str) -> tuple[Address, str]:
    """Return where a label's master is said to listen, and what says so, for messages."""
    from masterworker.transport import notice
    from masterworker.transport.hosts import LOCAL

    check_label(label)
    master = _masters.get(label) if master is None else master
    if master is not None:
        address = parse(master)
        if ":" not in master and address.host in LOCAL:
            local = notice.find(label)  # the port was left out: its notice knows better
            if local is not None:
                return local, ""
        return address, ""
    found = notice.find(label)
    if found is not None:
        return found, ""
    from masterworker.transport.pyro.names import NameServer

    try:
        names = NameServer()
        found = names.lookup(label)
        searched = "nor does the name server know it"
    except TransportError as error:
        searched = f"and {error}"
    if found is None and (last := notice.last_seen(label)) is not None:
        raise MasterNotFoundError(
            f"the master of {label!r} (process {last.pid}) is gone without having ended its job: "
            "start it again"
        )
    if found is None:
        raise MasterNotFoundError(
            f"no master with label {label!r} is running on this machine, {searched}: start the "
            f"master first, or say where it is with {option}"
        )
    return (
        found,
        f"the address comes from the name server at {names.where}, which any process can fill",
    )
