"""Executing one task in the worker: bytes in, outcome out, and the worker lives.

Whatever a handler does that Python can catch becomes the task's failure. Only an interruption
from outside (Ctrl-C, a signal) passes through, since it is meant for the worker. One that is meant
for the task alone (`Broken`) becomes its failure.
"""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Any

from masterworker import forks
from masterworker.core.streams import Stream
from masterworker.core.task import AGAIN, FAILURE, RESULT
from masterworker.data import plain
from masterworker.data.definitions import Resolved, enter
from masterworker.data.failure import describe, text_of
from masterworker.data.pickling import (
    dumps_payload,
    loads,
    open_payload,
)
from masterworker.data.segment import LARGE, Segment
from masterworker.errors import NotPlainError, TaskTimeout, UnpicklableError
from masterworker.worker import integrity
from masterworker.worker.interrupts import Broken
from masterworker.worker.limits import may_be_tried_again
from masterworker.worker.streams import call_handler

if TYPE_CHECKING:
    from collections.abc import Callable

    from masterworker.core.options import Terms
    from masterworker.core.task import Payload
    from masterworker.data.record import Failure

#: How many functions are kept ready.
KEPT_FUNCTIONS = 256
#: A larger pickle of a function is not kept (bytes).
LARGEST_KEPT = 1 << 16

#: How far a task was when something was raised.
PARAMETERS, HANDLER, SENDING = range(3)

#: Functions that are kept ready, by their pickles.
functions: dict[bytes, Callable[..., Any] | Resolved] = {}


def execute(
    handler: Callable[..., Any],
    payload: Payload,
    interrupted: Callable[[], bool],
    terms: Terms | None = None,
    *,
    data_only: bool = False,
) -> tuple[int, Payload]:
    """Execute a task.

    Args:
        handler: Is called with the parameters.
        payload: The pickled parameters.
        interrupted: Returns whether a `KeyboardInterrupt` came from outside.
        terms: Its time limit, and which failures may be tried again.
        data_only: The master takes no pickles from this process.

    Returns:
        The kind and payload of the outcome.

    Raises:
        KeyboardInterrupt: It came from outside; the task has no outcome.
    """
    done: Any = None
    stage = PARAMETERS
    try:
        parameters = open_payload(payload)
        stage = HANDLER
        if parameters and parameters[-1].__class__ is Stream:
            done = call_handler(handler, parameters)
        else:
            done = handler(*parameters)
        if forks.mark.is_fork:
            forks.leave()
        stage = SENDING
        return RESULT, plain_payload(done) if data_only else dumps_payload(done)
    except BaseException as error:
        return failed(stage, error, done, interrupted, terms, data_only=data_only)


def plain_payload(value: object) -> Payload:
    """Encode a value without pickling it, as it travels."""
    data = plain.encode(value)
    return data if len(data) <= LARGE else Segment.of([data])


def failed(
    stage: int,
    error: BaseException,
    result: object,
    interrupted: Callable[[], bool],
    terms: Terms | None,
    *,
    data_only: bool,
) -> tuple[int, bytes]:
    """Make the outcome of a task in which something was raised.

    Args:
        stage: How far it was.
        error: What was raised, with its traceback from the caller's frame on.
        result: What it has returned, if it has.
        interrupted: Returns whether a `KeyboardInterrupt` came from outside.
        terms: Its time limit, and which failures may be tried again.
        data_only: The master takes no pickles from this process.

    Raises:
        KeyboardInterrupt: It came from outside; the task has no outcome.
        Broken: It came before or after the handler.
        Damaged: This process is broken, so another one shall try.
    """
    integrity.check()
    if forks.mark.is_fork:
        forks.leave(error)
    if stage == HANDLER:
        if isinstance(error, Broken):
            return broken_off(error, terms, data_only=data_only)
        if isinstance(error, KeyboardInterrupt) and interrupted():
            raise error
        kind = AGAIN if may_be_tried_again(type(error), terms) else FAILURE
        return kind, describe(error, hide_frames=1, data_only=data_only).encode()
    if isinstance(error, (KeyboardInterrupt, Broken)):
        raise error
    if stage == PARAMETERS:
        hint = "the parameters of the task cannot be rebuilt in this worker"
        failure = describe(error, hide_frames=1, hint=hint, data_only=data_only)
    else:
        failure = _not_plain(error) if data_only else _unpicklable(result, error)
    return FAILURE, failure.encode()


def broken_off(
    broken: Broken, terms: Terms | None, *, data_only: bool = False
) -> tuple[int, bytes]:
    """Make the outcome of a task that was broken off, with the traceback of where it was."""
    if broken.cancelled:
        return FAILURE, describe(broken, data_only=data_only).encode()
    limit = 0.0 if terms is None else terms[0]
    error = TaskTimeout(f"the task took longer than its time limit of {limit:g} s")
    error = error.with_traceback(broken.__traceback__)
    kind = AGAIN if may_be_tried_again(TaskTimeout, terms) else FAILURE
    return kind, describe(error, hide_frames=1, data_only=data_only).encode()


def call(function: bytes, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Handle a task that is a call of a function, which comes along as a pickle."""
    return ready(function)(*args, **kwargs)


def ready(pickled: bytes) -> Callable[..., Any]:
    """Return a function that can be called: what it refers to is what it was at the request."""
    known = functions.get(pickled)
    if known is None:
        return rebuild(pickled)
    if known.__class__ is Resolved:
        enter(known.environment)
        return known.function
    return known  # type: ignore[return-value]


def rebuild(pickled: bytes) -> Callable[..., Any]:
    """Rebuild a function, and keep it ready."""
    found = loads(pickled)
    size = found.size if isinstance(found, Resolved) else 0
    if len(pickled) <= LARGEST_KEPT:
        if size > LARGEST_KEPT:  # of those that carry much only the latest is kept
            _forget_large()
        if len(functions) >= KEPT_FUNCTIONS:
            functions.pop(next(iter(functions)))
        functions[pickled] = found
    return found.function if isinstance(found, Resolved) else found


def _forget_large() -> None:
    """Forget functions that carry much, also where they refer to themselves."""
    large = [
        pickled
        for pickled, kept in functions.items()
        if isinstance(kept, Resolved) and kept.size > LARGEST_KEPT
    ]
    for pickled in large:
        del functions[pickled]
    if large:
        gc.collect()


def _not_plain(error: BaseException) -> Failure:
    clear = NotPlainError(
        f"the result cannot be sent to the master, which takes only data from this worker: "
        f"{text_of(error)}. Return such values, or let a machine that is trusted execute this: a "
        'master without accept="data" takes anything'
    )
    return describe(clear, data_only=True)


def _unpicklable(result: object, error: BaseException) -> Failure:
    clear = UnpicklableError(
        f"the result (a {type(result).__name__}) cannot be pickled, so it cannot be sent to the "
        f"master: {type(error).__name__}: {text_of(error)}"
    )
    clear.__cause__ = error
    return describe(clear)
