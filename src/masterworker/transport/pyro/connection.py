"""The calling end of a Pyro conversation."""

from __future__ import annotations

import os
import socket
import time
from typing import TYPE_CHECKING, Any, Final

from masterworker.errors import MasterNotFoundError, TransportError
from masterworker.transport.address import object_name
from masterworker.transport.dialing import CONNECT_TIMEOUT, dial
from masterworker.transport.pyro import messages
from masterworker.transport.pyro.attachments import BadMessageError
from masterworker.transport.pyro.header import REFUSAL, REPLY, REQUEST
from masterworker.transport.pyro.link import STALL
from masterworker.transport.pyro.links import link_over
from masterworker.transport.pyro.serving import METHOD
from masterworker.wire import LONGEST_WAIT

if TYPE_CHECKING:
    from collections.abc import Callable

    from masterworker.security.credentials import Credential
    from masterworker.transport.address import Address

#: A worker whose last reply took less than this (seconds) ...
QUICK: Final = 250e-6
#: ... looks for the next one for this time before it sleeps: a master that asks for one task after
#: the other takes 60 to 100 us until the next, and to wake a process takes a third of that.
LOOK: Final = 200e-6

#: Requests are numbered from 0 to this.
_LAST = 0xFFFF


class PyroConnection:
    """A connection to a master.

    Args:
        sock: A socket that is connected to it, behind its gate.
        label: Which of its task managers is meant.
    """

    def __init__(self, sock: socket.socket, label: str) -> None:
        #: The other side is on this machine, and of the same user.
        self.is_private = sock.family == socket.AF_UNIX
        self._link = link_over(sock, LONGEST_WAIT + STALL, patient=False)
        self._label = label
        self._object = object_name(label)
        self._number = 0
        #: See `Connection.may_look`; of use only where this process and the master share a machine.
        self.may_look = False
        self._has_processors = self.is_private and _usable_processors() > 1
        #: The last reply came at once.
        self._was_quick = False

    def call(self, operation: str, *args: Any) -> Any:
        """See `Connection.call`."""
        number = self._number = (self._number + 1) & _LAST
        request: tuple[Any, ...] = (self._object, METHOD, (operation, args), {})
        try:
            link = self._link
            messages.send(link, REQUEST, number, request)
            if self._has_processors:
                began = time.perf_counter()
                if self.may_look and self._was_quick:
                    link.look(LOOK)
                answer = messages.receive(link, REPLY)
                self._was_quick = time.perf_counter() - began < QUICK
            else:
                answer = messages.receive(link, REPLY)
            refused = answer.flags & REFUSAL
            reply: Any = (
                messages.read_refusal(answer.body)
                if refused
                else messages.read_reply(operation, answer.body, answer.enclosed)
            )
        except BadMessageError as error:
            raise MasterNotFoundError(
                f"what listens at this address is no master ({error})"
            ) from None
        except TransportError as error:
            raise TransportError(f"the connection to the master broke: {error}") from None
        if answer.number != number:
            raise TransportError("the connection to the master broke: a reply to something else")
        if refused:
            raise MasterNotFoundError(
                f"no task manager with label {self._label!r} is at this address ({reply})"
            )
        return reply

    def close(self) -> None:
        """See `Connection.close`."""
        self._link.close()


def connect(
    address: Address,
    label: str,
    timeout: float = CONNECT_TIMEOUT,
    credential: Callable[[], Credential] | None = None,
) -> PyroConnection:
    """Connect to a master; arguments and errors as for `dial`.

    Args:
        address: Where; its Unix-domain socket is used if it has one.
        label: The label of the task manager.
        timeout: Seconds to get a connection.
        credential: Gives what we prove ourselves with; None: this user's own, as a worker.
    """
    return PyroConnection(dial(address, timeout, credential), label)


def _usable_processors() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
