"""What is known of a job, for what is written of it: from its master, or from its record."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from masterworker import job_record
from masterworker.cli.finding import find, is_elsewhere
from masterworker.data.record import printable
from masterworker.errors import MasterNotFoundError, UsageError
from masterworker.recorder.shapes import Looked
from masterworker.security.peer import Role
from masterworker.views.known import Known

if TYPE_CHECKING:
    import argparse

    from masterworker.job_record import Record


def known(label: str, options: argparse.Namespace) -> Known:
    """Return what is known of a job. Where it is gone, that is said on stderr in one line.

    Args:
        label: Its label.
        options: Of the command line: where its master is, ...

    Raises:
        MasterNotFoundError: It is not there, and no record of it is kept.
    """
    try:
        client = find(label, options.master, wait=options.wait, role=Role.OBSERVER)
    except MasterNotFoundError as error:
        if is_elsewhere(options):
            raise
        return _kept(label, error)
    try:
        return Known(label, client.look(Looked()), client.spans())
    finally:
        client.disconnect()


def record_of(label: str, error: MasterNotFoundError) -> Record:
    """Return the record of a job that is not there.

    Args:
        label: Its label.
        error: Says that it is not there.

    Raises:
        MasterNotFoundError: No record of it is kept, or it cannot be used; says so.
    """
    try:
        record = job_record.find(label)
    except UsageError as wrong:
        raise MasterNotFoundError(f"{error}; {wrong}") from None
    if record is None:
        raise error
    return record


def _kept(label: str, error: MasterNotFoundError) -> Known:
    record = record_of(label, error)
    when = f"{datetime.fromtimestamp(record.saved, UTC).astimezone():%Y-%m-%d %H:%M:%S}"
    what = "ended" if record.snapshot.ended else "was not heard of any more"
    text = f"the job {label!r} is not there; this is from its record of {when}, when it {what}"
    print(f"task_manager: {printable(text)}", file=sys.stderr)
    return Known(label, record.snapshot, record.spans, record.saved, record.master)
