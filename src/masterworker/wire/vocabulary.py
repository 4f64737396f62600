"""Numbers and names that processes of a job agree on."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

#: Version of everything in this package. Two processes with different ones do not talk.
PROTOCOL = 9

#: Seconds that the manager keeps a call waiting, at most. Each return is a sign of life of the
#: connection, so this is also the longest heartbeat.
LONGEST_WAIT = 5.0

#: Orders to a worker, given with any reply to `exchange`.
#: Leave. Argument: when its ticket has ended (seconds since 1970); 0: the job is over.
STOP = "stop"
FORGET = "forget"  # a state has been deleted; argument: its id
REJOIN = "rejoin"  # it is not registered (any more): join again
RENEW = "renew"  # the master has loaded a module again; argument: see `RELOADED`
CANCEL = "cancel"  # do not execute that task, or break it off; argument: its id
STACK = "stack"  # say where that task is; argument: its id
REVOKE = "revoke"  # give back what has not begun; argument: the task that is meant
#: An order to a supervisor: let that worker ask for the orders that it has been left.
LISTEN = "listen"

#: What a caller that waits for an outcome would execute meanwhile: nothing, a task of any tag, or
#: only one of the tag that it waits for (since many of its own tasks wait already).
NOTHING, ANY, AWAITED = 0, 1, 2

#: Spaces of stored data: what users store, states, our own things, and what functions refer to are
#: kept apart.
DATA, STATES, PROGRAM, DEFINITIONS = "data", "states", "program", "definitions"

#: Names of our own things: where the master imports from at this moment, and, with a number behind
#: it, the name of a module that it has loaded again.
IMPORT_PATH, RELOADED = "import path", "reloaded "

#: What results may be: anything that can be pickled, or plain data alone.
ANYTHING, PLAIN = "any", "data"

Number = Annotated[int, Meta(ge=0)]
Tag = Annotated[str, Meta(min_length=1, max_length=1 << 20)]
Name = Annotated[str, Meta(max_length=1 << 20)]
