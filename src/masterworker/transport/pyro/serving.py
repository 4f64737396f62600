"""Serving one connection: a request comes, the service answers, and again."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from masterworker.errors import UsageError
from masterworker.transport.pyro import messages
from masterworker.transport.pyro.messages import LONGEST_MESSAGE, REFUSAL, REPLY, REQUEST

if TYPE_CHECKING:
    from masterworker.transport.base import Service
    from masterworker.transport.pyro.link import Link

logger = logging.getLogger("masterworker.transport")

#: The one method of the one object that is served.
METHOD: Final = "call"


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
    while True:
        _, number, body, enclosed = messages.receive(link, REQUEST, most)
        asked, method, operation, args, named = messages.read_request(body)
        del body  # it may be large, and the call may take its time
        if asked != name or method != METHOD or named:
            messages.send(link, REPLY, number, "unknown object or method", REFUSAL)
            continue
        reply = service.call(operation, args, enclosed)
        del enclosed
        try:
            messages.send(link, REPLY, number, reply)
        except UsageError as error:
            logger.error("the reply to %r cannot be sent: %s", operation, error)  # noqa: TRY400
            messages.send(link, REPLY, number, f"the reply cannot be sent: {error}", REFUSAL)
