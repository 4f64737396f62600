"""What is to be said as soon as the manager's lock is free again.

A process that waits for work, for outcomes or for orders has no thread that waits for it. Its reply
is *deferred*: the thread whose step gives it something sends the reply itself, at once. That is one
thread less to be woken on the way of a task, and idle workers keep no thread of the master but for
listening.

Nothing is ever sent, and no thread woken, with the lock held: that is noted here, and done by
`Guard` when the lock has been released.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from masterworker import wire
from masterworker.errors import MasterworkerError

if TYPE_CHECKING:
    from collections.abc import Callable

    from masterworker.awaits.loops import Bell
    from masterworker.transport.base import Later


class Outbox:
    """Replies to be sent and mailboxes to be rung, when the lock is free.

    Filled with the lock held. Each thread that has released it empties this, for others, too.
    """

    def __init__(self) -> None:
        self.replies: deque[tuple[Later, Any]] = deque()
        self.bells: deque[Bell] = deque()
        #: Send a reply.
        self.send: Callable[[tuple[Later, Any]], None] = self.replies.append
        #: Wake a thread, when all replies are on their way.
        self.ring: Callable[[Bell], None] = self.bells.append

    def empty(self) -> None:
        """Do all that is to be done; the lock is free."""
        replies, bells = self.replies, self.bells
        while replies or bells:
            try:
                if replies:
                    send(*replies.popleft())
                else:
                    bells.popleft().ring()
            except IndexError:  # another thread was faster
                continue


def send(later: Later, reply: Any) -> None:
    """Send a deferred reply. Never raises but for a Ctrl-C."""
    try:
        if isinstance(reply, MasterworkerError):
            later.send([False, wire.encode_error(reply)])
        else:
            later.send([True, reply])
    except BaseException:
        # Perhaps it has been sent, and perhaps not: what was to be executed there goes to another
        # worker, as when the connection breaks by itself.
        later.give_up()
        raise
