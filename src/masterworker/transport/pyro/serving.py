"""Serving one connection: a request comes, the service answers, and again.

Or it answers later, in another thread, which sends the reply itself. The thread that has taken the
request has gone back to listening then. Which thread that is, and when it may wait, `reactor` says.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

from masterworker.errors import TransportError, UsageError
from masterworker.transport.base import LATER
from masterworker.transport.pyro import messages
from masterworker.transport.pyro.attachments import BadMessageError
from masterworker.transport.pyro.header import REFUSAL, REPLY, REQUEST
from masterworker.transport.pyro.messages import LONGEST_MESSAGE

if TYPE_CHECKING:
    from masterworker.transport.base import Service
    from masterworker.transport.pyro.link import Link
    from masterworker.transport.pyro.messages import Request
    from masterworker.wire import Enclosures

logger = logging.getLogger("masterworker.transport")

#: The one method of the one object that is served.
METHOD: Final = "call"
_TOO_EARLY: Final = "a request before the reply to the one before"


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
        self._link.hang_up()  # which a thread that listens notices


class Serving:
    """The serving end of one connection. One thread at a time.

    Args:
        link: The connection.
        name: The name of the object that is served; others are unknown here.
        service: Answers.
        most: No request may have more bytes.
    """

    def __init__(
        self, link: Link, name: str, service: Service, most: int = LONGEST_MESSAGE
    ) -> None:
        self._link, self._name, self._service, self._most = link, name, service, most
        self._prompt = service.prompt
        self._later = _Later(link)
        self._frequent = messages.begin_of(name, METHOD, "exchange")
        #: A request that has come and is to be carried out: its number, and what came with it.
        self._asked: tuple[int, Enclosures | None, Request] | None = None

    def answer_whole(self, data: bytes) -> bool:
        """Answer a request without waiting: its reply may be sent by another thread.

        Args:
            data: What has come.

        Returns:
            False: it may have to wait, so another thread is to call `answer_next`.

        Raises:
            TransportError: The connection has ended, or something else than a request has come.
        """
        link = self._link
        found = None if link.is_sending else messages.as_request(data, self._most)
        if found is None:
            link.keep(data)
            return False
        number, body = found
        if self._later.open:
            raise BadMessageError(_TOO_EARLY)
        asked = messages.read_request(body, self._frequent)
        if asked.operation in self._prompt:
            self._answer(number, asked, None, at_once=True)
            return True
        self._asked = number, None, asked
        return False

    def answer_next(self) -> None:
        """Answer the next request. Errors as of `answer_whole`."""
        link = self._link
        link.wait_until_sent()
        if self._asked is None:
            message = messages.receive(link, REQUEST, self._most)
            if self._later.open:
                raise BadMessageError(_TOO_EARLY)
            asked = messages.read_request(message.body, self._frequent)
            number, enclosed = message.number, message.enclosed
            del message  # it may be large, and the call may take its time
        else:
            (number, enclosed, asked), self._asked = self._asked, None
        self._answer(number, asked, enclosed, at_once=False)

    def _answer(
        self, number: int, asked: Request, enclosed: Enclosures | None, *, at_once: bool
    ) -> None:
        link, later = self._link, self._later
        later.number, later.open = number, True
        if asked.object != self._name or asked.method != METHOD or asked.named:
            reply, flags = "unknown object or method", REFUSAL
        else:
            reply, flags = self._service.call(asked.operation, asked.args, enclosed, later), 0
            if reply is LATER:
                link.listen()
                return
        later.open = False
        link.listen()
        try:
            messages.send(link, REPLY, number, reply, flags, at_once=at_once)
        except UsageError as error:
            _refuse(link, number, error, at_once=at_once)


def _refuse(link: Link, number: int, error: UsageError, *, at_once: bool = False) -> None:
    """Say why a reply cannot be sent."""
    logger.error("a reply cannot be sent: %s", error)
    message = f"the reply cannot be sent: {error}"
    messages.send(link, REPLY, number, message, REFUSAL, at_once=at_once)
