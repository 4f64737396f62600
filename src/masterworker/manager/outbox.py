"""What is to be said as soon as the manager's lock is free again, by whoever has held it.

A worker that waits for work need not have a thread that waits for it. Its reply is *postponed*:
whoever gives it leases, or has something else to tell it, sends the reply himself, at once. That
is one thread less to be woken on the way of a task, and none of the master's is kept by idle
workers but for listening.

Nothing is ever sent, and nobody woken, with the lock held: that is noted here, and done by `Guard`
when the lock has been released.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from masterworker.manager.mailbox import Mailbox

if TYPE_CHECKING:
    from collections.abc import Callable

    from masterworker import wire
    from masterworker.core.task import Finished, Lease
    from masterworker.transport.base import Later


class Postponed(Mailbox):
    """Where what comes for a worker that waits for work is made into its reply.

    Args:
        later: Takes the reply.
        claim: What it waits with.
        refused: What the reply says of the outcomes that it has delivered.
        member_id: Who waits.
        began: Since when.
        until: When it gets its reply at the latest.
        ready: Is told, with the lock held, when there is a reason to reply.
    """

    __slots__ = ("_ready", "began", "later", "member_id", "refused", "reply")

    def __init__(
        self,
        later: Later,
        claim: int,
        refused: list[int],
        member_id: int,
        began: float,
        until: float,
        ready: Callable[[Postponed], None],
    ) -> None:
        # Nobody waits here, so there is no bell: what `Mailbox` has else is set by itself.
        self.claims = [claim]
        self.leases: list[Lease] = []
        self.finished: list[Finished] = []
        self.later = later
        self.refused = refused
        self.member_id = member_id
        self.began = began
        self.until = until
        #: Set when it is ready.
        self.reply: wire.Reply | None = None
        self._ready = ready

    def ring(self) -> None:
        """There is something to say; once is enough."""
        if self.reply is None:
            self._ready(self)

    def send(self) -> None:
        """Send the reply. The lock must be free. Never raises but for a Ctrl-C."""
        try:
            self.later.send([True, self.reply])
        except BaseException:
            # Perhaps it has been sent, and perhaps not: what was to be executed there goes to
            # somebody else, as when the connection breaks by itself.
            self.later.give_up()
            raise


class Outbox:
    """Replies to be sent and mailboxes to be rung, when the lock is free.

    Filled with the lock held. Whoever comes empties it, for others, too.
    """

    def __init__(self) -> None:
        self._replies: deque[Postponed] = deque()
        self._bells: deque[Mailbox] = deque()
        #: Send a reply.
        self.send: Callable[[Postponed], None] = self._replies.append
        #: Wake somebody, when all replies are on their way.
        self.ring: Callable[[Mailbox], None] = self._bells.append

    def __bool__(self) -> bool:
        return bool(self._replies or self._bells)

    def empty(self) -> None:
        """Do all that is to be done; the lock is free."""
        while self._replies or self._bells:
            try:
                if self._replies:
                    self._replies.popleft().send()
                else:
                    self._bells.popleft().ring()
            except IndexError:  # somebody else was faster
                continue
