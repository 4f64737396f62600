"""The workers of joblib's calls, which live on between calls: one pool for each label."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from masterworker import forks
from masterworker.executor import Executor
from masterworker.launch.output import PLAIN
from masterworker.named import NamedTuple
from masterworker.thread_limits import begin

if TYPE_CHECKING:
    from collections.abc import Callable


class Options(NamedTuple):
    """What can be said about the workers of a pool; see `Executor`."""

    label: str | None = None
    initializer: Callable[..., object] | None = None
    initargs: tuple[Any, ...] = ()
    max_tasks_per_child: int | None = None
    output: str = PLAIN
    start_timeout: float | None = None
    preload: tuple[str, ...] | None = None

    def is_same(self, other: Options) -> bool:
        """Return whether they are the same. Arguments are compared by identity: they may be big."""
        return self._replace(initargs=()) == other._replace(initargs=()) and [
            id(each) for each in self.initargs
        ] == [id(each) for each in other.initargs]


class Pool:
    """Workers that were started for calls of joblib.

    Args:
        options: Theirs.
        workers: Their number.
        threads: Which numerical libraries may use in each; None: their share of the processors.
    """

    def __init__(self, options: Options, workers: int, threads: int | None) -> None:
        self.options = options
        self.size = workers
        #: Number of calls of `Parallel` that are under way.
        self.users = 0
        self.is_retired = False
        self._pid = os.getpid()
        self.executor = Executor(
            workers,
            initializer=self._initializer(threads),
            label=options.label,
            max_tasks_per_child=options.max_tasks_per_child,
            output=options.output,
            start_timeout=options.start_timeout,
            preload=options.preload,
        )

    @property
    def is_usable(self) -> bool:
        """It has not ended, and this is no fork of the process that has made it."""
        return not self.executor._job.is_shut_down and self._pid == os.getpid()

    def grow(self, workers: int, threads: int | None) -> None:
        """Let there be this many workers at least."""
        if workers > self.size:
            self.executor._job.master.launch_workers(
                workers - self.size,
                initializer=self._initializer(threads),
                max_tasks=self.options.max_tasks_per_child,
                output=self.options.output,
                start_timeout=self.options.start_timeout,
                preload=self.options.preload,
            )
            self.size = workers

    def end(self) -> None:
        """End the workers. In a fork: only forget them."""
        if self._pid == os.getpid():
            self.executor.shutdown(wait=True)
        else:
            _of_parents.append(self)

    def _initializer(self, threads: int | None) -> Callable[[], object] | None:
        given = self.options.initializer
        then = None if given is None else partial(given, *self.options.initargs)
        return then if threads is None else partial(begin, threads, then)


#: By label. Guarded by the lock.
_pools: Final[dict[str | None, Pool]] = {}
#: Pools of processes of which this one is a fork: what ends them must not be called here.
_of_parents: Final[list[Pool]] = []
_lock: Final = forks.rlock()


def acquire(options: Options, workers: int, threads: int | None) -> Pool:
    """Return a pool for one call of `Parallel`, with this many workers at least.

    Raises:
        LabelTakenError: Another job has the label.
        UsageError: The options make no sense.
    """
    with _lock:
        pool = _pools.get(options.label)
        if pool is not None and not (pool.is_usable and pool.options.is_same(options)):
            del _pools[options.label]
            _retire(pool)
            pool = None
        if pool is None:
            pool = _pools[options.label] = Pool(options, workers, threads)
        pool.grow(workers, threads)
        pool.users += 1
        return pool


def release(pool: Pool) -> None:
    """One call of `Parallel` is done with a pool."""
    with _lock:
        pool.users -= 1
        if pool.is_retired and not pool.users:
            pool.end()


def shut_down() -> None:
    """End all pools, each when no call uses it any more."""
    with _lock:
        pools = list(_pools.values())
        _pools.clear()
        for pool in pools:
            _retire(pool)


def _retire(pool: Pool) -> None:
    """End a pool whose place another one takes, when no call uses it."""
    pool.is_retired = True
    if not pool.users or not pool.is_usable:
        pool.end()
