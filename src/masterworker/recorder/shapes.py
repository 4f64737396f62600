"""The snapshot: what all who look at a job are shown, in one declared shape.

`docs/snapshot.md` says what each field means. A field may be added at any time; `VERSION` changes
when one is taken away or gets another meaning.
"""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from masterworker.errors import MalformedError

VERSION: Final = 1


class Looked(Struct, frozen=True):
    """What a caller has already, so that it is given the difference only."""

    #: The number of its snapshot; 0: it has none.
    number: int = 0
    #: The slots of the histories that it has, and how long each is (seconds).
    slots: int = 0
    width: float = 0.0
    #: The order of the latest event that it has.
    event: int = 0


class Tag(Struct, frozen=True):
    """The tasks of one tag. Times in seconds."""

    name: str
    asked: int
    waiting: int
    #: In workers' hands, or pausing after a failure.
    in_hand: int
    done: int
    failed: int
    cancelled: int
    #: Workers that are at such tasks now, and those that could execute them.
    busy_workers: int
    able_workers: int
    #: Of all executions that have been reported.
    executed: int
    busy: float
    mean: float
    deviation: float
    median: float
    p99: float
    #: Classes of durations that are not empty: the lower end of each, and how many.
    histogram: list[tuple[float, int]]


class Worker(Struct, frozen=True):
    """One worker. Times in seconds since the job began."""

    id: int
    info: str
    host: str
    joined: float
    left: float | None
    tasks: int
    busy: float
    #: When it was last heard of.
    heard: float
    #: The tag of what it has in hand, "" for nothing; the task, where it has said so; since when.
    tag: str
    task: str
    since: float
    #: Bytes, and seconds; 0 where it is not known.
    memory: int = 0
    cpu: float = 0.0


class Host(Struct, frozen=True):
    """The workers of one host together."""

    name: str
    workers: int
    lost: int
    tasks: int
    busy: float
    memory: int = 0
    cpu: float = 0.0


class Failure(Struct, frozen=True):
    """Failures that are alike."""

    order: int
    tag: str
    type: str
    text: str
    number: int
    first: float
    last: float
    hosts: list[str]
    tasks: list[str]
    traceback: str


class Event(Struct, frozen=True):
    """Something that has happened; `number` such things, where they were joined."""

    order: int
    at: float
    kind: str
    text: str
    number: int


class History(Struct, frozen=True):
    """Tasks of one tag by the ends of slots, from `Histories.first` on."""

    done: list[float]
    failed: list[float]
    busy: list[float]
    waiting: list[float]
    workers: list[float]


class Histories(Struct, frozen=True):
    """How things stood at the end of each slot: sums so far, and tasks and workers then."""

    width: float
    first: int
    slots: int
    tags: dict[str, History]


class Forecast(Struct, frozen=True):
    """When it will be done, in seconds from now; a number that is not known is None."""

    tag: str
    left: int
    #: The tasks are not all known, so it takes at least this long.
    is_least: bool
    seconds: float | None
    earliest: float | None
    latest: float | None


class RowHead(Struct, frozen=True, array_like=True):
    """What a row of the big picture is of."""

    name: str
    #: The worker; -1: it is of hosts, ...
    worker: int
    #: ... namely of this number of them, of which the first is named.
    hosts: int


class RowCells(Struct, frozen=True, array_like=True):
    """Cells of one row, from a slot on; what follows them is empty."""

    row: int
    first: int
    #: Two bytes for each: the tag, as its place in `Snapshot.tags` plus 1, and 0 to 63 for how
    #: busy, plus 64 where a task has failed, plus 128 where a worker was lost.
    cells: bytes


class Rows(Struct, frozen=True):
    """The big picture: who was busy when. Its slots are those of the histories."""

    #: "workers" or "hosts".
    of: str
    #: Another number: rows are other ones.
    layout: int
    #: Else: what is new.
    is_whole: bool
    #: Empty: as before, if this is not whole.
    heads: list[RowHead]
    cells: list[RowCells]


def no_rows() -> Rows:
    """Return the big picture of a job of which there is none."""
    return Rows("workers", 0, True, [], [])


class Snapshot(Struct, frozen=True):
    """A job at one instant: in whole, or what is new since an earlier snapshot."""

    version: int
    #: Counts up; means nothing in another run of the manager, which has another `instance`.
    number: int
    #: The number of the snapshot that this adds to; 0: it is whole.
    base: int
    instance: str
    #: When the job began (seconds since 1970, by its master's clock), and how long ago that is.
    began: float
    age: float
    ended: bool
    note: str
    #: Of all tasks: they add up to `asked`.
    asked: int
    waiting: int
    in_hand: int
    done: int
    failed: int
    cancelled: int
    #: Attempts that were followed by another one, copies, reports that were dropped, lost workers.
    repeated: int
    copies: int
    duplicates: int
    lost: int
    #: How many workers are here, and have something in hand.
    workers: int
    busy_workers: int
    troubles: list[str]
    #: For all tasks together, and for each tag.
    forecast: Forecast
    forecasts: list[Forecast]
    tags: list[Tag]
    hosts: list[Host]
    #: Those of which something is new; all of them where this is whole.
    worker_list: list[Worker]
    failures: list[Failure]
    events: list[Event]
    histories: Histories
    rows: Rows = msgspec.field(default_factory=no_rows)
    #: Versions and settings of its master, by what they are called.
    about: dict[str, str] = msgspec.field(default_factory=dict)


def encode(snapshot: Snapshot) -> bytes:
    """Return a snapshot as msgpack."""
    return msgspec.msgpack.encode(snapshot)


def without_texts(snapshot: Snapshot) -> Snapshot:
    """Return a snapshot without what failures say: for those who are trusted less."""
    kinds = [replace(kind, text="", traceback="") for kind in snapshot.failures]
    return replace(snapshot, failures=kinds)


class _Head(Struct, frozen=True):
    version: int


def decode(data: bytes) -> Snapshot:
    """Read a snapshot.

    Raises:
        MalformedError: It is none, or of another version.
    """
    try:
        version = msgspec.msgpack.decode(data, type=_Head).version
        if version == VERSION:
            return msgspec.msgpack.decode(data, type=Snapshot)
    except (msgspec.DecodeError, RecursionError) as error:
        raise MalformedError(f"what a master says of its job cannot be read: {error}") from None
    raise MalformedError(
        f"the master shows its job in version {version}, this command reads {VERSION}: "
        "use the same masterworker"
    )
