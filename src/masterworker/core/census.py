"""The counts of a job, as they are shown and as they travel."""

from __future__ import annotations

import msgspec

from masterworker.named import NamedTuple


class Process(NamedTuple):
    """A process that has joined."""

    #: The number under which the manager knows it.
    member_id: int
    #: Its line of information: process id, host, machine.
    info: str
    #: How many tasks it has in its hands.
    tasks: int


class JournalCount(NamedTuple):
    """What the journal of a job has."""

    #: The name of its file.
    name: str
    #: Outcomes of earlier runs, how many of them have been given again, and those of this run.
    earlier: int
    recalled: int
    written: int
    #: Outcomes that are not kept yet, and told of when they are.
    waiting: int
    #: Of the file (bytes), without those beside it.
    size: int
    #: The run before this one, if there was one, has ended in good order.
    ended: bool
    #: Why nothing is kept, for now or for good; "": it is.
    trouble: str


class Census(msgspec.Struct, frozen=True):
    """How many tasks are where, at one instant: they add up to `submitted`."""

    #: By tag: in a queue, in a worker's hands, and with an outcome to be picked up.
    waiting: dict[str, int]
    running: dict[str, int]
    finished: dict[str, int]
    submitted: int
    delivered: int
    #: Tags that wait although no process that is here can execute them.
    stranded: list[str]
    processes: list[Process]
    duplicates: int
    #: Of the tasks that are settled: how many have a result, have failed (or were given up), and
    #: were cancelled.
    done: int
    failed: int
    cancelled: int
    #: How many of those that wait pause after a failure.
    paused: int
    #: What keeps the job from going on, in sentences.
    troubles: list[str]
    #: None: it has no journal.
    journal: JournalCount | None = None
