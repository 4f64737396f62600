"""Why a process has left, or is taken for gone: one type with its cases.

| case          | a strike for                        | may come back |
|---------------|-------------------------------------|---------------|
| `Left`        | nothing: it signed off              | no            |
| `Blameless`   | nothing: that is no task's fault    | --            |
| `Vanished`    | what it was executing, if known     | no            |
| `Unexplained` | the same, until it comes back       | yes           |
| `Ended`       | the task that its supervisor names  | no            |
| `Stopped`     | the same, until it is continued     | yes           |
"""

from __future__ import annotations

from typing import ClassVar

import msgspec


class Departure(msgspec.Struct, frozen=True):
    """Why a process is not here any more."""

    #: It is not certain that its process has ended; it may come back.
    is_doubtful: ClassVar[bool] = False
    #: Its process may have ended because of what it executed.
    blames: ClassVar[bool] = False

    #: As text, for the stories of its tasks.
    reason: str = ""


class Left(Departure, frozen=True):
    """It signed off in good order."""


class Blameless(Departure, frozen=True):
    """It is silent, has joined once more, was asked to end, or its whole host is gone."""


class Vanished(Departure, frozen=True):
    """It has ended, and what it was executing is known only if it had said so itself."""

    blames: ClassVar[bool] = True


class Unexplained(Departure, frozen=True):
    """Its connection has closed, and there is no word from a supervisor: did it end?"""

    blames: ClassVar[bool] = True
    is_doubtful: ClassVar[bool] = True


class Ended(Departure, frozen=True):
    """Its supervisor saw it end."""

    blames: ClassVar[bool] = True

    #: The task that it was executing, or the one after which it was broken; 0: none.
    task_id: int = 0


class Stopped(Departure, frozen=True):
    """Its supervisor sees it stand still; it may be continued."""

    blames: ClassVar[bool] = True
    is_doubtful: ClassVar[bool] = True

    #: As of `Ended`.
    task_id: int = 0
