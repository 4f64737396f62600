"""Waiting in asyncio: no thread for a wait, and no polling.

Threads sleep at a mailbox, which is rung when what they wait for may hold. A loop has a bell in its
place, which is rung by the same threads at the same moments, with no lock held, and wakes the loop.
All awaits of futures in one loop have one bell together.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import weakref
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from masterworker.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    class Bell(Protocol):
        """Wakes something that waits."""

        def ring(self) -> None:
            """Wake it; once is enough."""

    class Job(Protocol):
        """What a wait asks of the job; see `master.waiting.Waiting`."""

        def picking_up(self, *, asking: bool = False) -> None:
            """Results are picked up, or asked for."""

        def require_open(self) -> None:
            """Refuse to wait for what will never come."""

        def execute_one(self) -> bool:
            """Execute a task, if this process executes tasks. False: there was none."""

        def explain(self) -> None:
            """Say in the log what a wait is waiting for."""

    class Router(Protocol):
        """What a wait asks of the router of outcomes."""

        #: What waits, and until what holds, which is asked with the manager's lock held.
        sleepers: list[tuple[Bell, Callable[[], bool]]]
        #: The bells of loops.
        loops: weakref.WeakKeyDictionary[Any, Any]

        @property
        def job(self) -> Job:
            """The rules of waiting."""

        @property
        def about_to_wait(self) -> Callable[[], None]:
            """Take in what was asked for."""

    class Future(Protocol):
        """A future of ours."""

        def cancel(self) -> bool:
            """Cancel the task."""

        def _watch(self, watcher: Callable[[Any], object]) -> None: ...
        def _unwatch(self, watcher: Callable[[Any], object]) -> None: ...
        def _is_here(self) -> bool: ...


T = TypeVar("T")

#: Seconds after which a wait that gets nowhere is explained in the log, once.
NOTICE_AFTER = 10.0


async def until_done(router: Router, future: Future) -> None:
    """Wait until a future of ours is done. To cancel this cancels the task.

    Raises:
        Terminated: The job is over.
        WorkerStartError: No worker could start, and no other one can join.
        UsageError: This is no loop of asyncio.
    """
    if router.job.execute_one():  # this process executes all tasks itself
        await until(router, future._is_here)
        return
    loop = _running_loop()
    bridge = router.loops.get(loop)
    if bridge is None:
        bridge = router.loops[loop] = _Bridge(loop)
    try:
        await bridge.wait(router, future)
    except asyncio.CancelledError:
        future.cancel()
        raise


async def until(router: Router, holds: Callable[[], bool], seconds: float | None = None) -> bool:
    """Wait until something holds, as `ResultRouter.wait_until` does it for threads.

    Args:
        router: Whose outcomes it depends on.
        holds: Is asked in other threads, too, with the manager's lock held.
        seconds: To wait at most; None: as long as it takes.

    Returns:
        False: it does not hold after this time.

    Raises:
        Terminated: The job is over, and it does not hold.
        WorkerStartError: No worker could start, and no other one can join.
        UsageError: This is no loop of asyncio.
    """
    loop, job, timers = _running_loop(), router.job, []
    end = None if seconds is None else loop.time() + seconds
    router.about_to_wait()
    timers.append(loop.call_later(NOTICE_AFTER, job.explain))
    try:
        while not holds():
            if job.execute_one():
                await asyncio.sleep(0)
                continue
            if end is not None and loop.time() >= end:
                return False
            waiter = loop.create_future()
            sleeper = _Bell(loop, partial(_wake, waiter)), holds
            router.sleepers.append(sleeper)
            try:
                job.picking_up()
                job.require_open()
                if holds():
                    return True
                if end is not None:
                    timers.append(loop.call_at(end, _wake, waiter))
                await waiter
            finally:
                router.sleepers.remove(sleeper)
        return True
    finally:
        for timer in timers:
            timer.cancel()


async def let_others() -> None:
    """Let other coroutines have their turn."""
    await asyncio.sleep(0)


async def in_thread(function: Callable[[], T]) -> T:
    """Call a function in a thread of its own. Cancelling this does not end the call."""
    loop = _running_loop()
    outcome: asyncio.Future[T] = loop.create_future()

    def run() -> None:
        try:
            tell = partial(_set_result, outcome, function())
        except BaseException as error:
            tell = partial(_set_exception, outcome, error)
        with contextlib.suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(tell)

    threading.Thread(target=run, name="masterworker-end", daemon=True).start()
    return await outcome


def is_cancelled(kind: type[BaseException] | None) -> bool:
    """Return whether a block is left since its coroutine was cancelled, as by Ctrl-C."""
    return kind is not None and issubclass(kind, asyncio.CancelledError)


class _Bell:
    """Calls a function in a loop.

    Args:
        loop: The loop.
        function: The function.
    """

    __slots__ = ("_function", "_loop")

    def __init__(self, loop: asyncio.AbstractEventLoop, function: Callable[[], object]) -> None:
        self._loop = loop
        self._function = function

    def ring(self) -> None:
        """Wake the loop, from any thread."""
        with contextlib.suppress(Exception):  # it is closed, and may be of another library
            self._loop.call_soon_threadsafe(self._function)


class _Bridge:
    """All awaits of futures in one loop. All methods but `ring` are for the loop's thread.

    It refers to the router as long as there is any, so that the job can be forgotten; and to the
    loop weakly, since the router refers to this by the loop.

    Args:
        loop: The loop.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = weakref.ref(loop)
        self._router: Router | None = None
        self._pending: dict[Future, list[asyncio.Future[None]]] = {}
        self._arrived: deque[Future] = deque()
        self._sleeper: tuple[Bell, Callable[[], bool]] = self, self._has_news
        self._is_rung = False
        self._notice: asyncio.TimerHandle | None = None

    async def wait(self, router: Router, future: Future) -> None:
        """Wait until a future is done; see `until_done`."""
        waiter = self._enter(router, future)
        try:
            await waiter
        finally:
            self._leave(future, waiter)

    def ring(self) -> None:
        """Let the loop look at what has arrived. In any thread, with no lock held."""
        if self._is_rung:
            return
        self._is_rung = True
        loop = self._loop()
        try:
            if loop is not None:
                loop.call_soon_threadsafe(self._look)
                return
        except Exception:  # noqa: S110  it is closed, and may be of another library
            pass
        self._give_up()

    # -- inside -----------------------------------------------------------------------------

    def _has_news(self) -> bool:
        return bool(self._arrived)

    def _enter(self, router: Router, future: Future) -> asyncio.Future[None]:
        waiter = _running_loop().create_future()
        router.about_to_wait()
        if self._router is None:
            self._router = router
            router.sleepers.append(self._sleeper)
            self._notice = waiter.get_loop().call_later(NOTICE_AFTER, self._explain, future)
        waiters = self._pending.get(future)
        if waiters is None:
            self._pending[future] = [waiter]
            future._watch(self._arrived.append)
            if self._arrived:
                self.ring()
        else:
            waiters.append(waiter)
        router.job.picking_up()
        try:
            router.job.require_open()
        except Exception as error:
            if not future._is_here():
                waiter.set_exception(error)
        return waiter

    def _leave(self, future: Future, waiter: asyncio.Future[None]) -> None:
        waiters = self._pending.get(future)
        if waiters is not None and waiter in waiters:  # it was cancelled, or has failed
            waiters.remove(waiter)
            if not waiters:
                del self._pending[future]
                future._unwatch(self._arrived.append)
        if not self._pending:
            self._rest()

    def _look(self) -> None:
        """Wake the coroutines whose futures are done."""
        self._is_rung = False
        router = self._router
        if router is None:
            self._arrived.clear()
            return
        router.job.picking_up()
        while self._arrived:
            for waiter in self._pending.pop(self._arrived.popleft(), ()):
                _wake(waiter)
        try:
            router.job.require_open()
        except Exception as error:
            for future, waiters in self._pending.items():
                for waiter in waiters:
                    if not (future._is_here() or waiter.done()):
                        waiter.set_exception(error)

    def _explain(self, oldest: Future) -> None:
        """Say what the first await waits for, if it still does."""
        if self._router is not None and oldest in self._pending:
            self._router.job.explain()

    def _rest(self) -> None:
        """Nothing is awaited."""
        router, self._router = self._router, None
        if router is not None:
            router.sleepers.remove(self._sleeper)
        if self._notice is not None:
            self._notice.cancel()
            self._notice = None

    def _give_up(self) -> None:
        """The loop has ended: nothing of it waits any more."""
        for future in list(self._pending):
            future._unwatch(self._arrived.append)
        self._pending.clear()
        router, self._router = self._router, None
        if router is not None:
            router.sleepers.remove(self._sleeper)


def _running_loop() -> asyncio.AbstractEventLoop:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        raise UsageError(
            "this can be awaited in a loop of asyncio only; elsewhere wait in a thread, as "
            "trio.to_thread.run_sync(future.result)"
        ) from None


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)


def _set_result(outcome: asyncio.Future[T], value: T) -> None:
    if not outcome.done():
        outcome.set_result(value)


def _set_exception(outcome: asyncio.Future[Any], error: BaseException) -> None:
    if not outcome.done():
        outcome.set_exception(error)
