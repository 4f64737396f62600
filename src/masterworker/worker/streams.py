"""Random numbers of a task: the same ones, whichever worker executes it, and however often.

Each task has a stream of its own (`core.streams`). Where a seed was given, the stream travels with
the call: a number is the last argument, and what is called is `seeded.Seeded`. Tasks by tag have
the stream itself as their last parameter. Else the name of the run takes the place of the seed,
and the task's number that of the key. Generators are made when they are asked for.
"""

from __future__ import annotations

import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Literal, overload

from masterworker import forks
from masterworker.errors import UsageError

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterator

    import numpy as np

    from masterworker.core.streams import Stream

#: What `task_rng` can make.
NUMPY: Final = "numpy"
STANDARD: Final = "random"


class _Execution:
    """One execution of a task, with the generators that were made in it.

    Args:
        stream: Their stream.
        is_seeded: It has come with the task.
    """

    __slots__ = ("_asked", "_generators", "is_seeded", "stream")

    def __init__(self, stream: Stream, *, is_seeded: bool = True) -> None:
        self.stream = stream
        self.is_seeded = is_seeded
        self._generators: dict[str, Any] = {}
        self._asked = 0

    def generator(self, kind: str) -> Any:
        """Return the generator of a kind, the same one each time."""
        known = self._generators.get(kind)
        if known is None:
            make = _numpy_generator if kind == NUMPY else _standard_generator
            known = self._generators[kind] = make(self.stream)
        return known

    def further(self, number: int = 1) -> int:
        """Return the number of the first of some tasks that this one asks for."""
        first, self._asked = self._asked, self._asked + number
        return first


class _Here(threading.local):
    #: Changed by single steps only, since a signal can break off what the task does.
    execution: _Execution | None = None
    #: Returns the stream of the task that this thread executes, where none has come with it; None:
    #: there is no task.
    source: Callable[[], Stream | None] | None = None


_here: Final = _Here()


def call_with(
    stream: Stream, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Call a function in a task that has come with a stream."""
    before, execution = _here.execution, _Execution(stream)
    try:
        _here.execution = execution
        return function(*args, **kwargs)
    finally:
        _here.execution = before


def call_handler(handler: Callable[..., Any], parameters: tuple[Any, ...]) -> Any:
    """Handle a task by tag whose last parameter is its stream."""
    return call_with(parameters[-1], handler, parameters[:-1], {})


@contextmanager
def executing(stream: Stream | None, *, is_seeded: bool = True) -> Iterator[None]:
    """Within this, another task is executed.

    Args:
        stream: Its own, if none has come with it; None: it is found when it is asked for.
        is_seeded: The tasks that it asks for have streams by it.
    """
    before, source = _here.execution, _here.source
    execution = None if stream is None else _Execution(stream, is_seeded=is_seeded)
    try:
        _here.execution, _here.source = execution, source if stream is None else None
        yield
    finally:
        _here.execution, _here.source = before, source


@contextmanager
def asking(source: Callable[[], Stream | None]) -> Iterator[None]:
    """Within this, this thread executes tasks.

    Args:
        source: Returns the stream of a task that has come without one; None: there is no task.
    """
    before, _here.source = _here.source, source
    try:
        yield
    finally:
        _here.source = before


def start_afresh() -> None:
    """Give NumPy's own generator a fresh state, if it has the one with which forks start.

    Each fork has the state of its parent, and so of its peers. Python's `random` takes a fresh one
    by itself; a state that the program has chosen since is kept.
    """
    inherited = forks.mark.numpy_state
    if inherited is not None and forks.numpy_state() == inherited:
        sys.modules["numpy.random"].seed()


def begin_again() -> None:
    """A task begins that may have been executed here before: it starts with new generators."""
    _here.execution = None


def further_parameters(parameters: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the parameters of a task by tag that this one asks for, with its stream."""
    execution = _here.execution
    if execution is None or not execution.is_seeded:
        return parameters
    return *parameters, execution.stream.child(execution.further())


@overload
def task_rng(kind: Literal["numpy"] = ...) -> np.random.Generator: ...
@overload
def task_rng(kind: Literal["random"]) -> random.Random: ...
def task_rng(kind: str = NUMPY) -> Any:
    """Return the random number generator of the task that calls this.

    Each task has its own stream of numbers: the same ones, whichever worker executes it, when, and
    after however many failures. With `seed=`, task k of a `map` has the stream of
    `numpy.random.SeedSequence(seed).spawn(n)[k]`. All calls in one task return one generator, which
    is made by the first: some 20 us. For the thread that executes the task.

    Args:
        kind: "numpy" for a `numpy.random.Generator`, "random" for a `random.Random`, whose numbers
            are others.

    Raises:
        UsageError: This is not inside a task, or NumPy is not installed.
    """
    if kind not in (NUMPY, STANDARD):
        raise UsageError(f'task_rng() makes "numpy" or "random" generators, not {kind!r}')
    execution = _here.execution
    if execution is None or (_here.source is not None and not execution.is_seeded):
        execution = _of_run(execution)
    return execution.generator(kind)


def _of_run(known: _Execution | None) -> _Execution:
    """Return the execution of a task without a seed, which may be known."""
    stream = None if _here.source is None else _here.source()
    if stream is None:
        raise UsageError(
            "task_rng() can be called inside a task only, by the thread that executes it: give "
            "other threads a generator each, as task_rng().spawn(n)"
        )
    if known is None or known.stream != stream:
        known = _here.execution = _Execution(stream, is_seeded=False)
    return known


def _numpy_generator(stream: Stream) -> np.random.Generator:
    try:
        from numpy.random import SeedSequence, default_rng
    except ImportError:
        raise UsageError(
            'task_rng() makes a generator of NumPy, which is not installed here: "pip install '
            'numpy", or ask for task_rng("random")'
        ) from None
    return default_rng(SeedSequence(stream.seed, spawn_key=stream.key))


def _standard_generator(stream: Stream) -> random.Random:
    import hashlib
    from random import Random  # neither is of use to most workers

    named = f"{stream.seed}:{','.join(map(str, stream.key))}".encode()
    digest = hashlib.blake2b(named, digest_size=32).digest()
    return Random(int.from_bytes(digest, "little"))  # noqa: S311  for computations
