"""Requests of a job with a journal: what is kept is not asked for again."""

from __future__ import annotations

import time
from collections import deque
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from masterworker.conversation.submissions import Again as AskedAgain
from masterworker.conversation.submissions import Recalled
from masterworker.data.chunks import is_small
from masterworker.data.items import one_by_one
from masterworker.data.states import StateValue
from masterworker.errors import JournalError, UsageError
from masterworker.journal.calls import CallDigests, kind_of, name_of, parameter
from masterworker.journal.journal import Again, Kept
from masterworker.journal.watched import watched, watched_names
from masterworker.master.batching import QUICK, SLOW_BATCH
from masterworker.master.known_code import KnownCode
from masterworker.master.task_options import check_key
from masterworker.master.untold import Untold

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from masterworker.core.options import Options
    from masterworker.core.task import Payload, Payloads
    from masterworker.journal.journal import Journal
    from masterworker.manager import Manager
    from masterworker.master.batching import Batcher
    from masterworker.master.future import Future
    from masterworker.master.results import ResultRouter


class Journaled:
    """The journal of a job, as its requests use it. Thread-safe.

    Args:
        journal: Has what is kept.
        manager: Where requests go.
        router: Where futures wait for outcomes.
    """

    def __init__(self, journal: Journal, manager: Manager, router: ResultRouter) -> None:
        self.journal = journal
        self._manager, self._router = manager, router
        #: The digests of stored values, by state and name.
        self._values: dict[tuple[int, str], bytes] = {}
        self.calls = CallDigests(self._of_stored)
        #: Functions and tags whose parameters have been looked at in use.
        self._watched: set[Any] = set()
        self.code = KnownCode(journal)

    def digests(
        self, what: Callable[..., Any] | str, calls: Iterable[Sequence[Any]], salt: object = None
    ) -> list[bytes]:
        """Return the digests of calls; see `CallDigests.of`.

        Args:
            what: The function, or the tag.
            calls: The parameters of each.
            salt: What else tells them apart from others.
        """
        return self.calls.of(what, calls, (self.code.generation(what), salt))

    def digest(
        self,
        what: Callable[..., Any] | str,
        args: Sequence[Any],
        kwargs: dict[str, Any] | None = None,
        salt: object = None,
        key: str | None = None,
    ) -> bytes:
        """Return the digest of one call, or of its key where it has one."""
        self.code.look_at(what)
        generation = self.code.generation(what)
        if key is not None:
            return self.calls.of(what, [(key,)], (generation, (salt, "key")))[0]
        return self.calls.of_call(what, args, kwargs or {}, (generation, salt))

    def stored(self, state_id: int, values: Mapping[str, Any]) -> None:
        """Values are stored, which calls refer to: what they are is in the keys of those.

        Raises:
            UsageError: One of them cannot be told apart from others.
        """
        for name, value in values.items():
            self._values[state_id, name] = self.calls.of(f"value {name}", [(value,)])[0]

    def submit(
        self,
        digest: bytes,
        tag: str,
        payload: Payload,
        options: Options | None,
        future: Future[Any],
    ) -> None:
        """Ask for a call, or give its future what is kept."""
        key = self.journal.occurrences.key(digest)
        if self.journal.is_new(key):
            self._ask(key, tag, payload, options, future)
            return
        keys = [key]
        ((_, kept),) = self.recall(keys, tag)
        if isinstance(kept, Again):
            future.number = self._manager.request(
                *(tag, (payload,), options),
                direct=True,
                expect=self.expecting(tag, keys, partial(self._router.expect, future)),
                recalled=AskedAgain(kept.losses),
            )
            return
        if kept is None:
            self._ask(key, tag, payload, options, future)
            return
        future.number = self._manager.request(
            *(tag, kept.payloads, options),
            direct=True,
            expect=partial(self._router.expect, future),
            recalled=Recalled(kept.kind, kept.worker),
        )

    def recall(self, keys: Sequence[bytes], tag: str) -> list[tuple[int, Kept | Again | None]]:
        """Return what is kept of calls that are about to be made; see `Journal.recall`."""
        parts = self.journal.recall(keys)
        journal = self.journal
        before = journal.occurrences.asked_before(keys)
        if before := [key for key in before if not journal.is_kept(key)]:
            # Not before they are cancelled, and before another outcome of them comes.
            self._manager.repair_soon(journal.replace, before, tag)
        return parts

    def request_task(
        self, digest: bytes, tag: str, payload: Payload, options: Options | None
    ) -> int:
        """Ask for a task by tag, or let what is kept be collected. Returns its id."""
        keys = [self.journal.occurrences.key(digest)]
        ((_, kept),) = self.recall(keys, tag)
        if kept is None or isinstance(kept, Again):
            known = None if kept is None else AskedAgain(kept.losses)
            return self._manager.request(
                tag, (payload,), options, expect=self.expecting(tag, keys), recalled=known
            )
        recalled = Recalled(kept.kind, kept.worker)
        return self._manager.request(tag, one_by_one(kept.payloads), options, recalled=recalled)

    def watched(self, what: Callable[..., Any] | str, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return the parameters of a call; the first ones of their kind are looked at in use."""
        if all(map(is_small, args)) or (kind := kind_of(what)) in self._watched:
            return args
        self._watched.add(kind)
        return watched(args, name_of(what), [parameter(what, at) for at in range(len(args))])

    def watched_names(
        self, what: Callable[..., Any] | str, kwargs: dict[str, Any]
    ) -> dict[str, Any]:
        """Do the same with parameters by name."""
        if not kwargs:
            return kwargs
        known = kind_of(what), "names"
        if known in self._watched or all(map(is_small, kwargs.values())):
            return kwargs
        self._watched.add(known)
        return watched_names(kwargs, name_of(what))

    def expecting(
        self, tag: str, keys: Sequence[bytes], then: Callable[[int], object] | None = None
    ) -> Callable[[int], object]:
        """Return what is called with the id of the first of tasks, whose keys these are.

        Args:
            tag: Their tag.
            keys: Their keys.
            then: Is called with it, too, and before.
        """
        expect = partial(self.journal.expect, tag, keys)
        return expect if then is None else _both(then, expect)

    def drawing(
        self,
        batcher: Batcher,
        what: Callable[..., Any] | str,
        iterables: Sequence[Iterable[Any]],
        *,
        salt: object,
        starred: bool,
        keys: Iterable[str] | None,
    ) -> Drawing:
        """Return the tasks of a `map` without those that are done; see `Drawing`."""
        self.code.look_at(what)
        return Drawing(self, batcher, what, iterables, salt=salt, starred=starred, keys=keys)

    # -- inside -----------------------------------------------------------------------------

    def _ask(
        self, key: bytes, tag: str, payload: Payload, options: Options | None, future: Future[Any]
    ) -> None:
        journal, router = self.journal, self._router
        if journal.earlier:  # it may have been brought meanwhile: that is looked up under the lock
            expect = self.expecting(tag, [key], partial(router.expect, future))
            future.number = self._manager.request(
                tag, (payload,), options, direct=True, expect=expect
            )
            return
        noted = journal.open_keys, key, journal.noted.items
        self._manager.submit(tag, payload, options, future, router.futures, noted)
        journal.look()

    def _of_stored(self, value: Any) -> bytes | None:
        if not isinstance(value, StateValue):
            return None
        known = self._values.get((value.state_id, value.name))
        if known is None:
            raise JournalError(f"{value!r} was not stored by this master")
        return b"V" + known


def _both(
    first: Callable[[int], object], second: Callable[[int], object]
) -> Callable[[int], object]:
    def call(number: int) -> None:
        first(number)
        second(number)

    return call


class Drawing:
    """The tasks of one `map`, as `Batcher`, without those whose outcomes are kept.

    Args:
        journaled: The journal.
        batcher: Makes the payloads of the others.
        what: The function, or the tag.
        iterables: Where the parameters come from.
        salt: What else tells them apart from others.
        starred: There is one iterable, whose items are all parameters of a call.
        keys: What each is known by in the place of its parameters; None: by these.
    """

    def __init__(
        self,
        journaled: Journaled,
        batcher: Batcher,
        what: Callable[..., Any] | str,
        iterables: Sequence[Iterable[Any]],
        *,
        salt: object,
        starred: bool,
        keys: Iterable[str] | None,
    ) -> None:
        self._salt = salt
        self._known_by = None if keys is None else map(check_key, keys)
        self.tag = batcher.tag
        self._journaled, self._batcher, self._what = journaled, batcher, what
        self._quick = all(type(each) in QUICK for each in iterables)
        self._single = len(iterables) == 1 and not starred
        self._items = iter(iterables[0]) if len(iterables) == 1 else zip(*iterables, strict=False)
        #: What comes next: tasks whose outcomes are kept; or keys, of which the batcher has the
        #: parameters.
        self._parts: deque[Kept | list[bytes] | tuple[bytes, Again]] = deque()
        self._drawn: deque[list[Any]] = deque()
        self._failure: Exception | None = None
        #: Of what was drawn last: what is kept of it, or its keys.
        self.recalled: Recalled | AskedAgain | None = None
        self._keys: list[bytes] = []
        #: The keys and digests of what was drawn last.
        self.named: tuple[list[bytes], list[bytes]] | None = None
        #: Which calls the program knows nothing of.
        self.untold = Untold(journaled.journal.occurrences.give_back)

    def draw(self, most: int) -> Payloads:
        """Draw items as `Batcher.draw`, or the payloads of outcomes that are kept."""
        while not self._parts:
            if self._failure is not None:
                raise self._failure
            if not self._draw_more(most):
                return []
        part = self._parts.popleft()
        self.recalled = None
        if not isinstance(part, (list, Kept)):
            self.recalled, part = AskedAgain(part[1].losses), [part[0]]
        if isinstance(part, Kept):
            self.recalled = Recalled(part.kind, part.worker)
            self._name(len(part.payloads))
            return part.payloads
        payloads = self._watched_one() or self._draw_given(min(most, len(part)))
        number = len(payloads)
        self._keys = part[:number]
        self._name(number)
        if number < len(part):
            self._parts.appendleft(part[number:])
        else:
            self._drawn.popleft()
        return payloads

    def expecting(self, entered: Callable[[int], object]) -> Callable[[int], object]:
        """See `Batcher.expecting`."""
        if isinstance(self.recalled, Recalled):
            return entered
        return self._journaled.expecting(self.tag, self._keys, entered)

    def were_asked_for(self, first: int, number: int) -> None:
        """See `Batcher.were_asked_for`."""
        self._batcher.were_asked_for(first, number)

    def holds(self) -> tuple[Any, ...]:
        """See `Batcher.holds`."""
        return self._batcher.holds()

    # -- inside -----------------------------------------------------------------------------

    def _name(self, number: int) -> None:
        """This many of the next calls are drawn."""
        keys, digests = self.untold.rest
        self.named = keys[:number], digests[:number]
        self.untold.rest = keys[number:], digests[number:]

    def _draw_given(self, most: int) -> Payloads:
        if self._drawn and self._drawn[0] is not _GIVEN:
            self._batcher.refill(self._drawn[0])
            self._drawn[0] = _GIVEN
        return self._batcher.draw(most)

    def _watched_one(self) -> Payloads:
        """Draw the next item, if it is to be looked at in use; else nothing."""
        items = self._drawn[0] if self._drawn else _GIVEN
        if items is _GIVEN or self._known_by is not None:
            return ()
        args = (items[0],) if self._single else tuple(items[0])
        looked_at = self._journaled.watched(self._what, args)
        if looked_at is args:
            return ()
        self._drawn[0] = items[1:]
        return (self._batcher.one(looked_at),)

    def _draw_more(self, most: int) -> bool:
        """Draw items, and look which of them are done. False: there are none."""
        items = list(islice(self._items, most)) if self._quick else self._draw_slowly(most)
        if not items:
            return False
        digests = self._digests(items)
        keys = self._journaled.journal.occurrences.keys(digests)
        self.untold.rest, at = (keys, digests), 0
        for number, kept in self._journaled.recall(keys, self.tag):
            if isinstance(kept, Kept):
                self._parts.append(kept)
            else:
                some = keys[at : at + number]
                self._parts.append(some if kept is None else (some[0], kept))
                self._drawn.append(items[at : at + number])
            at += number
        return True

    def _digests(self, items: list[Any]) -> list[bytes]:
        if self._known_by is None:
            calls = zip(items, strict=True) if self._single else items
            return self._journaled.digests(self._what, calls, self._salt)
        known = [(key,) for key in islice(self._known_by, len(items))]
        if len(known) < len(items):
            raise UsageError("keys= has fewer items than there are calls")
        return self._journaled.digests(self._what, known, (self._salt, "key"))

    def _draw_slowly(self, most: int) -> list[Any]:
        items: list[Any] = []
        end = time.monotonic() + SLOW_BATCH
        try:
            for item in islice(self._items, most):
                items.append(item)
                # The next one may be the same object, changed: so this one is to be pickled first.
                fixed = is_small(item) if self._single else all(map(is_small, item))
                if not fixed or time.monotonic() > end:
                    break
        except Exception as error:
            self._failure = error
        return items


_GIVEN: Final[list[Any]] = []
