"""Executing one task in the worker: bytes in, outcome out, and the worker lives.

Whatever a handler does that Python can catch becomes the task's failure. Only an interruption
from outside (Ctrl-C, a signal) passes through, since it is meant for the worker. One that is meant
for the task alone (`Broken`) becomes its failure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from masterworker.core.task import AGAIN, FAILURE, RESULT
from masterworker.data import plain
from masterworker.data.failure import describe, text_of
from masterworker.data.pickling import (
    CANNOT_NAME_MAIN,
    MAIN,
    dumps_payload,
    dumps_plainly,
    loads,
    open_payload,
)
from masterworker.data.segment import LARGE, Segment
from masterworker.errors import NotPlainError, TaskTimeout, UnpicklableError
from masterworker.launch import parent
from masterworker.launch.slot import TASK
from masterworker.worker import forks
from masterworker.worker.interrupts import Broken
from masterworker.worker.limits import may_be_tried_again

if TYPE_CHECKING:
    from collections.abc import Callable

    from masterworker.core.hand import Hand
    from masterworker.core.options import Terms
    from masterworker.core.row import Row
    from masterworker.core.task import Payload
    from masterworker.data.record import Failure
    from masterworker.worker.interrupts import Interrupts

#: How many functions are kept ready.
KEPT_FUNCTIONS = 256
#: A larger pickle of a function is not kept (bytes).
LARGEST_KEPT = 1 << 16

#: How far a task was when something was raised.
_PARAMETERS, _HANDLER, _RESULT = range(3)

_functions: dict[bytes, Callable[..., Any]] = {}


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
        interrupted: Tells whether a `KeyboardInterrupt` came from outside.
        terms: Its time limit, and which failures may be tried again.
        data_only: The master takes no pickles from this process.

    Returns:
        The kind and payload of the outcome.

    Raises:
        KeyboardInterrupt: It came from outside; the task has no outcome.
    """
    done: Any = None
    stage = _PARAMETERS
    try:
        parameters = open_payload(payload)
        stage = _HANDLER
        done = handler(*parameters)
        if forks.is_fork:
            forks.leave()
        stage = _RESULT
        return RESULT, plain_payload(done) if data_only else dumps_payload(done)
    except BaseException as error:
        return _failed(stage, error, done, interrupted, terms, data_only=data_only)


def execute_row(  # noqa: C901, PLR0912, PLR0915  a call for each step would cost more than most steps
    row: Row,
    handler: Callable[..., Any],
    hand: Hand,
    interrupts: Interrupts,
    wants_to_stop: Callable[[], bool] | None,
    *,
    data_only: bool = False,
) -> int:
    """Execute the tasks of a row, one by one, each as `execute` would.

    Args:
        row: Where the tasks are, and where their outcomes go.
        handler: Is called with the parameters.
        hand: Whoever looks there sees which task is being executed.
        interrupts: Tell whether to leave.
        wants_to_stop: Asked between two tasks; None: it never does.
        data_only: The master takes no pickles from this process.

    Returns:
        How many have been executed.

    Raises:
        KeyboardInterrupt: It came from outside; the task has no outcome.
    """
    shared, dropped = parent.shared, row.dropped
    outer, begin, task_id = shared[TASK], row.next, row.next
    take, add = row.todo.popleft, row.results.append
    is_call, last, found = handler is call, b"", handler
    encode, encode_again = (
        (plain.encode, plain_payload) if data_only else (dumps_plainly, dumps_payload)
    )
    while not interrupts.leaving:
        if wants_to_stop is not None and task_id > begin and wants_to_stop():
            break
        try:
            payload = take()
        except IndexError:  # it was the last one, or the courier has taken the rest
            break
        if dropped and task_id in dropped:
            row.mixed = True
            add(None)
            task_id += 1
            continue
        hand.current = task_id
        other, stage, done = None, _PARAMETERS, None
        try:
            shared[TASK] = task_id
            try:
                args = loads(payload)
                stage = _HANDLER
                if is_call:
                    function, args, kwargs = args
                    if function != last:
                        found = _functions.get(function) or _function(function)
                        last = function
                    done = found(*args, **kwargs) if kwargs else found(*args)
                else:
                    done = found(*args)
                if forks.is_fork:
                    forks.leave()
                stage = _RESULT
                try:
                    answer = encode(done)
                    good = len(answer) <= CANNOT_NAME_MAIN or _can_travel(answer, data_only)
                except Exception:
                    good = False
                if not good:
                    other = RESULT, encode_again(done)
            except BaseException as error:
                has_come = interrupts.has_come
                other = _failed(stage, error, done, has_come, None, data_only=data_only)
        except Broken as broken:  # it came a moment before or after the handler's own code
            other = broken_off(broken, None, data_only=data_only)
        finally:
            shared[TASK] = outer  # from here on, nothing can be meant for it
        if other is None:
            add(answer)
        else:
            row.mixed = True
            add(other)
        task_id += 1
    hand.current = 0
    return task_id - begin


def _can_travel(answer: bytes, data_only: bool) -> bool:
    """Tell whether a result can be sent as it is, among others."""
    return len(answer) <= LARGE and (data_only or MAIN not in answer)


def plain_payload(value: object) -> Payload:
    """Encode a value without pickling it, as it travels."""
    data = plain.encode(value)
    return data if len(data) <= LARGE else Segment.of([data])


def _failed(
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
        interrupted: Tells whether a `KeyboardInterrupt` came from outside.
        terms: Its time limit, and which failures may be tried again.
        data_only: The master takes no pickles from this process.

    Raises:
        KeyboardInterrupt: It came from outside; the task has no outcome.
        Broken: It came before or after the handler.
    """
    if stage == _HANDLER:
        if isinstance(error, Broken):
            return broken_off(error, terms, data_only=data_only)
        if forks.is_fork:
            forks.leave(error)
        if isinstance(error, KeyboardInterrupt) and interrupted():
            raise error
        kind = AGAIN if may_be_tried_again(type(error), terms) else FAILURE
        return kind, describe(error, hide_frames=1, data_only=data_only).encode()
    if isinstance(error, (KeyboardInterrupt, Broken)):
        raise error
    if stage == _PARAMETERS:
        hint = "the parameters of the task cannot be rebuilt in this worker"
        told = describe(error, hide_frames=1, hint=hint, data_only=data_only)
    else:
        told = _not_plain(error) if data_only else _unpicklable(result, error)
    return FAILURE, told.encode()


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
    return (_functions.get(function) or _function(function))(*args, **kwargs)


def _function(pickled: bytes) -> Callable[..., Any]:
    """Rebuild a function, and keep it ready."""
    found: Callable[..., Any] = loads(pickled)
    if len(pickled) <= LARGEST_KEPT:
        if len(_functions) >= KEPT_FUNCTIONS:
            _functions.pop(next(iter(_functions)))
        _functions[pickled] = found
    return found


def _not_plain(error: BaseException) -> Failure:
    clear = NotPlainError(
        f"the result cannot be sent to the master, which takes only data from this worker: "
        f"{text_of(error)}. Return such values, or let a machine that is trusted execute this: a "
        'master without results="data" takes anything'
    )
    return describe(clear, data_only=True)


def _unpicklable(result: object, error: BaseException) -> Failure:
    clear = UnpicklableError(
        f"the result (a {type(result).__name__}) cannot be pickled, so it cannot be sent to the "
        f"master: {type(error).__name__}: {text_of(error)}"
    )
    clear.__cause__ = error
    return describe(clear)
