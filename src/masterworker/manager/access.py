"""Which role may call which operation: one table. `docs/security.md` shows the same one.

An operation that is not here is refused to every caller, and one that has no rule for guests goes
on to them as it is: so a new operation is a line here, and the line is the security review.
"""

from __future__ import annotations

from enum import Flag, auto
from typing import TYPE_CHECKING, Final

from masterworker import wire
from masterworker.named import NamedTuple
from masterworker.security.peer import Role

if TYPE_CHECKING:
    from masterworker.security.peer import Peer


class Caller(Flag):
    """What the process at the other end of a connection is to this job."""

    #: It may look on.
    OBSERVER = auto()
    #: A worker with a ticket, in a job that takes only data from such workers.
    DATA_GUEST = auto()
    #: A worker with a ticket: it may run on a machine that the user trusts less.
    GUEST = auto()
    #: One of this user's own processes: trusted fully.
    OWN = auto()


class Rule(NamedTuple):
    """The roles that may call an operation, and what is demanded of guests."""

    roles: Caller
    #: What a guest's call is held to. Such calls go through the method of `GuestOperations` that
    #: has the operation's name; "": as they are.
    guests: str = ""


GUESTS: Final = Caller.DATA_GUEST | Caller.GUEST
ALL: Final = Caller.OBSERVER | GUESTS | Caller.OWN
WORKERS: Final = GUESTS | Caller.OWN
#: Processes of which others unpickle what they ask for and store.
TRUSTED: Final = Caller.GUEST | Caller.OWN

ACCESS: Final = {
    "census": Rule(ALL),
    "story": Rule(ALL),
    # As texts of failures, which guests are not shown either.
    "stack": Rule(Caller.OBSERVER | Caller.OWN),
    "look": Rule(ALL, "without what failures say"),
    "spans": Rule(ALL),
    "job": Rule(ALL),
    "instance": Rule(ALL, "under a name of its own"),
    "join": Rule(WORKERS, "under names of its own; its texts are cut and can be printed"),
    "leave": Rule(WORKERS, "for itself"),
    "ping": Rule(WORKERS, "for itself"),
    "exchange": Rule(WORKERS, "for itself; outcomes of tasks that it was handed, sanitized"),
    "settle": Rule(WORKERS, "tasks that it was handed; the outcome is sanitized"),
    "give_back": Rule(WORKERS, "tasks that it was handed"),
    "tell_stack": Rule(WORKERS, "for itself"),
    "get": Rule(WORKERS),
    "acknowledge": Rule(WORKERS, "its own calls"),
    "forgo": Rule(WORKERS, "its own calls"),
    "attend": Rule(WORKERS, "one supervisor, for guests that have joined with it; sanitized"),
    "request": Rule(TRUSTED, "tags that can be printed, options within bounds"),
    "cancel": Rule(TRUSTED, "tasks that it has asked for"),
    "collect": Rule(TRUSTED, "for itself; no further tasks when its ticket has expired"),
    "put": Rule(TRUSTED, "data of users; not the program, states, definitions"),
    "drop": Rule(TRUSTED, "data of users; not the program, states, definitions"),
    "put_state": Rule(TRUSTED, "under a name of its own"),
    "drop_state": Rule(TRUSTED),
    "terminate": Rule(Caller.OWN),
}


def caller_of(peer: Peer, accept: str) -> Caller:
    """Return what a peer is to a job.

    Args:
        peer: The other end of a connection, as the transport has verified it. That it may talk to
            this job at all is for the transport to decide.
        accept: What the job takes from guests: `wire.ANYTHING` or `wire.PLAIN`.
    """
    if peer.role is not Role.WORKER:
        return Caller.OBSERVER
    if peer.of_this_user:
        return Caller.OWN
    return Caller.DATA_GUEST if accept == wire.PLAIN else Caller.GUEST


def refusal(operation: str, caller: Caller) -> str:
    """Say why an operation is refused to a caller."""
    if caller is Caller.OBSERVER:
        return f"an observer may only look on: {operation!r} is refused"
    if operation == "terminate":
        return "a worker with a ticket may not end the job"
    if operation == "stack":
        return "a worker with a ticket is not told what others are doing"
    return (
        f"a worker with a ticket may not {operation!r} in a job that takes only data from it "
        '(accept="data"): others would have to unpickle what it asks for or stores'
    )
