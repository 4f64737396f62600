"""Entering a label in the Pyro name server, where one is running."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from masterworker.errors import LabelTakenError, TransportError
from masterworker.transport.pyro import NameServer, connect

if TYPE_CHECKING:
    from masterworker.transport.pyro import Server

logger = logging.getLogger("masterworker.master")


def enter_name(label: str, server: Server) -> NameServer | None:
    """Enter a label.

    Returns:
        The name server; None: none is running, which is said in the log.

    Raises:
        LabelTakenError: A living master has entered it. One that was left behind is replaced.
    """
    names = NameServer()
    try:
        known = names.lookup(label)
        if known is not None:
            try:
                connection = connect(known, label)
                try:
                    connection.call("instance")
                finally:
                    connection.close()
            except TransportError:
                logger.info("label %r was left behind in the name server", label)
            else:
                raise LabelTakenError(
                    f"label {label!r} is taken by a master at {known}, says the name server at "
                    f"{names.where}: use another label, or end that master"
                )
        names.register(label, server.uri)
    except TransportError as error:
        logger.warning(
            "%s; the job goes on without: workers on this machine find %r by its ticket",
            error,
            label,
        )
        return None
    return names
