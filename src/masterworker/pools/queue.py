"""Asks the queue of a batch system how jobs stand."""

from __future__ import annotations

import os
import pwd
from typing import TYPE_CHECKING, Final

from masterworker.pools import commands
from masterworker.pools.commands import CommandError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from masterworker.pools.systems.system import Entry, System

#: One question for all jobs is to be answered within this time (seconds).
BOUND: Final = 20.0


def ask(system: System, jobs: Iterable[str]) -> Mapping[str, Entry]:
    """Return how jobs stand, by id; may name others', too. Waits for the answer.

    Raises:
        CommandError: There is none.
        AnswerError: It cannot be read.
    """
    try:
        user = pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        raise CommandError("the queue cannot be asked: this user has no name here") from None
    return system.entries(commands.listing(system.queue(user, jobs), BOUND))
