"""What can be done with a journal that no master writes: count, check, shorten, save, adopt."""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from typing import TYPE_CHECKING

from masterworker.core.task import FAILURE, RESULT
from masterworker.errors import JournalError
from masterworker.journal import format as layout
from masterworker.journal.aside import LargeFiles, asides_in, folder_of
from masterworker.journal.file import (
    flush_folder,
    lock,
    mapped,
    open_to_read,
    unlock_and_close,
    write_all,
)
from masterworker.journal.records import (
    Asked,
    Began,
    Code,
    Done,
    Ended,
    Forgot,
    Listens,
    Struck,
    keys_in,
)
from masterworker.journal.that_count import Exceptions
from masterworker.journal.walk import Position
from masterworker.machine import random_name
from masterworker.named import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from masterworker.journal.records import Entry, Header


class Count(NamedTuple):
    """What is in a journal."""

    header: Header
    #: Bytes of the file, and where the last whole group of its begin ends.
    size: int
    whole: int
    #: Whole groups after that: the file is damaged in between.
    later: int
    runs: list[Began]
    ended: bool
    #: Outcomes that count, by tag, and by kind.
    tags: Counter[str]
    kinds: Counter[str]


_KINDS = {RESULT: "results", FAILURE: "failures"}


def count(path: Path, key: bytes) -> Count:
    """Look through a journal; also while a master writes it.

    Raises:
        JournalError: It cannot be read, or is not this user's.
    """
    view = _view(path)
    header, at = layout.read_header(view, key)
    keyed = layout.Keyed(key, header.journal)
    runs: list[Began] = []
    whole, later, ended, expected = at, 0, True, 0
    for group in layout.groups_after(view, at, keyed):
        if group.begin == whole and group.number == expected:
            whole, expected = group.end, expected + 1
        else:
            later += 1
        for record in layout.records_of(group):
            if isinstance(record, Began):
                runs.append(record)
                ended = False
            elif isinstance(record, Ended):
                ended = True

    def records() -> Iterator[tuple[Position, Entry]]:
        for group in layout.groups_after(view, at, keyed):
            for place, record in enumerate(layout.records_of(group)):
                yield Position(group.number, place), record

    return Count(header, len(view), whole, later, runs, ended, *_count(records))


def _count(
    records: Callable[[], Iterable[tuple[Position, Entry]]],
) -> tuple[Counter[str], Counter[str]]:
    """Count the outcomes that count, by tag and by kind: each task once."""
    tags: Counter[str] = Counter()
    kinds: Counter[str] = Counter()
    exceptions = Exceptions(records())
    for position, record in records():
        if isinstance(record, Done):
            keys = keys_in(record.keys)
            number = len(exceptions.that_count(position, record.kind, keys))
            tags[record.tag] += number
            kinds[_KINDS.get(record.kind, "lost")] += number
    return +tags, +kinds


def prune(path: Path, key: bytes, to: Path | None) -> tuple[int, int]:
    """Write what counts of a journal into a new file.

    Results, the latest failure of what has no result, and the latest code of functions. From a
    damaged file whatever is whole.

    Args:
        path: The journal.
        key: The user's.
        to: The new file; None: it takes the place of the old one, which must be whole.

    Returns:
        How many bytes it had, and has.

    Raises:
        JournalError: It cannot be read or written, or a master writes it.
    """
    with locked(path) as (_, view):
        header, at = layout.read_header(view, key)
        keyed = layout.Keyed(key, header.journal)
        groups = list(layout.groups_after(view, at, keyed))
        if to is None and sum(g.end - g.begin for g in groups) != len(view) - at:
            raise JournalError(f"{path} is not whole: `prune NEW` saves what is in a new file")
        records = [record for group in groups for record in layout.records_of(group)]
        size = _write_or_say(path, to, header, key, _that_count(records))
        return len(view), size


def adopt(path: Path, key: bytes) -> None:
    """Make a journal this user's that was written with another key, without any check.

    Raises:
        JournalError: It cannot be read or written, or a master writes it.
    """
    with locked(path) as (_, view):
        header, at = layout.read_header(view, None)
        records: list[Entry] = []
        while (group := layout.unchecked_group(view, at)) is not None:
            records += layout.records_of(group)
            at = group.end
        _write_or_say(path, None, header, key, records)


# -- inside ---------------------------------------------------------------------------------


