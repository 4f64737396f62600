"""Reaching a master from the command line, now or when it appears."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING

from masterworker.client import Client
from masterworker.errors import MasterNotFoundError
from masterworker.security.peer import Role
from masterworker.transport.address import check_label
from masterworker.transport.discovery import reach

if TYPE_CHECKING:
    import argparse

#: Seconds between two looks for a master that is waited for.
PAUSE = 0.25


def find(label: str, master: str | None, *, wait: bool, role: Role = Role.WORKER) -> Client:
    """Connect to a label's master.

    Args:
        label: The label.
        master: "host" or "host:port"; None: look the label up.
        wait: Wait until it appears; Ctrl-C ends that.
        role: What we come as, over a network.

    Raises:
        MasterNotFoundError: It is not there, and is not to be waited for.
        NotTrustedError: What is there is not a master of this user, or it refuses us.
    """
    check_label(label)
    client = Client(lambda: reach(label, master, role))
    said = False
    while True:
        try:
            client.connect()
            client.call("instance")
        except MasterNotFoundError:
            if not wait:
                raise
            if not said:
                print(f"waiting for the master of {label!r} (Ctrl-C to give up)", file=sys.stderr)
                said = True
            threading.Event().wait(PAUSE)
        else:
            return client


def is_elsewhere(options: argparse.Namespace) -> bool:
    """Return whether the command line says where the master is, by its address or a ticket.

    Records of this user may be of another job with the same label then.
    """
    return bool(options.master) or options.ticket is not None or options.ticket_fd is not None
