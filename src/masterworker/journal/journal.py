"""A journal as a master uses it: opened once, asked for what is kept, given what is done."""

from __future__ import annotations

import logging
import os
import time
from typing import TYPE_CHECKING, Final

from masterworker import forks
from masterworker.core.chunks import Chunk
from masterworker.core.task import CANCELLED, RESULT, ids_of
from masterworker.errors import JournalError
from masterworker.journal import format as layout
from masterworker.journal.aside import LargeFiles, folder_of
from masterworker.journal.counts import Counts
from masterworker.journal.earlier import Earlier
from masterworker.journal.file import mapped, open_file, unlock_and_close
from masterworker.journal.index import Index
from masterworker.journal.index import Place as Spot
from masterworker.journal.noted import Noted
from masterworker.journal.occurrences import Occurrences
from masterworker.journal.opening import began, open_or_make, versions
from masterworker.journal.recorder import Recorder, weight_of
from masterworker.journal.records import (
    Aside,
    Began,
    Code,
    Done,
    Ended,
    Forgot,
    Listens,
    Struck,
    keys_in,
)
from masterworker.journal.writer import Writer
from masterworker.journal.writing import Entries, Mode, Told, Writing
from masterworker.named import NamedTuple
from masterworker.security import credentials

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from masterworker.core.census import JournalCount
    from masterworker.core.task import Finished, Payload, Payloads
    from masterworker.journal.records import Entry

logger = logging.getLogger("masterworker.journal")


class Kept(NamedTuple):
    """Outcomes of tasks in a row that are kept, of one kind."""

    kind: int
    payloads: Payloads
    worker: str


class Again(NamedTuple):
    """A task is to be executed that has ended processes in earlier runs."""

    #: One line for each of these.
    losses: list[str]


class Settings(NamedTuple):
    """How a journal is kept; see `Master`."""

    path: Path
    mode: Mode = "disk"
    #: Failures are given again, and not tried again.
    keeps_failures: bool = False
    #: What to do about functions that have changed: "stop", "use" or "recompute".
    changed: str = "stop"


#: What calls this program has made, by the path of the journal: several masters in a row go on
#: counting.
_programs: Final[dict[Path, Occurrences]] = {}


