"""Entering a label in the Pyro name server, where one is running."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from masterworker.errors import LabelTakenError, NotTrustedError, TransportError
from masterworker.transport.pyro import connect

if TYPE_CHECKING:
    from masterworker.transport.address import Address
    from masterworker.transport.pyro.names import NameServer

logger = logging.getLogger("masterworker.master")


def enter_name(names: NameServer, label: str, uri: str) -> bool:
    """Enter a label.

    Args:
        names: The name server.
        label: The label.
        uri: The Pyro address of its task manager.

    Returns:
        Whether it is entered. False: no name server is running, which is said in the log.

    Raises:
        LabelTakenError: A living master has entered it. One that was left behind is replaced.
    """
    try:
        known = names.lookup(label)
        if known is not None and (whose := _who_lives_at(known, label)):
            raise LabelTakenError(
                f"label {label!r} is taken by {whose} at {known}, says the name server at "
                f"{names.where}: use another label, or end that master"
            )
        names.register(label, uri)
    except TransportError as error:
        logger.warning(
            "%s; the job goes on without: workers on this machine find %r all the same",
            error,
            label,
        )
        return False
    return True


def _who_lives_at(address: Address, label: str) -> str:
    """Say whose living master listens there; "" for none."""
    try:
        connection = connect(address, label)
    except NotTrustedError:
        return "somebody else's master"
    except TransportError:
        logger.info("label %r was left behind in the name server", label)
        return ""
    try:
        connection.call("instance")
    except TransportError:  # it serves another label by now
        return ""
    finally:
        connection.close()
    return "a master"
