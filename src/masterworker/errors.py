"""Every error that masterworker raises, in one tree.

Whose fault it is can be read off the class: `UsageError` is the caller's, `TransportError` the
network's or the peer's, `TaskError` the task's, and `InternalError` ours.
All of them survive pickling. Nothing in this module imports anything else of the package.
"""

from __future__ import annotations


class MasterworkerError(Exception):
    """Anything that masterworker raises on purpose."""


class UsageError(MasterworkerError, ValueError):
    """You called it in a way that cannot work; the text says what can."""


class UnknownKeywordError(UsageError, TypeError):
    """Something was called with a keyword that it does not know."""


class UnpicklableError(UsageError):
    """A value that must travel to another process cannot be pickled."""


class NotPlainError(UsageError):
    """A value is not made of plain data alone, so it cannot travel without a pickle."""


class NotAllowedError(UsageError):
    """The manager does not do this for a process with such a ticket or role."""


class LabelTakenError(UsageError):
    """A living master uses this label already."""


class NoCodeError(UsageError):
    """The master has stored no slave code."""


class NotKeptError(UsageError):
    """No such failed call is kept."""


class JournalError(MasterworkerError):
    """A journal cannot be used, or not any more; the text says why, and what to do."""


class CodeChangedError(JournalError):
    """A function is not what it was when the outcomes in the journal were computed."""


class Terminated(MasterworkerError):
    """The task manager has ended, and will not answer any more."""


class TransportError(MasterworkerError):
    """The other process could not be reached, or the connection broke."""


class CredentialError(TransportError):
    """A key, certificate or ticket cannot be used.

    It is missing, unsafe, expired, or not accepted by the other side.
    """


class NotTrustedError(CredentialError):
    """What answers cannot prove that it belongs to this user's jobs, or does not believe we do."""


class MasterNotFoundError(TransportError):
    """No living master has this label or address."""


class JobEndedError(MasterNotFoundError):
    """The job was there, and was ended in good order.

    Attributes:
        label: Its label.
        seconds: How long ago it ended.
    """

    #: A worker that comes this late has missed nothing but the end, and ends silently (seconds).
    JUST_NOW = 30.0

    def __init__(self, label: str, seconds: float) -> None:
        super().__init__(label, seconds)
        self.label = label
        self.seconds = seconds

    def __str__(self) -> str:
        ago = f"{self.seconds:.0f} s" if self.seconds < 120 else f"{self.seconds / 60:.0f} min"
        return f"the job {self.label!r} has ended {ago} ago"

    @property
    def is_fresh(self) -> bool:
        """Whether it was just now."""
        return self.seconds < self.JUST_NOW


class MasterGoneError(TransportError):
    """The master was there, and is gone."""


class RejectedError(TransportError):
    """The master refused this process; trying again will not help."""


class NotRegisteredError(TransportError):
    """The manager does not know this process (any more): it has to join again."""


class WorkerStartError(MasterworkerError):
    """A worker that was launched here ended before it could join."""


class EngineError(WorkerStartError):
    """The engine of this job cannot be reached, or executes nothing any more."""


class RemoteError(MasterworkerError):
    """Stands for an exception of a worker that cannot be rebuilt in this process.

    Args:
        type_name: Name of the class of the original exception.
        message: Its text.
    """

    def __init__(self, type_name: str, message: str) -> None:
        super().__init__(type_name, message)
        self.type_name = type_name
        self.message = message

    def __str__(self) -> str:
        return f"{self.type_name}: {self.message}" if self.message else self.type_name


class TaskError(MasterworkerError):
    """A task has no result.

    Attributes:
        task_id: The id that the request returned.
        tag: What kind of task it was.
    """

    def __init__(self, task_id: str, tag: str, *details: object) -> None:
        super().__init__(task_id, tag, *details)
        self.task_id = task_id
        self.tag = tag


class TaskFailed(TaskError):
    """The task's handler raised an exception.

    Attributes:
        exception: The original exception, or a `RemoteError` where it cannot be rebuilt here.
        traceback: Text of the traceback in the worker.
        worker: Which process it was.
        attempts: How often it was tried.
    """

    def __init__(
        self,
        task_id: str,
        tag: str,
        exception: BaseException,
        traceback: str,
        worker: str = "",
        attempts: int = 1,
    ) -> None:
        super().__init__(task_id, tag, exception, traceback, worker, attempts)
        self.exception = exception
        self.traceback = traceback
        self.worker = worker
        self.attempts = attempts

    def where(self) -> str:
        """Return in which process it failed, and after how many attempts."""
        last = f"the last of {self.attempts} attempts" if self.attempts > 1 else ""
        return ", ".join(filter(None, [f"worker {self.worker}" if self.worker else "", last]))

    def __str__(self) -> str:
        kind = type(self.exception).__name__
        cause = str(self.exception)
        if not isinstance(self.exception, RemoteError):
            cause = f"{kind}: {cause}" if cause else kind
        where = f" in {text}" if (text := self.where()) else ""
        return f"task {self.task_id} raised {cause}{where}\n{self.traceback}".rstrip()


class TaskLost(TaskFailed):
    """The task was running in several processes that ended, so it is not tried again.

    Attributes:
        history: One line for each of those processes.
    """

    def __init__(self, task_id: str, tag: str, history: list[str]) -> None:
        text = "\n".join(f"  {line}" for line in history)
        cause = RemoteError("TaskLost", f"it took {len(history)} workers down with it")
        super().__init__(task_id, tag, cause, text)
        self.args = (task_id, tag, history)
        self.history = history

    def __str__(self) -> str:
        return f"task {self.task_id} took {len(self.history)} workers down:\n{self.traceback}"


class TaskTimeout(MasterworkerError, TimeoutError):
    """The task took longer than its time limit."""


class TaskCancelled(TaskError):
    """The task was cancelled, so it has no result."""

    def __str__(self) -> str:
        return f"task {self.task_id} was cancelled"


class MalformedError(MasterworkerError, ValueError):
    """Bytes that came from another process are not what they should be."""


class InternalError(MasterworkerError):
    """A rule of our own is broken: a bug in masterworker. Please report it with this text."""
