"""Requests and replies of several fields, and what is in them. They travel as arrays."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, field
from msgspec.structs import replace

from masterworker.core.grain import Spent  # noqa: TC001  as the next ones, decoders look at it
from masterworker.core.options import Options  # noqa: TC001
from masterworker.core.task import Finished, Lease, Outcome, Payload, Proof, Travels
from masterworker.wire.vocabulary import ANYTHING, NOTHING, Name, Number, Tag

#: An order to a worker and its argument: see `STOP` and its neighbours.
Order = tuple[str, int]

#: An order to a supervisor: its name, which member, which task.
SupervisorOrder = tuple[str, int, int]

#: What a process uses: which member, bytes of memory, seconds of processor time so far.
Usage = tuple[int, int, float]

#: A process that executes, and whose own threads do not run: which member, since how many seconds.
Still = tuple[int, float]

#: What a process that collects gets: outcomes, or tasks to execute meanwhile.
Collected = tuple[list[Finished], list[Lease]]


def number_of_run(instance: str) -> int:
    """Return a number for the random name of a run of the manager: less than 2**56, never 0."""
    return int.from_bytes(instance[:7].encode(), "big")


class Hello(Travels, frozen=True):
    """How a process introduces itself when it joins."""

    protocol: int
    #: Major and minor version of Python, as "3.11".
    python: str
    #: Version of masterworker, for messages.
    version: str
    #: Digest of the slave program that it runs; "" where it brought its own.
    program: str
    #: One line: process id, host, machine.
    info: str
    #: What it can execute; None: everything that is asked for by tag.
    tags: list[Tag] | None
    #: Seconds between signs of life; None: not watched.
    heartbeat: Annotated[float, Meta(gt=0)] | None
    #: Random name of this process run, by which repeated calls are recognised.
    client: str
    #: Random name of the supervisor that watches this process; "" for none.
    supervisor: str = ""
    #: It outlives its master, and waits for one that may come back.
    waits: bool = False


class Asker(Travels, frozen=True):
    """Which run of the manager is at the other end of a new connection? Reply: its random name."""

    #: The random name of `Hello`; "" for a process that has not joined.
    client: Name = ""


class Welcome(Travels, frozen=True):
    """The reply to `Hello`."""

    member_id: int
    #: Random name of this run of the manager: task ids mean nothing in another run.
    instance: str
    #: What this process may deliver as results: `ANYTHING` or `PLAIN`.
    results: str = ANYTHING
    #: The random name of the job, if its master may come back as another run; "": it does not.
    job: str = ""


class Exchange(Travels, frozen=True):
    """A worker's one call: it delivers outcomes, gives leases back, and gets new ones."""

    member_id: int
    #: Of tasks that it has executed.
    outcomes: list[Outcome] = field(default_factory=list)
    #: Ids of tasks that it has not started.
    returned: list[int] = field(default_factory=list)
    #: Id of the task that it is executing; 0 for none.
    started: Number = 0
    #: The most tasks that it wants (of `tag`, if given).
    want: Number = 0
    #: Seconds to wait for one, at most.
    wait: float = 0.0
    #: Only tasks of this tag.
    tag: Tag | None = None
    #: About how much work it wants (seconds); 0.0: that many tasks, however long they take.
    seconds: float = 0.0
    #: How long tasks took whose outcomes it delivers.
    spent: tuple[Spent, ...] = ()
    #: The outcomes are of tasks of this earlier run of the manager; "": of the present one.
    run: Name = ""
    #: That these tasks were handed to this process then, where it has a ticket.
    proofs: list[Proof] = field(default_factory=list)


class Reply(Travels, frozen=True):
    """The reply to `Exchange`."""

    #: Ids of the tasks whose outcome was not accepted: too late, or twice.
    refused: list[int]
    leases: list[Lease]
    orders: list[Order]
    #: Seconds that the manager let the caller wait for work.
    waited: float
    #: A processor is free: the caller may look for the next reply a moment before it sleeps.
    may_look: bool = False
    #: When outcomes are kept up to here, those that it has delivered are: a count since the
    #: manager's begin. 0: they are not kept, or nothing has come yet.
    mark: Number = 0
    #: Up to where they are kept now.
    kept: Number = 0


class Submission(Travels, frozen=True):
    """A numbered call that asks for tasks of one tag. Reply: the id of the first."""

    client: Name
    number: int
    tag: Tag
    #: The parameters of each.
    payloads: list[Payload]
    options: Options | None = None
    #: The task that the client executes, for which their outcomes are kept; 0: none.
    task_id: Number = 0


class Collect(Travels, frozen=True):
    """A numbered call that picks up outcomes in the order of their arrival. Reply: `Collected`."""

    client: Name
    number: int
    member_id: int
    #: Only outcomes of tasks of this tag.
    tag: Tag | None = None
    #: How many are wanted, at most.
    want: Number = 1
    #: Seconds to wait for one, at most.
    wait: float = 0.0
    #: What the caller would execute meanwhile: `NOTHING`, `ANY` or `AWAITED`.
    lend: Number = NOTHING
    #: The task that the client executes: it gets the outcomes that are kept for it; 0: none.
    task_id: Number = 0


class Ending(Travels, frozen=True):
    """What a supervisor reports of a worker process that has ended."""

    #: As what it had joined; -1: it never did.
    member_id: int
    #: One line: process id, host, machine.
    info: str
    #: The task that it was executing; 0 for none.
    task_id: int
    #: Signal or exit status, memory, as text.
    how: str
    #: It ended by itself, perhaps because of what it executed; it was not asked to.
    blame: bool
    #: The last lines that it wrote to stderr.
    tail: str
    #: Where the supervisor itself has ended it for that task: the outcome (kind, payload).
    outcome: tuple[int, bytes] | None = None
    #: It has; False: it is only stopped, and may be continued.
    ended: bool = True
    #: `number_of_run` of the manager that its ids are of, as the process knew it; 0: not known.
    run: int = 0


class Attendance(Travels, frozen=True):
    """What a supervisor reports, to ask for orders. Reply: a list of `SupervisorOrder`."""

    #: Random name of the supervisor.
    name: Name
    #: The members whose processes are well.
    alive: list[int]
    #: Processes that have ended since.
    endings: list[Ending]
    #: Seconds to wait for an order, at most.
    wait: float
    #: What processes use, now and then.
    usage: list[Usage] = field(default_factory=list)
    #: Processes that do nothing but execute: their task holds the interpreter's lock.
    still: list[Still] = field(default_factory=list)
    #: Why its processes are no forks of a template, in one line; "": they are.
    ways: str = ""
    #: `number_of_run` of the manager that these members are of, but for `endings`, which say it
    #: themselves; 0: not known.
    run: int = 0

    def of_run(self, run: int) -> Attendance:
        """Return what is said of a run of the manager: numbers of another mean something else."""
        endings = [ending for ending in self.endings if ending.run in {0, run}]
        if self.run in {0, run} and len(endings) == len(self.endings):
            return self
        if self.run in {0, run}:
            return replace(self, endings=endings)
        return replace(self, alive=[], endings=endings, usage=[], still=[])
