"""Opening an outcome: the result, or the right exception."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from masterworker.core.task import CANCELLED, LOST, RESULT, read_history
from masterworker.data import plain, record
from masterworker.data.failure import rebuild, text_of
from masterworker.data.pickling import open_payload
from masterworker.data.segment import bytes_of
from masterworker.errors import (
    MalformedError,
    RemoteError,
    TaskCancelled,
    TaskFailed,
    TaskLost,
    TaskTimeout,
)
from masterworker.taskid import task_name

if TYPE_CHECKING:
    from masterworker.core.task import Finished, Payload


#: Raised by a task, these would end the loop that asks for its result.
_ENDS_LOOPS: Final = (StopIteration, StopAsyncIteration)


#: Begins the notes that say in which task an exception was raised.
_IN: Final = "in task "


def open_result(payload: Payload) -> Any:
    """Rebuild a result: from plain data where that is what came, else from a pickle."""
    head = payload[:1] if isinstance(payload, bytes) else payload.head(1)
    return plain.decode(bytes_of(payload)) if head == plain.MARK else open_payload(payload)


def _opens(payload: Payload) -> bool:
    """Return whether a result can be opened after all: an interruption came from outside.

    What a signal handler raises comes wherever it likes, and not again.
    """
    try:
        open_result(payload)
    except KeyboardInterrupt:
        raise
    except BaseException:
        return False
    return True


def open_finished(finished: Finished) -> tuple[str, str, Any]:
    """Open an outcome.

    Returns:
        (task id, tag, result).

    Raises:
        TaskFailed: The task raised; the cause is the original exception.
        TaskLost: The task took too many workers with it.
        TaskCancelled: It was cancelled.
    """
    tag, kind, payload, worker = finished.tag, finished.kind, finished.payload, finished.worker
    task_id = task_name(tag, finished.task_id)
    if kind == RESULT:
        try:
            return task_id, tag, open_result(payload)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            if _opens(payload):
                raise
            text = f"the result cannot be rebuilt in this process: {type(error).__name__}: "
            text += text_of(error)
            cause = RemoteError(type(error).__name__, text)
            raise TaskFailed(task_id, tag, cause, text, worker) from error
    if kind == LOST:
        raise TaskLost(task_id, tag, read_history(bytes_of(payload)))
    if kind == CANCELLED:
        raise TaskCancelled(task_id, tag)
    try:
        failure = record.decode(bytes_of(payload))
    except MalformedError as error:
        raise TaskFailed(task_id, tag, error, "", worker, finished.attempts) from error
    exception = rebuild(failure)
    raise TaskFailed(
        task_id, tag, exception, failure.traceback, worker, finished.attempts
    ) from exception


def _is_told(noted: object, traceback: str) -> bool:
    return isinstance(noted, str) and noted.startswith(_IN) and noted.rstrip() in traceback


def value_or_error(finished: Finished) -> tuple[Any, BaseException | None]:
    """Return the result, or the exception that the task's function raised.

    One that would end more than the task (`SystemExit`, `KeyboardInterrupt`), or a loop without a
    word (`StopIteration`), is the cause of a `TaskFailed`. Another has a note that holds the
    worker's traceback, so that `except ValueError` works as it does for a plain call, and nothing
    is lost. Whatever this raises itself (a Ctrl-C) is not of the task.
    """
    if finished.kind == RESULT:
        try:
            return open_result(finished.payload), None
        except KeyboardInterrupt:
            raise
        except BaseException:  # open_finished says what is wrong
            if _opens(finished.payload):
                raise
    try:
        return open_finished(finished)[2], None
    except TaskCancelled as cancelled:
        return None, cancelled
    except TaskFailed as failed:
        original = failed.exception
        if isinstance(original, _ENDS_LOOPS) or not isinstance(original, Exception):
            failed.__cause__ = original
            return None, failed
        if isinstance(original, RemoteError):
            return None, failed
        from masterworker.data.exceptions import note  # most jobs have no failures

        # Of a task inside a task: the traceback holds the note of that, and each is shown once.
        notes = getattr(original, "__notes__", None)
        if isinstance(notes, list):
            notes[:] = [each for each in notes if not _is_told(each, failed.traceback)]
        note(original, f"{_IN}{failed.task_id}, {failed.where()}:\n{failed.traceback}")
        if isinstance(original, TaskTimeout) and failed.attempts > 1:
            original.args = (f"{original}; it was the last of {failed.attempts} attempts",)
        return None, original
