"""Serving one connection: a request comes, the service answers, and again.

Or it answers later, in another thread, which sends the reply itself. The thread of the connection
has gone back to listening then: so it also hears when the other side hangs up.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

from masterworker.errors import TransportError, UsageError
from masterworker.transport.base import LATER
from masterworker.transport.pyro import messages
from masterworker.transport.pyro.attachments import BadMessageError
from masterworker.transport.pyro.messages import LONGEST_MESSAGE, REFUSAL, REPLY, REQUEST

if TYPE_CHECKING:
    from masterworker.transport.base import Service
    from masterworker.transport.pyro.link import Link

logger = logging.getLogger("masterworker.transport")

#: The one method of the one object that is served.
METHOD: Final = "call"


class _Later:
    """Sends the reply to a request that was not answered at once.

    Args:
        link: The connection.
    """

    def __init__(self, link: Link) -> None:
        self._link = link
        #: Of the request that is to be answered.
        self.number = 0
        #: It has not been answered yet.
        self.open = False

    def send(self, reply: Any) -> None:
        """See `Later.send`."""
        self.open = False  # before it can be answered by the next request
        try:
            try:
                messages.send(self._link, REPLY, self.number, reply, at_once=True)
            except UsageError as error:
                _refuse(self._link, self.number, error, at_once=True)
        except TransportError:
            self.give_up()

    def give_up(self) -> None:
        """See `Later.give_up`."""
        self._link.hang_up()  # which wakes the thread that listens


def serve(link: Link, name: str, service: Service, most: int = LONGEST_MESSAGE) -> None:
    """Answer requests until the connection ends.

    Args:
        link: The connection.
        name: The name of the object that is served; others are unknown here.
        service: Answers.
        most: No request may have more bytes.

    Raises:
        TransportError: The connection has ended, or something else than a request has come.
    """
    later = _Later(link)
    frequent = messages.begin_of(name, METHOD, "exchange")
    while True:
        message = messages.receive(link, REQUEST, most)
        number, enclosed = message.number, message.enclosed
        if later.open:
            raise BadMessageError("a request before the reply to the one before")
        later.number, later.open = number, True
        asked = messages.read_request(message.body, frequent)
        del message  # it may be large, and the call may take its time
        if asked.object != name or asked.method != METHOD or asked.named:
            reply, flags = "unknown object or method", REFUSAL
        else:
            reply, flags = service.call(asked.operation, asked.args, enclosed, later), 0
            del enclosed
            if reply is LATER:
                link.listen()
                continue
        later.open = False
        try:
            messages.send(link, REPLY, number, reply, flags)
        except UsageError as error:
            _refuse(link, number, error)


def _refuse(link: Link, number: int, error: UsageError, *, at_once: bool = False) -> None:
    """Say why a reply cannot be sent."""
    logger.error("a reply cannot be sent: %s", error)
    message = f"the reply cannot be sent: {error}"
    messages.send(link, REPLY, number, message, REFUSAL, at_once=at_once)
