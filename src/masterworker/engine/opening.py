"""What is given as `engine=`: which engine it is, and what speaks to it."""

from __future__ import annotations

import concurrent.futures
from typing import TYPE_CHECKING, Any, Final

from masterworker.checking import known_keywords
from masterworker.errors import EngineError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from masterworker.engine.adapters.base import Adapter

#: What an engine may be, for messages.
KINDS: Final = (
    'a Dask Client or its address ("dask://HOST:PORT"), "ray" or "ray://HOST:PORT", "mpi" or an '
    "MPI communicator, a concurrent.futures.Executor, or a function that makes one"
)
#: Seconds of work in a bundle.
BUNDLE_SECONDS: Final = 0.3
#: Seconds in which an engine must be reached.
REACH_WITHIN: Final = 10.0


class Engine:
    """An engine, and how it is to be used: `Master(engine=Engine(client, slots=8))`.

    An engine that you have made is never shut down by a job.

    Args:
        engine: A Dask `Client` or "dask://HOST:PORT"; "ray" or "ray://HOST:PORT"; "mpi" or an MPI
            communicator; any `concurrent.futures.Executor`, or a function that makes one, so that a
            broken one can be made anew.
        bundle_seconds: The work that is one task of the engine (seconds). A bundle stops after this
            time, and gives back what it has not begun.
        slots: How many bundles are executed at one time; None: as many as the engine says.
        resources: What each bundle needs, in the engine's own terms: for Dask what its workers
            have, for Ray keywords of `ray.remote`, such as `num_gpus`.
        no_workers_timeout: Seconds after which an engine without workers ends the job with an
            `EngineError`; None: it is waited for.
        apart: Tasks are executed in children of the engine's processes, so that one that ends its
            process costs a child; what you have prepared in the engine's processes is not there,
            and each has the memory of two. None: where the engine does not replace processes, or
            not soon (executorlib, ipyparallel, Parsl). MPI ranks have children always, threads
            never.

    Raises:
        UsageError: This is no engine, or a number makes no sense.
    """

    @known_keywords("Engine")
    def __init__(
        self,
        engine: Any,
        *,
        bundle_seconds: float = BUNDLE_SECONDS,
        slots: int | None = None,
        resources: dict[str, Any] | None = None,
        no_workers_timeout: float | None = None,
        apart: bool | None = None,
    ) -> None:
        if not isinstance(bundle_seconds, (int, float)) or not 0 < bundle_seconds <= 3600:
            raise UsageError(f"bundle_seconds must be 0 to 3600 seconds, not {bundle_seconds!r}")
        if slots is not None and (not isinstance(slots, int) or slots < 1):
            raise UsageError(f"slots must be a number of 1 or more, not {slots!r}")
        self.bundle_seconds = float(bundle_seconds)
        self.slots, self.resources = slots, dict(resources or {})
        self.no_workers_timeout, self.apart = no_workers_timeout, apart
        #: What the program has given.
        self.given = engine
        self._make = _maker(engine, self)
        if apart and isinstance(engine, concurrent.futures.ThreadPoolExecutor):
            raise UsageError("apart= is for engines with processes, and this one has threads")
        if self.resources and self._make in {_executor, _factory, _mpi}:
            raise UsageError("resources= is for Dask and Ray: this engine has no terms for it")

    @property
    def is_mpi(self) -> bool:
        """Whether it is MPI, all of whose ranks execute the same program."""
        return self._make is _mpi

    def open(self) -> Adapter:
        """Make what speaks to the engine.

        Raises:
            EngineError: It cannot be reached.
        """
        return self._make(self.given, self)

    def __repr__(self) -> str:
        return f"Engine({self.given!r})"


def as_engine(given: Any) -> Engine:
    """Return what is given as `engine=`, checked. An MPI rank that is not the master serves it.

    Raises:
        UsageError: It is no engine.
        EngineError: Its package is not installed.
        SystemExit: This is such a rank, and the master has ended.
    """
    engine = given if isinstance(given, Engine) else Engine(given)
    if engine.is_mpi:
        try:
            from masterworker.engine.adapters.mpi import begin
        except ImportError as error:
            raise missing("mpi", error) from error
        begin(engine.given)
    return engine


def _maker(given: Any, _engine: Engine) -> Callable[[Any, Engine], Adapter]:
    """Find out which kind of engine this is. Imports none."""
    if isinstance(given, str):
        kind = given.partition("://")[0]
        found = {"dask": _dask, "ray": _ray, "mpi": _mpi}.get(kind)
        if found is None or (kind == "dask") is not given.startswith("dask://"):
            raise UsageError(f"{given!r} is no engine: give {KINDS}")
        return found
    if isinstance(given, concurrent.futures.Executor):
        return _executor
    homes = {each.__module__.partition(".")[0] for each in type(given).__mro__}
    if "distributed" in homes and hasattr(given, "scheduler_info"):
        if getattr(given, "asynchronous", False):
            raise UsageError(
                "this Dask client is asynchronous, and a master waits in threads: give one that is "
                "made with asynchronous=False, or the address"
            )
        return _dask
    if "mpi4py" in homes and hasattr(given, "Get_rank"):
        return _mpi
    if callable(getattr(given, "submit", None)) and not isinstance(given, type):
        return _executor
    if callable(given):
        return _factory
    raise UsageError(f"{given!r} is no engine: give {KINDS}")


def _executor(given: Any, engine: Engine) -> Adapter:
    from masterworker.engine.adapters.executor import ExecutorAdapter

    return ExecutorAdapter(given, slots=engine.slots)


def _factory(given: Any, engine: Engine) -> Adapter:
    from masterworker.engine.adapters.executor import ExecutorAdapter

    return ExecutorAdapter(None, given, engine.slots)


def _dask(given: Any, engine: Engine) -> Adapter:
    try:
        from masterworker.engine.adapters.dask import DaskAdapter
    except ImportError as error:
        raise missing("dask", error) from error
    return DaskAdapter(given, engine.resources, engine.slots, REACH_WITHIN)


def _ray(given: Any, engine: Engine) -> Adapter:
    try:
        from masterworker.engine.adapters.ray import RayAdapter
    except ImportError as error:
        raise missing("ray", error) from error
    return RayAdapter(given, engine.resources, engine.slots, REACH_WITHIN)


def _mpi(given: Any, engine: Engine) -> Adapter:
    try:
        from masterworker.engine.adapters.mpi import MpiAdapter
    except ImportError as error:
        raise missing("mpi", error) from error
    return MpiAdapter(given, engine.slots)


def missing(extra: str, error: ImportError) -> EngineError:
    """Return the error for an engine whose package is not installed."""
    return EngineError(
        f"this engine needs a package that is not installed ({error}): "
        f"pip install 'masterworker[{extra}]'"
    )
