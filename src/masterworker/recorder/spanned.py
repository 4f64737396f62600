"""The spans of a job as they travel and are kept, and as rows for those who read them."""

from __future__ import annotations

import sys
from array import array
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Struct

from masterworker.errors import MalformedError
from masterworker.recorder.spans import KINDS, Spans

if TYPE_CHECKING:
    from collections.abc import Iterator

    from masterworker.recorder.recorder import Recorder

VERSION: Final = 1
#: Of which worker spans are asked for, who wants those of all.
ALL: Final = -1
#: The latest spans of one worker that are told.
LATEST: Final = 100
#: What is longer is no time (seconds).
_LONGEST: Final = 1e12


class Span(Struct, frozen=True):
    """What one worker, or several of one host (-1), executed. Times in seconds since the begin."""

    worker: int
    host: str
    tag: str
    begin: float
    end: float
    tasks: int
    busy: float


class Table(Struct, frozen=True):
    """Spans as columns: little-endian, of the types that `spans.KINDS` says."""

    version: int
    #: When the job began, on the clock of the columns (seconds).
    zero: float
    tags: list[str]
    hosts: list[str]
    columns: list[bytes]

    def __iter__(self) -> Iterator[Span]:
        """Yield them in the order in which they ended, about."""
        read = [_read(kind, data) for kind, data in zip(KINDS, self.columns, strict=True)]
        zero, tags, hosts = self.zero, self.tags, self.hosts
        for worker, tag, host, begin, end, tasks, busy in zip(*read, strict=True):
            if begin <= end and begin - zero > -_LONGEST and end - zero < _LONGEST:  # no NaN
                times = (begin - zero, end - zero, int(tasks), busy)
                yield Span(int(worker), hosts[int(host)], tags[int(tag)], *times)


def _read(kind: str, data: bytes) -> array[float]:
    found: array[float] = array(kind)
    found.frombytes(data)
    if sys.byteorder == "big":
        found.byteswap()
    return found


class Copied:
    """The spans of a job at one instant: copied with the scheduler's lock held."""

    def __init__(self, recorder: Recorder) -> None:
        recorder.end_spans(everything=True)
        spans = recorder.spans or Spans()
        self._columns = [column[:] for column in spans.columns]
        self._zero = recorder.begin or 0.0
        self._tags, self._hosts = [*spans.tags], [*spans.hosts]

    def table(self, worker: int = ALL) -> Table:
        """Return all of them, or the latest of one worker. Needs no lock.

        Args:
            worker: Its id.
        """
        columns = self._columns
        if worker != ALL:
            chosen = [at for at, each in enumerate(columns[0]) if each == worker][-LATEST:]
            columns = [array(c.typecode, [c[at] for at in chosen]) for c in columns]
        if sys.byteorder == "big":
            for column in columns:
                column.byteswap()
        data = [column.tobytes() for column in columns]
        return Table(VERSION, self._zero, self._tags, self._hosts, data)


def encode(table: Table) -> bytes:
    """Return spans as msgpack."""
    return msgspec.msgpack.encode(table)


def decode(data: bytes) -> Table:
    """Read spans; b"" is none.

    Raises:
        MalformedError: They cannot be read.
    """
    if not data:
        return Table(VERSION, 0.0, [], [], [b""] * len(KINDS))
    try:
        table = msgspec.msgpack.decode(data, type=Table)
        sizes = {
            len(column) / array(kind).itemsize
            for kind, column in zip(KINDS, table.columns, strict=True)
        }
        if table.version != VERSION:
            raise MalformedError(f"spans of version {table.version}: use the same masterworker")
        top = [max(_read(KINDS[n], table.columns[n]), default=-1) for n in (1, 2)]
        if len(sizes) == 1 and top[0] < len(table.tags) and top[1] < len(table.hosts):
            return table
    except (msgspec.MsgspecError, RecursionError, ValueError) as error:
        raise MalformedError(f"spans cannot be read: {error}") from None
    raise MalformedError("spans cannot be read: their columns do not fit")
