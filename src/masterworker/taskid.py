"""Task ids as users see them: the tag, an underscore, and the number of the task."""

from __future__ import annotations

from masterworker.errors import UsageError


def task_name(tag: str, number: int) -> str:
    """Make the id of a task."""
    return f"{tag}_{number}"


def task_number(name: str) -> int:
    """Return the number of a task.

    Raises:
        UsageError: It is not the id of a task.
    """
    _, _, number = str(name).rpartition("_")
    if not number.isdecimal():
        raise UsageError(f"{name!r} is not the id of a task")
    return int(number)
