"""What is known of a failed task: a record that never does harm.

The record is plain data, so its text can be read without unpickling. The exception itself
travels inside as bytes, and only when the worker has seen that it survives the trip.
"""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING

from masterworker.data.pickling import dumps, line_of, loads
from masterworker.data.record import MAX_OBJECT, Failure, cut
from masterworker.errors import RemoteError, TaskTimeout

if TYPE_CHECKING:
    from collections.abc import Callable

    from masterworker.data.exceptions import Parts, Whole


def describe(
    error: BaseException, *, hide_frames: int = 0, hint: str = "", data_only: bool = False
) -> Failure:
    """Make the record of an exception. Never raises, whatever the exception's class does.

    Args:
        error: The exception, with its traceback.
        hide_frames: How many of the outermost frames are our own and of no use to the user.
        hint: A sentence that helps; becomes a note of the exception.
        data_only: Only the text travels, not the exception itself.
    """
    if hint:
        from masterworker.data.exceptions import note

        note(error, hint)
    frames = error.__traceback__
    for _ in range(hide_frames):
        if frames is None or frames.tb_next is None:
            break
        frames = frames.tb_next
    try:
        text = "".join(traceback.format_exception(type(error), error, frames))
    except BaseException as second:
        text = f"(the traceback cannot be shown: {type(second).__name__})\n"
    pickled = b"" if data_only else _pickle(error)
    return Failure(type(error).__name__, cut(text_of(error)), cut(text), pickled)


def text_of(error: BaseException) -> str:
    """Return an exception's text. Never raises."""
    try:
        return str(error)
    except BaseException as second:
        return f"(its text cannot be shown: {type(second).__name__})"


def rebuild(failure: Failure) -> BaseException:
    """Get the original exception back, with its causes; a `RemoteError` where that fails.

    One of ours that consists of its text needs no pickle.
    """
    if failure.pickled:
        from masterworker.data.exceptions import put_together

        try:
            return put_together(loads(failure.pickled))
        except KeyboardInterrupt:
            raise
        except BaseException:  # noqa: S110  its class is not here, or does harm: the text
            pass
    if failure.type_name == TaskTimeout.__name__:
        return TaskTimeout(failure.message)
    return RemoteError(failure.type_name, failure.message)


def _pickle(error: BaseException) -> bytes:
    """Pickle an exception with those that it refers to; of what cannot travel, as much as can."""
    from masterworker.data.exceptions import put_together, take_apart, without

    def survives(one: BaseException) -> bool:
        return not _why_not(one)

    ways: tuple[Callable[[], list[Parts | Whole]], ...] = (
        lambda: take_apart(error),
        lambda: without(take_apart(error, asked=survives), _why_not),
        lambda: without(take_apart(error, asked=survives, most=1), _why_not),
    )
    for way in ways:
        try:
            data = dumps(way())
            if len(data) <= MAX_OBJECT and isinstance(put_together(loads(data)), type(error)):
                return data
        except BaseException:  # noqa: S112  the user's classes may do anything here
            continue
    return b""


def _why_not(value: object) -> str:
    """Say why a value cannot travel; "": it can."""
    try:
        loads(dumps(value))
    except Exception as error:
        return line_of(error)
    return ""
