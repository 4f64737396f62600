"""Entering a label in the Pyro name server, where one is running."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from masterworker.errors import CredentialError, LabelTakenError, TransportError
from masterworker.transport.pyro.connection import connect

if TYPE_CHECKING:
    from masterworker.transport.address import Address
    from masterworker.transport.pyro.names import NameServer

logger = logging.getLogger("masterworker.master")

#: How `security.tls` puts it; something that speaks no TLS is no master.
_NO_TLS = "does not speak TLS"


def enter_name(names: NameServer, label: str, uri: str) -> bool:
    """Enter a label.

    An entry that leads to a master which is not ours is left alone: it may be another user's, with
    the same right to the label in a name server that all share. It does not keep this master from
    starting either: any process can have made it.

    Args:
        names: The name server.
        label: The label.
        uri: The Pyro address of its task manager.

    Returns:
        Whether it is entered. False: no name server is running, or the label is entered for
        another master; which is said in the log.

    Raises:
        LabelTakenError: A living master of this user has entered it. One that was left behind is
            replaced.
    """
    try:
        known = names.lookup(label)
        if known is not None and _we_live_at(known, label):
            raise LabelTakenError(
                f"label {label!r} is taken by a master at {known}, says the name server at "
                f"{names.where}: use another label, or end that master"
            )
        names.register(label, uri)
    except CredentialError as error:
        logger.warning(
            "the name server at %s, which any host can fill, has an entry for %r, and at %s is no "
            "master of yours (%s); the job goes on without an entry: workers on this machine find "
            "it all the same, others by a ticket or --master; or use another label",
            names.where, label, known, error,
        )  # fmt: skip
        return False
    except TransportError as error:
        logger.warning(
            "%s; the job goes on without: workers on this machine find %r all the same",
            error,
            label,
        )
        return False
    return True


def _we_live_at(address: Address, label: str) -> bool:
    """Return whether a living master of this user listens there.

    Raises:
        CredentialError: Something does that cannot prove it, or to which we cannot.
    """
    try:
        connection = connect(address, label)
    except TransportError as error:
        if isinstance(error, CredentialError) and _NO_TLS not in str(error):
            raise
        logger.info("label %r was left behind in the name server", label)
        return False
    try:
        connection.call("instance")
    except TransportError:  # it serves another label by now
        return False
    finally:
        connection.close()
    return True
