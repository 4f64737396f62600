"""What every transport offers, and what it needs from the one it serves.

A connection carries calls: the name of an operation, plain values and large payloads, both ways. A
transport may lose a connection at any time; then the call raises `TransportError`, and the other
end is reported through `Service.closed`. Nothing else may go wrong.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    import msgspec

    from masterworker.security.peer import Peer
    from masterworker.wire import Enclosures, Exchange


class Connection(Protocol):
    """The calling end. One caller at a time, from any thread."""

    #: A processor is free: it may look for a reply a moment before it sleeps.
    may_look: bool

    def call(self, operation: str, *args: Any) -> Any:
        """Carry out an operation at the other end, and return its reply.

        Raises:
            TransportError: The connection is broken; it may or may not have been carried out.
        """

    def close(self) -> None:
        """End the connection. Safe to call twice, and from any thread."""


#: What a service answers when the reply comes later.
LATER: Final = object()


class Later(Protocol):
    """Takes the reply to a call, in any thread, once."""

    def send(self, reply: Any) -> None:
        """Send it, without waiting. A broken connection is not an error here."""

    def give_up(self) -> None:
        """There will be none: end the connection."""


class Box(Protocol):
    """Where a thread waits until another one rings."""

    #: Called when it is rung.
    also: Callable[[], None] | None

    @property
    def is_rung(self) -> bool:
        """Whether another thread has rung."""

    def do_errand(self) -> bool:
        """Do what the thread has to do that waits here, if there is anything."""


class Service(Protocol):
    """The serving end of one connection."""

    #: Operations that wait for nothing, if the reply may come later: any thread may carry them out.
    prompt: frozenset[str | None]

    def call(
        self,
        operation: str | None,
        args: msgspec.Raw | Exchange,
        enclosed: Enclosures | None = None,
        later: Later | None = None,
    ) -> Any:
        """Carry out an operation. Never raises: errors are replies.

        Args:
            operation: Its name; None: what has come is no name.
            args: As msgpack, or what is checked already.
            enclosed: The large payloads among them.
            later: Takes the reply, if it is to come later; then this returns `LATER`. None: the
                caller waits for it.
        """

    def closed(self) -> None:
        """The connection has ended, one way or the other. Called once at least."""


class ServiceFactory(Protocol):
    """Makes a service for each new connection."""

    def __call__(self, peer: Peer) -> Service:
        """Make one for a connection of this peer."""