def _that_count(records: Sequence[Entry]) -> list[Entry]:
    codes = {record.name: record for record in records if isinstance(record, Code)}
    began = [record for record in records if isinstance(record, Began)]
    #: Results and the like, and what was forgotten of them, in their order.
    kept: list[Done | Forgot] = []
    #: Which of these has the outcome of a task, and how many tasks each still has.
    settled: dict[bytes, int] = {}
    left: dict[int, int] = {}
    failures: dict[bytes, Done] = {}
    strikes: dict[bytes, Struck] = {}
    for record in records:
        if isinstance(record, Struck):
            if record.key not in settled:  # else it was the last one of a task that is lost
                strikes[record.key] = record
        elif isinstance(record, (Done, Forgot)):
            for key in strikes.keys() & keys_in(record.keys):
                del strikes[key]
        if isinstance(record, Done):
            keys = keys_in(record.keys)
            if record.kind == FAILURE:
                failures.update(dict.fromkeys(keys, record))
                continue
            fresh = [key for key in keys if key not in settled]
            if fresh:
                left[len(kept)] = len(fresh)
                settled.update(dict.fromkeys(fresh, len(kept)))
                kept.append(record)
        elif isinstance(record, Forgot):
            kept.append(record)
            for key in keys_in(record.keys):
                failures.pop(key, None)
                if (place := settled.pop(key, None)) is not None:
                    left[place] -= 1
    some = {id(record): record for key, record in failures.items() if key not in settled}
    those = [r for at, r in enumerate(kept) if isinstance(r, Forgot) or left[at]]
    here = {key for r in those if isinstance(r, Done) for key in keys_in(r.keys)}
    those = [r for r in those if isinstance(r, Done) or not here.isdisjoint(keys_in(r.keys))]
    ended = [record for record in records[-1:] if isinstance(record, Ended)]
    port = [record for record in records if isinstance(record, Listens)][-1:]
    asked = [] if ended else _asked_last(records)
    # Failures first: what follows may have been their mending.
    begin: list[Entry] = [*began[-1:], *port, *asked, *codes.values()]
    return [*begin, *some.values(), *those, *strikes.values(), *ended]


def _asked_last(records: Sequence[Entry]) -> list[Asked]:
    """Return what the last run has asked for: workers may bring what they have finished of it."""
    asked: list[Asked] = []
    for record in records:
        if isinstance(record, Began):
            asked = []
        elif isinstance(record, Asked):
            asked.append(record)
    return asked


def _write_or_say(
    path: Path, to: Path | None, header: Header, key: bytes, records: Sequence[Entry]
) -> int:
    try:
        return _write(path, to, header, key, records)
    except OSError as error:
        raise JournalError(f"{to or path} cannot be written: {error.strerror}") from error


def _write(
    path: Path, to: Path | None, header: Header, key: bytes, records: Sequence[Entry]
) -> int:
    """Write a whole journal beside the old one, and put it into its place. Returns its size."""
    target = path if to is None else to
    if to is not None and os.path.lexists(to):
        raise JournalError(f"{to} is there already: name a new file")
    if to is not None:
        LargeFiles(folder_of(path), key).give(folder_of(to), asides_in(records))
    part = target.with_name(f"{target.name}.{random_name()[:8]}.part")
    # The same journal under another key has another name, so that no group fits into both.
    job = header.job or header.journal
    fresh = type(header)(random_name(), layout.name_of(key), header.created, job)
    fd = os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        end = write_all(fd, [layout.write_header(fresh, key)], 0)
        keyed = layout.Keyed(key, fresh.journal)
        for number, some in enumerate(_portions(records)):
            end = write_all(fd, layout.write_group(some, number, keyed), end)
        os.fsync(fd)
        part.rename(target)
        flush_folder(target.parent)
    except BaseException:
        with contextlib.suppress(OSError):
            part.unlink()
        raise
    finally:
        os.close(fd)
    return end


def _portions(records: Iterable[Entry]) -> Iterator[list[Entry]]:
    some: list[Entry] = []
    for record in records:
        some.append(record)
        if len(some) >= 1000:
            yield some
            some = []
    if some:
        yield some


def _view(path: Path) -> memoryview:
    fd = open_to_read(path)
    try:
        return mapped(fd)
    finally:
        os.close(fd)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[tuple[int, memoryview]]:
    """Hold the lock of a journal. Yields its descriptor, and its bytes.

    Raises:
        JournalError: It cannot be written, or a master has it.
    """
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError as error:
        raise JournalError(f"{path} cannot be changed: {error.strerror}") from error
    try:
        if not lock(fd, path):
            raise JournalError(f"a master writes {path}: wait for its end")
        yield fd, mapped(fd)
    finally:
        unlock_and_close(fd)
