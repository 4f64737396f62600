"""Tasks that were asked for at once, as `map` does: one object for many outcomes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from masterworker import forks
from masterworker.core.blocks import PAGE_BITS
from masterworker.core.chunks import Chunk
from masterworker.core.task import CANCELLED, RESULT, Finished, Large
from masterworker.data.chunks import Values
from masterworker.data.items import one_by_one
from masterworker.data.outcome import open_result, value_or_error

if TYPE_CHECKING:
    from collections.abc import Callable

    from masterworker.core.task import Payload, Payloads

    #: What is to stand for an exception; None: it is raised.
    OnError = Callable[[BaseException], Any] | None

#: In the place of an outcome that has been taken.
TAKEN: Final = b""
_NO_FAILURES: Final = frozenset((RESULT, CANCELLED))
#: What every pickle of ours begins with.
PICKLE: Final = 0x80


class Batch:
    """Tasks of one tag with consecutive ids, and their outcomes as they come.

    Args:
        tag: Of all of them.
        size: How many there are.
        holds: Keep what the calls need in the store.
    """

    __slots__ = (
        "_written",
        "failed",
        "first",
        "holds",
        "left",
        "named",
        "outcomes",
        "tag",
        "watcher",
    )

    def __init__(self, tag: str, size: int, holds: tuple[object, ...] = ()) -> None:
        self.tag = tag
        self.holds = holds
        #: What a journal knows them by: their keys and digests; None: there is no journal.
        self.named: tuple[list[bytes], list[bytes]] | None = None
        #: The id of the first; as soon as it is known.
        self.first = 0
        #: For each of them nothing, a result as it came, results that came as one (in the place of
        #: each), another outcome, or `TAKEN`.
        self.outcomes: list[Payload | Values | Finished | None] = [None] * size
        #: How many have not arrived yet, and how many have failed.
        self.left, self.failed = size, 0
        #: Called with what has arrived: from where on, and how many. With the manager's lock held.
        self.watcher: Callable[[tuple[Batch, int, int]], object] | None = None
        self._written: list[tuple[int, str]] = []

    def write(self, first: int, payloads: Payloads, worker: str) -> None:
        """Results are here."""
        at, number = first - self.first, len(payloads)
        if isinstance(payloads, Chunk):
            self.outcomes[at : at + number] = [Values(payloads, at)] * number
        else:
            self.outcomes[at : at + number] = payloads
        self._written.append((at, worker))
        self._wrote(at, number)

    def write_one(self, finished: Finished) -> None:
        """An outcome is here."""
        self.outcomes[finished.task_id - self.first] = finished
        self.failed += finished.kind not in _NO_FAILURES
        self._wrote(finished.task_id - self.first, 1)

    def open_ids(self) -> list[int]:
        """Return the ids of the tasks that have no outcome; none, if they were never asked for."""
        if not self.left or not self.first:
            return []
        return [i for i, outcome in enumerate(self.outcomes, self.first) if outcome is None]

    def _wrote(self, at: int, number: int) -> None:
        self.left -= number
        if self.watcher is not None:
            self.watcher((self, at, number))

    def open_all(self, values: Values, on_error: OnError = None) -> list[Any]:
        """Take results that came as one, and return them all; the first, if they cannot be opened.

        Raises:
            Exception: As `open` of the first.
        """
        at, number = values.begin, len(values.chunk)
        try:
            opened = values.open()
        except KeyboardInterrupt:
            raise
        except BaseException:
            self.outcomes[at : at + number] = one_by_one(values.chunk)
            return [self.open(at, on_error=on_error)]
        self.outcomes[at : at + number] = [TAKEN] * number
        return opened

    def open(
        self,
        at: int,
        outcome: Payload | Finished | None = None,
        *,
        on_error: OnError = None,
    ) -> Any:
        """Take an outcome that is here (or was, when it was taken).

        Args:
            at: Which one.
            outcome: What was there.
            on_error: Returns what is returned in place of an exception; None: it is raised.

        Returns:
            The result.

        Raises:
            Exception: What the task raised, as `Future.result` would.
        """
        if outcome is None:
            found = self.outcomes[at]
            outcome = None if isinstance(found, Values) else found
            self.outcomes[at] = TAKEN
        value, error = self.open_one(at, outcome)
        if error is None:
            return value
        if on_error is None:
            raise error
        return on_error(error)

    def open_one(
        self, at: int, outcome: Payload | Finished | None
    ) -> tuple[Any, BaseException | None]:
        """Return the result of one task, or what it raised. Its outcome stays where it is."""
        if isinstance(outcome, (bytes, Large)):
            try:
                return open_result(outcome), None
            except KeyboardInterrupt:
                raise
            except BaseException:
                writers = [(begin, worker) for begin, worker in self._written if begin <= at]
                worker = max(writers, default=(0, ""))[1]
                outcome = Finished(self.first + at, self.tag, RESULT, [outcome], worker)
                value, error = value_or_error(outcome)
                if error is None:  # a signal handler has raised it
                    raise
                return value, error
        assert outcome is not None  # noqa: S101  its taker has looked
        return value_or_error(outcome)


class Batches:
    """The batches of one master that wait for outcomes, by the ids of their tasks. Thread-safe."""

    def __init__(self) -> None:
        self._lock = forks.lock()
        self._pages: dict[int, list[Batch]] = {}

    def __bool__(self) -> bool:
        return bool(self._pages)

    def add(self, batch: Batch, first: int) -> None:
        """A batch has got its ids."""
        batch.first = first
        with self._lock:
            for page in _pages_of(batch):
                self._pages.setdefault(page, []).append(batch)

    def find(self, task_id: int) -> Batch | None:
        """Return the batch that a task belongs to; None: to none."""
        with self._lock:
            for batch in self._pages.get(task_id >> PAGE_BITS, ()):
                if 0 <= task_id - batch.first < len(batch.outcomes):
                    return batch
        return None

    def tell(self) -> None:
        """No outcome comes any more: let what watches the batches look."""
        with self._lock:
            batches = {id(each): each for page in self._pages.values() for each in page}
        for batch in batches.values():
            if batch.watcher is not None:
                batch.watcher((batch, 0, 0))

    def forget(self, batch: Batch) -> None:
        """All outcomes of a batch are here."""
        with self._lock:
            for page in _pages_of(batch):
                batches = self._pages[page]
                batches.remove(batch)
                if not batches:
                    del self._pages[page]


def _pages_of(batch: Batch) -> range:
    last = batch.first + len(batch.outcomes) - 1
    return range(batch.first >> PAGE_BITS, (last >> PAGE_BITS) + 1)
