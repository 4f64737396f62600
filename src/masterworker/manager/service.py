"""Who gets which service: full trust, a guest's, or a look."""

from __future__ import annotations

from typing import TYPE_CHECKING

from masterworker import wire
from masterworker.manager.onlooker import Onlooker
from masterworker.manager.session import Session
from masterworker.security.peer import Role

if TYPE_CHECKING:
    from masterworker.manager.manager import Manager
    from masterworker.manager.replies import Replies
    from masterworker.security.peer import Peer
    from masterworker.transport.base import Service


def service_for(manager: Manager, replies: Replies, peer: Peer) -> Service:
    """Make the service of one connection.

    Args:
        manager: The task manager.
        replies: Shared by all sessions of processes of this user.
        peer: Who is at the other end, as the transport has verified. That it may talk to this job
            at all is for the transport to decide.

    Returns:
        A `Session` for the user's own workers; for workers with a ticket a `Helper`, or a mere
        `Guest` where only data is taken from them; an `Onlooker` for everybody else.
    """
    if peer.role is not Role.WORKER:
        return Onlooker(manager)
    if peer.of_this_user:
        return Session(manager, replies)
    # Most jobs have no guests, so what serves them is not loaded before one comes.
    from masterworker.manager.guest import Guest
    from masterworker.manager.helper import Helper

    kind = Guest if manager.results == wire.PLAIN else Helper
    return kind(manager, peer)
