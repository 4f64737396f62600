"""The service of a connection whose owner may only look on; the base of those that may do more."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, NoReturn

from masterworker import wire
from masterworker.errors import InternalError, MasterworkerError, NotAllowedError
from masterworker.transport.base import LATER

if TYPE_CHECKING:
    import msgspec

    from masterworker.manager.manager import Manager
    from masterworker.transport.base import Later

logger = logging.getLogger("masterworker.session")


class Onlooker:
    """Answers questions, and changes nothing.

    A subclass allows an operation by having a method `_do_<operation>`. What has none is refused,
    so an operation that is new is allowed to nobody before somebody has thought about it.

    Args:
        manager: The task manager.
    """

    def __init__(self, manager: Manager) -> None:
        self._manager = manager
        #: Takes the reply to the call that is under way, if it may come later.
        self._later: Later | None = None

    def call(
        self,
        operation: str | None,
        args: list[Any] | msgspec.Raw | wire.Exchange,
        enclosed: wire.Enclosures | None = None,
        later: Later | None = None,
    ) -> Any:
        """Carry out one operation; arguments as of `transport.base.Service`.

        Returns:
            [True, reply], or [False, name and text of an error]; `LATER`: it comes later.
        """
        self._later = later
        try:
            checked = wire.check(operation, args)
            if enclosed is not None:
                checked = enclosed.attach(checked)
            method = getattr(self, f"_do_{operation}", None) or self._refuse(operation)
            reply = method(*checked)
        except MasterworkerError as error:
            return [False, wire.encode_error(error)]
        except Exception as error:
            logger.exception("operation %r failed", operation)
            return [False, wire.encode_error(InternalError(f"{operation}: {error!r}"))]
        return reply if reply is LATER else [True, reply]

    def closed(self) -> None:
        """The connection has ended."""

    def _refuse(self, operation: str | None) -> NoReturn:
        raise NotAllowedError(self._refusal(str(operation)))

    def _refusal(self, operation: str) -> str:
        """Say why an operation is not allowed."""
        return f"an observer may only look on: {operation!r} is refused"

    # -- operations; each returns plain values ----------------------------------------------

    def _do_instance(self, client: str) -> str:  # noqa: ARG002  guests say who they are
        return self._manager.instance

    def _do_census(self) -> dict[str, Any]:
        return self._manager.census()._asdict()

    def _do_story(self, task_id: int) -> list[str]:
        return self._manager.story(task_id)
