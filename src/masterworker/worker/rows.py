"""Executing many tasks in a row, each as if it were alone, at what a few steps cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from masterworker import forks
from masterworker.core.chunks import Chunk
from masterworker.core.task import RESULT
from masterworker.data.chunks import LARGEST, PLAIN_KINDS, is_small, open_calls
from masterworker.data.pickling import (
    CANNOT_NAME_MAIN,
    dumps_payload,
    dumps_plainly,
    goes_plainly,
    loads,
)
from masterworker.data.segment import LARGE
from masterworker.launch.scoreboard import LAST, TASK
from masterworker.worker.execution import (
    HANDLER,
    PARAMETERS,
    SENDING,
    broken_off,
    call,
    failed,
    plain_payload,
    ready,
)
from masterworker.worker.interrupts import Broken

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from masterworker.core.hand import Hand
    from masterworker.core.row import Odd, Row
    from masterworker.worker.interrupts import Interrupts


def execute_row(
    row: Row,
    handler: Callable[..., Any],
    hand: Hand,
    interrupts: Interrupts,
    board: memoryview,
    wants_to_stop: Callable[[], bool] | None,
    *,
    data_only: bool = False,
) -> int:
    """Execute the tasks of a row, one by one, each as `execute` would.

    Args:
        row: Where the tasks are, and where their outcomes go.
        handler: Called with the parameters.
        hand: Shows other threads which task is being executed.
        interrupts: Say whether to leave.
        board: Shows which task is being executed; see `launch.scoreboard`.
        wants_to_stop: Asked between two tasks; None: it never does.
        data_only: The master takes no pickles from this process.

    Returns:
        How many have been executed.

    Raises:
        KeyboardInterrupt: It came from outside; the task has no outcome.
    """
    begin, outer, held = row.next, board[TASK], interrupts.held
    before, hand.executing = hand.executing, row
    try:
        if not interrupts.leaving:
            _execute(row, handler, interrupts, board, wants_to_stop, outer, data_only=data_only)
    finally:
        interrupts.held = held
        if board[TASK] != outer:
            board[LAST], board[TASK] = board[TASK], outer
        hand.executing = before
    return row.next - begin


def _execute(  # noqa: C901, PLR0912, PLR0915  a call for each step would cost more than most steps
    row: Row,
    handler: Callable[..., Any],
    interrupts: Interrupts,
    board: memoryview,
    wants_to_stop: Callable[[], bool] | None,
    outer: int,
    *,
    data_only: bool,
) -> None:
    """Execute tasks until there are none, or it is time to leave.

    Each task's id is on the scoreboard from its begin to that of the next one, or of anything else
    that is not ours. A signal that was meant for it may so come when it has its outcome: then it is
    too late, and nothing follows.

    This is one function not for speed alone. Python looks for signals when a function begins, so to
    deal with an error in another one would be a point more at which a `Broken` comes, outside of
    what catches it.
    """
    process, dropped, coming, keep = forks.mark, row.dropped, row.coming, row.results.append
    first, payloads, held = row.first, row.payloads, interrupts.held
    is_call, last, found, together = handler is call, b"", handler, isinstance(payloads, Chunk)
    columns: list[Sequence[Any]] | None = None
    calls: Sequence[tuple[Any, ...]] = ()
    #: The only parameters of tasks of which nothing else is to be seen to.
    alike: Sequence[Any] | None = None
    function, args, kwargs, done = b"", (), {}, None
    stage, task_id = PARAMETERS, row.next - 1
    while True:
        try:
            for task_id in coming:
                if dropped and task_id in dropped:
                    row.add(None)
                    continue
                board[TASK] = task_id
                interrupts.held = False
                stage = PARAMETERS
                if together:
                    if columns is None:
                        function, columns = open_calls(payloads)  # type: ignore[arg-type]
                        last = last if is_call else function  # a tag says what is to be done
                        if len(columns) > 1:
                            calls = list(zip(*columns, strict=True))
                        elif not data_only and wants_to_stop is None:
                            alike = columns[0]
                    at = task_id - first
                    args = calls[at] if calls else (columns[0][at],)
                    stage = HANDLER
                    if function is not last:  # for the first time
                        found = ready(function)
                        last = function
                    done = found(*args)
                else:
                    args = loads(payloads[task_id - first])  # type: ignore[index]  # no chunk
                    stage = HANDLER
                    if is_call:
                        function, args, kwargs = args
                        if function != last:
                            found = ready(function)
                            last = function
                    done = found(*args, **kwargs) if kwargs else found(*args)
                if process.is_fork:
                    forks.leave()
                stage, kind = SENDING, type(done)
                if kind is float and not data_only:
                    keep(done)
                else:
                    _keep(row, done, data_only=data_only)
                done = None  # perhaps a large one
                if alike is not None and not dropped:
                    rest, stage = alike[task_id + 1 - first :], HANDLER
                    for task_id, each in zip(coming, rest, strict=False):  # noqa: PLW2901  it is next
                        board[TASK] = task_id
                        done = found(each)
                        kind = type(done)
                        if (
                            kind is float
                            or (kind is int and -LARGEST < done < LARGEST)
                            or done is None
                        ):
                            keep(done)
                        else:
                            stage = SENDING
                            _keep(row, done)
                            done, stage = None, HANDLER
                        if interrupts.leaving or dropped:
                            break
                    if process.is_fork:
                        forks.leave()
                if interrupts.leaving:
                    return
                if wants_to_stop is not None and row.has_more():
                    interrupts.held = held
                    board[TASK] = outer
                    if wants_to_stop():
                        return
        except BaseException as error:
            outcome: Odd = None
            try:
                try:
                    if row.next <= task_id:
                        has_come = interrupts.has_come
                        outcome = failed(stage, error, done, has_come, None, data_only=data_only)
                    elif not isinstance(error, Broken):
                        raise
                finally:
                    interrupts.held = held  # what is meant for the outer task finds it waiting
                    board[LAST], board[TASK] = task_id, outer  # now nothing can be meant for it
            except Broken as broken:  # it came a moment before or after the handler's own code
                outcome = broken_off(broken, None, data_only=data_only)
            interrupts.is_over(task_id)
            if row.next <= task_id:
                row.add(outcome)
            done = None
            if interrupts.leaving:
                return
            if wants_to_stop is not None and row.has_more() and wants_to_stop():
                return
        else:
            return


def _keep(row: Row, result: object, *, data_only: bool = False) -> None:
    """The next task has returned this: fix it, unless it cannot change.

    Raises:
        Exception: It cannot be sent.
    """
    if not data_only and is_small(result):
        row.plain &= type(result) in PLAIN_KINDS
        row.results.append(result)
    else:
        row.add(_pickled(result, data_only=data_only))


def _pickled(result: object, *, data_only: bool) -> Odd:
    """Return what a result is sent as: its pickle, or by itself as a large one.

    Raises:
        Exception: It cannot be sent.
    """
    if data_only:
        payload = plain_payload(result)
    else:
        try:
            answer = dumps_plainly(result)
            if len(answer) <= CANNOT_NAME_MAIN or (len(answer) <= LARGE and goes_plainly(answer)):
                return answer
        except Exception:  # noqa: S110  not plainly: the next try decides
            pass
        payload = dumps_payload(result)
    return payload if isinstance(payload, bytes) else (RESULT, payload)
