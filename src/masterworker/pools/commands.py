"""Runs a command of a batch system: bounded in time, without a shell, its words as they are."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING, Final

from masterworker.data.record import printable
from masterworker.errors import MasterworkerError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

#: Longest time that a command may take (seconds).
BOUND: Final = 60.0
#: Most of an answer that is read (characters).
_MOST: Final = 20_000_000


class CommandError(MasterworkerError):
    """A command of a batch system did not work; says what it said."""


def run(command: Sequence[str], bound: float = BOUND) -> str:
    """Run a command. Returns what it prints.

    Args:
        command: Its words.
        bound: Seconds that it may take.

    Raises:
        CommandError: It failed, took too long, or is not there.
    """
    name = command[0]
    try:
        done = subprocess.run(
            list(command),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=bound,
            check=False,
            env={**os.environ, "LC_ALL": "C.UTF-8"},
        )
    except subprocess.TimeoutExpired:
        raise CommandError(f"{name} has not answered within {bound:.0f} s") from None
    except (OSError, ValueError) as error:
        raise CommandError(f"{name} cannot be started: {error}") from None
    answer = done.stdout.decode("utf-8", "replace")[:_MOST]
    if done.returncode != 0:
        said = done.stderr.decode("utf-8", "replace").strip() or answer.strip()
        text = printable(" ".join(said.split())[:500]) or f"exit status {done.returncode}"
        raise CommandError(f"{name} refused: {text}")
    return answer


def require(programs: Iterable[str], title: str) -> None:
    """Check that what a batch system needs is there.

    Raises:
        UsageError: Something is missing.
    """
    lacks = [name for name in programs if shutil.which(name) is None]
    if lacks:
        raise UsageError(f"{', '.join(lacks)} cannot be found: is {title} on this machine?")
