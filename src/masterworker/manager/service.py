"""The manager's side of one connection: calls come in, allowed ones are carried out."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final, NoReturn

from masterworker import wire
from masterworker.errors import InternalError, MasterworkerError, NotAllowedError
from masterworker.manager.access import ACCESS, GUESTS, caller_of, refusal
from masterworker.manager.operations import Operations
from masterworker.transport.base import LATER

if TYPE_CHECKING:
    from collections.abc import Callable

    import msgspec

    from masterworker.manager.guest_operations import GuestOperations
    from masterworker.manager.manager import Manager
    from masterworker.security.peer import Peer
    from masterworker.transport.base import Later

#: What waits for nothing but the manager's lock, where its reply may come later.
PROMPT: Final = frozenset[str | None](
    {"acknowledge", "attend", "collect", "exchange", "forgo", "instance", "leave", "ping", "stack"}
)

logger = logging.getLogger("masterworker.session")


class Service:
    """Carries out what the process at the other end of a connection may do. See `access`.

    Args:
        manager: The task manager.
        peer: The other end, as the transport has verified it.
    """

    #: See `transport.base.Service`.
    prompt = PROMPT

    def __init__(self, manager: Manager, peer: Peer) -> None:
        self._caller = caller_of(peer, manager.accept)
        replies = manager.guests.replies if self._caller in GUESTS else manager.replies
        self._operations = operations = Operations(manager, replies)
        self._front: Operations | GuestOperations = operations
        if self._caller in GUESTS:
            # Most jobs have no guests, so what serves them is not loaded before one comes.
            from masterworker.manager.guest_operations import GuestOperations

            self._front = GuestOperations(manager, operations, peer, self._caller)
        #: What the caller may do, by name.
        self._allowed: dict[str | None, Callable[..., Any]] = {
            name: getattr(self._front if rule.guests else operations, name)
            for name, rule in ACCESS.items()
            if self._caller in rule.roles
        }

    def closed(self) -> None:
        """The connection has ended."""
        self._front.closed()

    def call(
        self,
        operation: str | None,
        args: msgspec.Raw | wire.Exchange,
        enclosed: wire.Enclosures | None = None,
        later: Later | None = None,
    ) -> Any:
        """Carry out one operation; arguments as of `transport.base.Service`.

        Returns:
            [True, reply], or [False, name and text of an error]; `LATER`: it comes later.
        """
        try:
            checked = wire.check(operation, args)
            if enclosed is not None:
                checked = enclosed.attach(checked)
            carry_out = self._allowed.get(operation) or self._refuse(operation)
            self._operations.later = later
            reply = carry_out(*checked) if checked.__class__ is tuple else carry_out(checked)
        except MasterworkerError as error:
            return [False, wire.encode_error(error)]
        except Exception as error:
            logger.exception("operation %r failed", operation)
            return [False, wire.encode_error(InternalError(f"{operation}: {error!r}"))]
        return reply if reply is LATER else [True, reply]

    def _refuse(self, operation: str | None) -> NoReturn:
        raise NotAllowedError(refusal(str(operation), self._caller))
