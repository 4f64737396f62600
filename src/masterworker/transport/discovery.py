"""Finding a label's master: a given address, else its ticket, else the Pyro name server."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from masterworker.errors import MasterNotFoundError, TransportError
from masterworker.transport import ticket
from masterworker.transport.address import Address, check_label, parse
from masterworker.transport.pyro import NameServer, connect

if TYPE_CHECKING:
    from masterworker.transport.pyro.connection import PyroConnection


def locate(label: str, master: str | None = None) -> Address:
    """Say where a label's master listens.

    Args:
        label: The label.
        master: "host" or "host:port"; None: look it up.

    Raises:
        MasterNotFoundError: Nobody knows such a label. Says where was looked.
        UsageError: The label or the address cannot be used.
    """
    check_label(label)
    if master is not None:
        return parse(master)
    address = ticket.find(label)
    if address is not None:
        return address
    try:
        address = NameServer().lookup(label)
        searched = "nor does the name server know it"
    except TransportError as error:
        searched = f"and {error}"
    if address is None:
        raise MasterNotFoundError(
            f"no master with label {label!r} is running on this machine, {searched}: start the "
            "master first, or say where it is with --master HOST:PORT"
        )
    return address


def reach(label: str, master: str | None = None) -> PyroConnection:
    """Connect to a label's master; arguments and errors as for `locate`."""
    address = locate(label, master)
    if master is None:
        return connect(address, label)
    if ":" not in master and address.host in {"localhost", "127.0.0.1", "::1"}:
        local = ticket.find(label)  # the port was left out: its ticket knows better
        if local is not None:
            return connect(local, label)
    return connect(address, label)


def labels() -> dict[str, Address]:
    """Return the labels of this user's masters here, and of those the name server knows."""
    found: dict[str, Address] = {}
    with contextlib.suppress(TransportError):  # none is running: the tickets are all there is
        found.update(NameServer().labels())
    found.update(ticket.all_tickets())
    return found
