"""The client's half of numbered calls: what is said before a call, and what is said again.

Plain state, without a connection: it says which message comes next, and is told what became of it.
`once` and `collect` are generators, which yield messages and are sent the replies, or have thrown
into them what a call has failed with. The shell (`masterworker.client`) has the connection and one
lock around each of them; the simulation drives this very object.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from masterworker.errors import NotRegisteredError, TransportError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from masterworker.core.task import Finished, Lease

    #: An operation and its arguments.
    Message = tuple[Any, ...]


class Caller:
    """What a client remembers of its calls.

    Args:
        name: Random name of the client, by which the manager recognises repeated calls.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        #: Of the last numbered call.
        self.number = 0
        #: A numbered call that was given up without an answer, which the manager has to be told
        #: first of all; 0: none.
        self.unanswered = 0
        #: Which run of the manager this process has joined; "" for none.
        self.instance = ""
        #: The present connection leads to that one.
        self.checked = False

    def become(self, name: str) -> None:
        """Be another client, after a fork."""
        self.name, self.number, self.unanswered = name, 0, 0

    def before(self, operation: str) -> Message | None:
        """Return what has to be said before an operation; None: nothing more."""
        # A process may join whichever run of the manager it is. Where that refuses it, it is a
        # member of the other one still, and its numbers mean nothing here.
        if self.instance and not self.checked and operation != "join":
            return "instance", self.name
        if self.unanswered and operation != "forgo":
            return "forgo", self.name, self.unanswered
        return None

    def said(self, message: Message, reply: Any) -> None:
        """What had to be said before an operation was said.

        Raises:
            NotRegisteredError: The connection leads to another run of the manager, to which numbers
                of tasks and processes mean nothing; or worse, something else.
        """
        if message[0] == "forgo":
            self.unanswered = 0
        elif reply != self.instance:
            raise NotRegisteredError("the master is another one by now")
        else:
            self.checked = True

    def joined(self, instance: str) -> None:
        """The manager has let this process in."""
        self.instance, self.checked = instance, True

    def once(self, operation: str, args: tuple[Any, ...]) -> Generator[Message, Any, Any]:
        """Carry out an operation that must not be carried out twice, also over a lost reply."""
        self.number += 1
        number = self.number
        message = operation, self.name, number, *args
        try:
            try:
                return (yield message)
            except TransportError:
                return (yield message)
        except BaseException:
            # An earlier one goes first, and this one has not been sent: that had to be said before.
            self.unanswered = self.unanswered or number
            raise

    def collect(
        self, args: tuple[Any, ...], is_wanted: Callable[[], bool]
    ) -> Generator[Message, Any, tuple[list[Finished], list[Lease]]]:
        """Collect outcomes, and say that they have arrived, or are not wanted any more."""
        finished, leases = yield from self.once("collect", args)
        if not finished:
            return finished, leases
        number = self.number
        if not is_wanted():
            self.unanswered = number  # until it is said: the connection may break
            yield "forgo", self.name, number
            self.unanswered = 0
            return [], leases
        for _ in range(2):
            try:
                yield "acknowledge", self.name, number
                break
            except TransportError:
                pass
        return finished, leases
