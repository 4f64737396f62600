"""Task ids as users see them: the tag, an underscore, and how many tasks were asked for before.

Inside, tasks are numbered from 1, since 0 stands for "no task" in messages and in shared memory.
Users see them numbered from 0, as published. Only this module knows of the difference.
"""

from __future__ import annotations

from typing import Final

from masterworker.errors import UsageError

#: In the tags of calls that tasks ask for: what follows tells who collects the outcomes.
COLLECTED_BY: Final = " ~"


def task_name(tag: str, number: int) -> str:
    """Make the id of a task from its tag and its number inside."""
    return f"{shown_tag(tag)}_{shown_number(number)}"


def shown_tag(tag: str) -> str:
    """Return the tag that users see, from the tag inside."""
    return tag.partition(COLLECTED_BY)[0] if tag.startswith("@") else tag


def shown_number(number: int) -> int:
    """Return the number that users see, from the number inside."""
    return number - 1


def task_number(name: str) -> int:
    """Return the number inside of a task that a user names, by its id or by its number alone.

    Raises:
        UsageError: It is not the id of a task.
    """
    _, _, shown = str(name).rpartition("_")
    if not shown.isdecimal():
        raise UsageError(f"{name!r} is not the id of a task")
    return int(shown) + 1
