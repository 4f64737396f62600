"""The exceptions as published: what a program catches, and what it prints where it does not."""

from __future__ import annotations

from contextlib import ContextDecorator
from typing import TYPE_CHECKING, Final

from masterworker import errors

if TYPE_CHECKING:
    from types import TracebackType

_PUBLISHED_IN: Final = "Scientific.DistributedComputing.TaskManager"


class TaskManagerTermination(errors.Terminated):
    """The task manager has ended, and will not answer any more."""

    __module__ = _PUBLISHED_IN


class TaskRaisedException(errors.TaskFailed):
    """The task's handler raised an exception.

    Attributes:
        task_id: The id that the request returned.
        tag: What kind of task it was.
        exception: The original exception, or a `masterworker.errors.RemoteError` where it cannot
            be rebuilt here.
        traceback: Text of the traceback in the slave.
    """

    __module__ = _PUBLISHED_IN


class TaskLostException(TaskRaisedException, errors.TaskLost):
    """The task was running in several slaves that ended, so it is not tried again."""

    __module__ = _PUBLISHED_IN


_NAMES: Final[dict[type, type[BaseException]]] = {
    errors.Terminated: TaskManagerTermination,
    errors.TaskFailed: TaskRaisedException,
    errors.TaskLost: TaskLostException,
}


class _AsPublished(ContextDecorator):
    """Within this, or a function decorated with it, what is raised has its published class."""

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        published = _NAMES.get(kind) if kind is not None else None
        if published is not None and error is not None:
            error.__class__ = published  # the same object: with its traceback, cause and notes


as_published: Final = _AsPublished()