class Journal:
    """The journal of one job. Thread-safe.

    Args:
        kept_as: How it is kept.
        writer: Lets it be written.

    Raises:
        JournalError: It cannot be used; says why.
    """

    def __init__(self, kept_as: Settings, writer: Callable[[Writing], Writer] = Writer) -> None:
        self.settings = kept_as
        path = self.path = kept_as.path
        self._key = layout.key_of(credentials.authority())
        self._tell: Callable[[int], object] = lambda _: None
        self._stalled: Callable[[bool], object] = lambda _: None
        self._failed: Callable[[str], object] = lambda _: None
        self._index = Index(failures=kept_as.keeps_failures)
        self._large = LargeFiles(folder_of(path), self._key, flushes=kept_as.mode == "disk")
        #: The keys of tasks that are under way, by their ids. Also written by the submitter.
        self.open_keys: dict[int, bytes] = {}
        #: What was asked for lately, and what earlier runs had asked for.
        self.noted = Noted(self.open_keys)
        self.earlier = Earlier(
            failures=kept_as.keeps_failures,
            is_kept=lambda key: self._index.has_any((key,)),
            open_keys=self.open_keys,
        )
        #: The strikes of tasks without an outcome, by their keys.
        self._strikes: dict[bytes, list[str]] = {}
        self._recorder = Recorder(self.open_keys, self._large)
        #: The code of functions, by their names, as the file has it.
        self.codes: dict[str, Code] = {}
        #: How many outcomes of each function there are.
        self.numbers: dict[str, int] = {}
        self._counts = Counts()
        self._latest: tuple[int, list[Entry]] = (-1, [])
        fd = open_file(path, create=True)
        try:
            place, keyed, self.job = open_or_make(
                *(fd, path, self._key, self._take_in, self._large)
            )
            self.earlier.complete()
        except BaseException:
            unlock_and_close(fd)
            raise
        self.occurrences = _programs.setdefault(path, Occurrences())
        self._keyed, self._fd = keyed, fd
        told = Told(self._on_stalled, self._on_failed)
        self._writing = Writing(place, keyed, kept_as.mode, told, self.noted, self._large.flush)
        self._writer = writer(self._writing)
        forks.register(self)
        self._counts.earlier = len(self._index)
        if self._counts.runs:
            now, counts = versions(), self._counts
            level = logging.WARNING if counts.has_other_python(now) else logging.INFO
            line = counts.line(place.end) + counts.changed(now)
            logger.log(level, "the journal %s has %s", path, line)

    def begin(
        self,
        run: str,
        tell: Callable[[int], object],
        stalled: Callable[[bool], object],
        failed: Callable[[str], object],
        lends: Callable[[], bool] | None = None,
    ) -> None:
        """Begin a run of the manager.

        Args:
            run: Its random name.
            tell: Is called when outcomes are kept: with how many of those that `keep` was given.
            stalled: Called with True when there is no room, and with False when there is again.
            failed: Called with the reason when nothing can be written any more.
            lends: Asks the calling thread to `write_now` soon; True: it will, as a rule.
        """
        self._tell, self._stalled, self._failed = tell, stalled, failed
        if lends is not None:
            self._writer.lends = lends
        self._writer.put(Entries(lambda: [began(run)]))

    def write_now(self) -> None:
        """Write what has come in the calling thread, if no other one does. Waits for the disk."""
        self._writer.write()

    def note_port(self, port: int) -> None:
        """The master listens there: its workers look for the next one at the same."""
        self._writer.put(Entries(lambda: [Listens(port)]))

    def __len__(self) -> int:
        return len(self._index)

    @property
    def failure(self) -> str:
        """Why nothing is kept any more; "" as long as something is."""
        return self._writing.failure

    def count(self) -> JournalCount:
        """Count what is kept; without a lock, so what comes meanwhile may be missing."""
        writing = self._writing
        trouble = writing.failure or ("there is no room on the disk" if writing.is_stalled else "")
        return self._counts.shown(self.path.name, writing.size, trouble)

    # -- what is kept -----------------------------------------------------------------------

    def is_new(self, key: bytes) -> bool:
        """Return whether nothing is known of a call: quick, and may be False all the same."""
        return not (
            self._strikes or self.earlier.told or self.occurrences.any_before or key in self._index
        )

    def is_kept(self, key: bytes) -> bool:
        """Return whether there is an outcome of an earlier run."""
        return key in self.earlier.told or self._index.has_any((key,))

    def replace(self, keys: Sequence[bytes], tag: str) -> None:
        """What is kept of these calls counts no more."""
        gone = Forgot(b"".join(keys), tag, RESULT)
        self._writer.put(Entries(lambda: [gone]))

    def recall(self, keys: Sequence[bytes]) -> list[tuple[int, Kept | Again | None]]:
        """Return what is kept of tasks in a row: parts, each with its number of tasks."""
        strikes = self._strikes
        if not strikes or strikes.keys().isdisjoint(keys):
            return self._recall(keys)
        parts: list[tuple[int, Kept | Again | None]] = []
        begin = 0
        for at, key in enumerate(keys):
            if key in strikes:
                parts += [*self._recall(keys[begin:at]), (1, Again(strikes[key]))]
                begin = at + 1
        return [*parts, *self._recall(keys[begin:])]

    def _recall(self, keys: Sequence[bytes]) -> list[tuple[int, Kept | Again | None]]:
        told = self.earlier.told
        if not self._index.has_any(keys) and (not told or told.keys().isdisjoint(keys)):
            return [(len(keys), None)] if keys else []
        places = self._index.find(keys)
        parts: list[tuple[int, Kept | Again | None]] = []
        at = 0
        while at < len(keys):
            place, end = places[at], at + 1
            if place is None and (done := told.get(keys[at])) is not None:
                parts.append((1, Kept(done.kind, done.payloads, done.worker)))
            elif place is None:
                while end < len(keys) and places[end] is None and keys[end] not in told:
                    end += 1
                parts.append((end - at, None))
            else:
                while end < len(keys) and places[end] == place._replace(
                    position=place.position + end - at
                ):
                    end += 1
                kept = self._read_or_forget(place, keys[at:end])
                self._counts.recalled += 0 if kept is None else end - at
                parts.append((end - at, kept))
            at = end
        return parts

    # -- what is done -----------------------------------------------------------------------

    def expect(self, tag: str, keys: Sequence[bytes], first: int) -> None:
        """Tasks in a row have got their ids, before any worker can have them. Does not wait."""
        self.open_keys.update(zip(range(first, first + len(keys)), keys, strict=True))
        self.noted.items.append((first, tag, len(keys)))
        self.look()
        self.earlier.expect(keys, first)

    def note_worker(self, client: str, here: bool) -> None:
        """A worker has come that would wait for another run, or it has gone. Does not wait."""
        self.noted.workers.append((client, here))
        self.look()

    def sign(self, text: str) -> bytes:
        """Return the digest of a text, which only this job can make."""
        return layout.sign(self._key, f"{self.job} {text}")

    def look(self) -> None:
        """Something was noted. Costs next to nothing."""
        if self._writer.dozes:
            self._writer.ring()

    def forget(self, finished: Iterable[Finished]) -> None:
        """Tasks were cancelled: their outcomes are not kept."""
        for done in finished:
            if done.kind == CANCELLED:
                self.open_keys.pop(done.task_id, None)

    def keep(self, finished: list[Finished], parameters: list[Payloads]) -> None:
        """Keep outcomes, and tell of it. Does not wait: may be called with any lock held.

        Args:
            finished: The outcomes.
            parameters: What the parameters of each were.
        """
        self.earlier.brought(finished)
        number = len(finished)

        def make() -> list[Entry]:
            return self._recorder.records(finished, parameters)

        self._writer.put(Entries(make, lambda: self._kept(finished, number), weight_of(finished)))

    def struck(self, strikes: list[tuple[int, list[str]]]) -> None:
        """Keep which strikes tasks have now. Does not wait, as `keep`."""
        known = self.open_keys
        records: list[Entry] = [Struck(known[n], each) for n, each in strikes if n in known]
        if records:
            self._writer.put(Entries(lambda: records))

    def note_code(self, code: Code) -> None:
        """Keep the source of a function."""
        self.codes[code.name] = code
        self._writer.put(Entries(lambda: [code]))

    def close(self, seconds: float) -> bool:
        """Write what has come, and let another master have the journal. False: not in this time."""
        self._writer.put(Entries(lambda: [Ended(time.time())]))
        done = self._writer.close(seconds)
        if self._fd >= 0 and self._writer.has_ended:
            # Not before: its number would be another file's, into which the writer would write.
            unlock_and_close(self._fd)
            self._fd = -1
        return done

    def after_fork(self) -> None:
        """A fork lets go of the file: the lock is its parent's."""
        if self._fd >= 0:  # else it was closed before
            os.close(self._fd)
            self._fd = -1

    # -- inside -----------------------------------------------------------------------------

    def _take_in(self, record: Entry, offset: int, number: int) -> None:
        self.earlier.take_in(record)
        strikes = self._strikes
        if isinstance(record, Struck):
            strikes.pop(record.key, None)
            if record.losses and not self._index.has_any((record.key,)):  # else it was the last one
                strikes[record.key] = record.losses
            return
        if strikes and isinstance(record, (Done, Forgot)):
            for key in strikes.keys() & keys_in(record.keys):
                # A failure has not ended its process, and is tried again with a new beginning.
                del strikes[key]
        if isinstance(record, Done):
            self._index.add(record, offset, number)
            if self._index.counts(record):
                self.numbers[record.tag] = self.numbers.get(record.tag, 0) + len(record.payloads)
        elif isinstance(record, Forgot):
            # Also failures are forgotten, of which none was counted.
            number = self._index.forget(keys_in(record.keys))
            if record.tag in self.numbers:
                self.numbers[record.tag] -= number
        elif isinstance(record, Code):
            self.codes[record.name] = record
        elif isinstance(record, Began):
            self._counts.began(record.versions)
        elif isinstance(record, Ended):
            self._counts.ended = True

    def _read_or_forget(self, place: Spot, keys: Sequence[bytes]) -> Kept | None:
        """Return outcomes from the file; None: a file beside it is gone."""
        done = self._record_at(place)
        kept = self._read(done, place.position, len(keys))
        if kept is None:
            self._index.forget(keys)
            # Else the next run would find them again, and not what is computed now.
            self.replace(keys, done.tag)
        return kept

    def _record_at(self, place: Spot) -> Done:
        offset = place.offset
        known, records = self._latest
        if known != offset:
            group = layout.read_group(mapped(self._fd), offset, self._keyed)
            if group is None:
                raise JournalError(f"the journal {self.path} was changed while it is in use")
            records = layout.records_of(group)
            self._latest = offset, records
        done = records[place.record]
        assert isinstance(done, Done)  # noqa: S101  the index says so
        return done

    def _read(self, done: Done, position: int, number: int) -> Kept | None:
        part = done.payloads[position : position + number]
        if isinstance(part, Chunk):
            return Kept(done.kind, part, done.worker)
        payloads: list[Payload] = []
        for each in part:
            payload = self._large.read(each) if isinstance(each, Aside) else each
            if payload is None:
                logger.warning(
                    "a large result of the journal %s is gone or was changed: task %s is executed",
                    *(self.path, done.tag),
                )
                return None
            payloads.append(payload)
        return Kept(done.kind, payloads, done.worker)

    def _kept(self, finished: Iterable[Finished], number: int) -> None:
        for done in finished:
            for each in ids_of(done):
                key = self.open_keys.pop(each, None)
                self._counts.written += key is not None
                if each < 0 and key is not None:
                    self.earlier.kept(key)
        self._tell(number)

    def _on_stalled(self, stalled: bool) -> None:
        self._stalled(stalled)

    def _on_failed(self, reason: str) -> None:
        self._failed(reason)
