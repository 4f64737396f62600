"""What all commands write to stderr: the log, and errors, each in one line and a number."""

from __future__ import annotations

import logging
import re
import sys
from typing import Final

from masterworker import errors
from masterworker.cli import exit_codes
from masterworker.launch.exits import PROGRAM

_TICKET: Final = r"""mw[0-9]+\.[A-Za-z0-9_-]{12}[^'"]*"""


def report(error: errors.MasterworkerError) -> int:
    """Say on stderr what is wrong. Returns the exit status that goes with it."""
    status, text = describe(error)
    print(f"{PROGRAM}{text}", file=sys.stderr)
    return status


def describe(error: errors.MasterworkerError) -> tuple[int, str]:
    """Return the exit status that goes with an error, and what is wrong, in one line."""
    return _status(error), _one_line(error)


def handed_over(fd: int) -> str:
    """Read the ticket that a supervisor has for its worker."""
    try:
        with open(fd, encoding="ascii") as file:
            return file.read()
    except (OSError, ValueError):
        raise errors.CredentialError("no ticket was handed over to this process") from None


def show_log(level: int) -> None:
    """Show our own log on stderr; what other packages log is not ours to show."""
    ours = logging.getLogger("masterworker")
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(message)s"))
    ours.addHandler(handler)
    ours.setLevel(level)
    ours.propagate = False


def _status(error: errors.MasterworkerError) -> int:
    table: tuple[tuple[type[errors.MasterworkerError], int], ...] = (
        (errors.NoCodeError, exit_codes.NO_CODE),
        (errors.NotKeptError, exit_codes.NOT_FOUND),
        (errors.MasterGoneError, exit_codes.MASTER_GONE),
        (errors.RejectedError, exit_codes.REJECTED),
        (errors.CredentialError, exit_codes.NOT_TRUSTED),
        (errors.TransportError, exit_codes.NOT_FOUND),
        (errors.UsageError, exit_codes.USAGE),
    )
    return next((status for kind, status in table if isinstance(error, kind)), exit_codes.FAILED)


def _one_line(error: BaseException) -> str:
    """Return what it says; a part may come from elsewhere, and plays no tricks on a terminal."""
    line = without_tickets(" ".join(str(error).split()))
    return line if line.isprintable() else "".join(c if c.isprintable() else "?" for c in line)


def without_tickets(text: str) -> str:
    """Leave out what may be a ticket, as from a mistyped option: stderr goes to log files.

    It may be broken by spaces, so all up to the end or a quote is left out.
    """
    return re.sub(_TICKET, "(a ticket, which is not repeated)", text)
