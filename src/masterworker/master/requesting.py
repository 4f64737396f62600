"""Asking for tasks: by tag, as calls of functions, and many at a time.

The part of the master that turns calls into payloads and outcomes into handles. It pickles in the
caller's thread, so errors surface at the call, and holds no lock while it does.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sized
from itertools import islice
from types import BuiltinFunctionType, FunctionType
from typing import TYPE_CHECKING, Any

from masterworker import wire
from masterworker.core.lanes import CALL_MARK
from masterworker.data.pickling import dumps_call, dumps_function, is_remembered
from masterworker.errors import UnpicklableError, UsageError
from masterworker.manager import Mailbox
from masterworker.master.handle import Handle
from masterworker.taskid import task_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from masterworker.core.task import Finished
    from masterworker.manager import Manager

#: `map` asks for so many tasks at a time, ...
BATCH = 256
#: ... and has at most so many under way that have not been yielded yet, ...
LOOK_AHEAD = 10_000
#: ... or so many bytes of parameters, but always a few tasks.
LOOK_AHEAD_BYTES = 64 << 20
FEW = 16
#: Where items come slowly, `map` returns after so many seconds of drawing them, and a batch is
#: sent after so many.
FIRST_DRAW = 0.5
SLOW_BATCH = 0.02

#: Tags and pickles of importable functions.
_known: dict[Callable[..., Any], tuple[str, bytes]] = {}


class Requests:
    """Requests of one master.

    Args:
        manager: Where they go.
    """

    #: Seconds after which a wait that gets nowhere is explained in the log, once.
    NOTICE_AFTER = 10.0

    def __init__(self, manager: Manager) -> None:
        self._manager = manager
        self._handles: dict[int, Handle] = {}
        #: Outcomes that were faster than the making of their handle.
        self._early: dict[int, Finished] = {}
        self._sleepers: list[Mailbox] = []
        #: How many tasks `map` has under way at most, by the size of the latest.
        self._look_ahead = LOOK_AHEAD

    # -- by tag -----------------------------------------------------------------------------

    def request_task(self, tag: str, *parameters: Any) -> str:
        """Ask for a task that handlers named `do_<tag>` execute.

        Args:
            tag: The kind of task.
            parameters: Anything that can be pickled. They are fixed now: a later change of an
                array or list does not matter.

        Returns:
            The task's id: the tag, an underscore and a number.

        Raises:
            UnpicklableError: Names the parameter that cannot be sent.
            UsageError: The tag cannot be used.
            Terminated: The job is over.
        """
        payload = _checked(tag, dumps_call(f"task {tag!r}", parameters))
        return task_name(tag, self._manager.request(check_tag(tag), (payload,)))

    # -- calls of functions -----------------------------------------------------------------

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Handle:
        """Ask for a call of a function in some worker.

        Args:
            function: Any function, also a lambda or one of the main program: what cannot be
                imported by the workers travels with the call.
            args: Its positional arguments; fixed now.
            kwargs: Its keyword arguments; fixed now.

        Returns:
            A handle to wait at.

        Raises:
            UnpicklableError: Says what cannot be sent.
            Terminated: The job is over.
        """
        tag, fixed = _travelling(function)
        payload = _call_payload(tag, fixed, args, kwargs)
        return self._handle(tag, self._manager.request(tag, (payload,), direct=True))

    def map(
        self,
        function: Callable[..., Any] | str,
        iterable: Iterable[Any],
        /,
        *more: Iterable[Any],
        ordered: bool = True,
        progress: bool = False,
    ) -> Iterator[Any]:
        """Call a function, or execute a tag, for each item.

        Items are drawn as needed, so the iterable may be endless.

        Args:
            function: A function, or the tag of a handler.
            iterable: The first argument of each call.
            more: Further arguments, item by item, as for the built-in `map`.
            ordered: Yield the results in the order of the items; else as they come.
            progress: Show a progress bar on stderr.

        Returns:
            An iterator over the results. The first tasks are under way when it is returned. It
            raises what a call raised; the other tasks go on.

        Raises:
            UnpicklableError: Says what cannot be sent.
            Terminated: The job is over.
        """
        items = zip(iterable, *more, strict=False)
        batches = self._batches(function, items)
        ready: deque[Handle] = deque()
        began = time.monotonic()
        for batch in batches:
            ready += batch
            if len(ready) >= self._look_ahead or time.monotonic() - began > FIRST_DRAW:
                break
        results = self._in_order(ready, batches) if ordered else self._as_come(ready, batches)
        if not progress:
            return results
        from tqdm.auto import tqdm

        total = min((len(i) for i in (iterable, *more) if isinstance(i, Sized)), default=None)
        return iter(tqdm(results, total=total, unit="task"))

    def as_completed(
        self, handles: Iterable[Handle], timeout: float | None = None
    ) -> Iterator[Handle]:
        """Iterate over handles as their outcomes come.

        Raises:
            TimeoutError: Not all were done in so many seconds.
            Terminated: The job has ended without some of them.
        """
        end = None if timeout is None else time.monotonic() + timeout
        arrived: deque[Handle] = deque()
        watcher = arrived.append
        pending = set(handles)
        for handle in pending:
            handle.watchers += (watcher,)
        arrived.extend(handle for handle in pending if handle.done())
        try:
            while pending:
                left = None if end is None else max(0.0, end - time.monotonic())
                if not self.wait_until(lambda: bool(arrived), left):
                    raise TimeoutError(f"{len(pending)} tasks are not done after {timeout} s")
                handle = arrived.popleft()
                if handle in pending:
                    pending.remove(handle)
                    yield handle
        finally:
            for handle in pending:
                handle.watchers = tuple(w for w in handle.watchers if w is not watcher)

    # -- waiting ----------------------------------------------------------------------------

    def wait_until(self, holds: Callable[[], bool], timeout: float | None) -> bool:
        """Wait until something holds, looking again whenever outcomes arrive.

        Returns:
            False: it does not hold after so many seconds.

        Raises:
            Terminated: The job is over, and it does not hold.
        """
        if holds():
            return True
        now = time.monotonic()
        end = None if timeout is None else now + timeout
        notice = now + self.NOTICE_AFTER
        while True:
            box = Mailbox()
            self._sleepers.append(box)
            try:
                if holds():
                    return True
                self._require_open()
                left = wire.LONGEST_WAIT if end is None else end - time.monotonic()
                if left <= 0:
                    return False
                self._wait_a_turn(box, min(left, wire.LONGEST_WAIT))
            finally:
                self._sleepers.remove(box)
            if holds():
                return True
            if time.monotonic() >= notice:
                notice = float("inf")
                self._explain_wait()

    def _wake(self) -> None:
        if self._sleepers:
            for box in tuple(self._sleepers):
                box.ring()

    # -- what the master adds ---------------------------------------------------------------

    def _wait_a_turn(self, box: Mailbox, seconds: float) -> None:
        box.wait(seconds)

    def _require_open(self) -> None:
        """Raise `Terminated` when nothing will come any more."""

    def _explain_wait(self) -> None:
        """Say in the log what a wait is waiting for."""

    # -- inside -----------------------------------------------------------------------------

    def _outcomes_arrive(self, finished: list[Finished]) -> None:
        """Take direct outcomes; called with the manager's lock held."""
        handles = self._handles
        for outcome in finished:
            handle = handles.pop(outcome[0], None)
            if handle is None:
                # Its request has not returned yet. Either side looks again after it has put
                # down its half, so at least one of them finds both.
                self._early[outcome[0]] = outcome
                handle = handles.pop(outcome[0], None)
                if handle is None:
                    continue
                self._early.pop(outcome[0], None)
            handle._state = outcome
            if handle.watchers:
                handle.arrive(outcome)
        self._wake()

    def _handle(self, tag: str, number: int) -> Handle:
        handle = self._handles[number] = Handle(self, tag, number)
        if self._early:
            outcome = self._early.pop(number, None)
            if outcome is not None:
                self._handles.pop(number, None)
                handle.arrive(outcome)
                self._wake()
        return handle

    def _batches(
        self, function: Callable[..., Any] | str, items: Iterator[tuple[Any, ...]]
    ) -> Iterator[list[Handle]]:
        if isinstance(function, str):
            tag = check_tag(function)
        else:
            tag, fixed = _travelling(function)
        size = 1
        while chunk := _draw(items, size):
            size = min(2 * size, BATCH)
            if isinstance(function, str):
                what = f"task {tag!r}"
                payloads = [_checked(tag, dumps_call(what, item)) for item in chunk]
            else:
                payloads = [_call_payload(tag, fixed, item, {}) for item in chunk]
            first = self._manager.request(tag, payloads, direct=True)
            mean = sum(map(len, payloads)) // len(payloads)
            self._look_ahead = max(size, min(LOOK_AHEAD, LOOK_AHEAD_BYTES // max(1, mean)))
            yield [self._handle(tag, number) for number in range(first, first + len(chunk))]

    def _in_order(self, ready: deque[Handle], batches: Iterator[list[Handle]]) -> Iterator[Any]:
        while ready:
            yield ready.popleft().result()
            if len(ready) <= self._look_ahead - BATCH or len(ready) < 2 * FEW:
                ready += next(batches, ())

    def _as_come(self, ready: deque[Handle], batches: Iterator[list[Handle]]) -> Iterator[Any]:
        arrived: deque[Handle] = deque()
        pending: set[Handle] = set()

        def watch(handles: Iterable[Handle]) -> None:
            for handle in handles:
                pending.add(handle)
                handle.watchers += (arrived.append,)
                if handle.done():
                    arrived.append(handle)

        watch(ready)
        ready.clear()
        while pending:
            self.wait_until(lambda: bool(arrived), None)
            handle = arrived.popleft()
            if handle not in pending:
                continue
            pending.remove(handle)
            if len(pending) <= self._look_ahead - BATCH or len(pending) < 2 * FEW:
                watch(next(batches, ()))
            yield handle.result()


def _draw(items: Iterator[tuple[Any, ...]], size: int) -> list[tuple[Any, ...]]:
    """Draw items: so many, or what comes in a moment, but at least one if there is any."""
    end = time.monotonic() + SLOW_BATCH
    drawn: list[tuple[Any, ...]] = []
    for item in islice(items, size):
        drawn.append(item)
        if time.monotonic() > end:
            break
    return drawn


def check_tag(tag: object) -> str:
    """Return a tag that can be used.

    Raises:
        UsageError: It is not text, empty, or marked as a call.
    """
    if not isinstance(tag, str) or not tag or tag.startswith(CALL_MARK):
        raise UsageError(f"a tag must be a text such as 'sqrt', not {tag!r}")
    return tag


def call_tag(function: Callable[..., Any]) -> str:
    """Return the tag of a call: the mark, and the function's name, for status displays.

    Raises:
        UsageError: It cannot be called.
    """
    name = getattr(function, "__name__", None)
    if isinstance(name, str) and callable(function):
        return CALL_MARK + name
    if not callable(function):
        raise UsageError(f"{function!r} is not a function")
    return CALL_MARK + type(function).__name__  # a partial, or an object with __call__


def _travelling(function: Callable[..., Any]) -> tuple[str, bytes]:
    """Return a function's tag and pickle; those of importable functions are remembered."""
    if isinstance(function, (FunctionType, BuiltinFunctionType)):
        known = _known.get(function)
        if known is not None:
            return known
    tag, fixed = call_tag(function), dumps_function(function)
    if is_remembered(function):
        _known[function] = tag, fixed
    return tag, fixed


def _call_payload(
    tag: str,
    function: bytes,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> bytes:
    try:
        payload = dumps_call(tag, (function, args, kwargs))
        return payload if len(payload) <= wire.MAX_PAYLOAD else _checked(tag, payload)
    except UnpicklableError:
        dumps_call(f"call of {tag[1:]}", args)  # says which one it is
        dumps_call(f"call of {tag[1:]}, keyword arguments", tuple(kwargs.items()))
        raise


def _checked(tag: str, payload: bytes) -> bytes:
    if len(payload) > wire.MAX_PAYLOAD:
        raise UsageError(
            f"the parameters of a task {tag!r} are too large to be sent: {len(payload):,} bytes of "
            f"pickle, at most {wire.MAX_PAYLOAD:,}; write them to a file and send its name"
        )
    return payload
