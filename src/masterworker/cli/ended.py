"""Jobs that are gone, from their records: for `task_manager show LABEL` and `list --ended`."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Any, Final

from msgspec import to_builtins

from masterworker import job_record
from masterworker.cli import exit_codes
from masterworker.cli.knowing import record_of
from masterworker.cli.stderr import report
from masterworker.client import Client
from masterworker.data.record import printable
from masterworker.errors import JobEndedError, MasterNotFoundError, TransportError
from masterworker.security.credentials import user_credential
from masterworker.security.peer import Role
from masterworker.transport.discovery import labels
from masterworker.transport.pyro.connection import connect
from masterworker.views import plain, wording

if TYPE_CHECKING:
    from masterworker.job_record import Record
    from masterworker.transport.address import Address

_TIME: Final = "%Y-%m-%d %H:%M:%S"


def show(label: str, error: MasterNotFoundError, *, as_json: bool) -> int:
    """Print how a job stood last that is not there, and say on stderr that it is not.

    Args:
        label: Its label.
        error: Says that it is not there.
        as_json: For programs.

    Returns:
        The exit status, which stays that of the error: the job is not there.

    Raises:
        MasterNotFoundError: No record of it is kept, or it cannot be used.
    """
    record = record_of(label, error)
    status = report(MasterNotFoundError(_said(record, error)))
    if as_json:
        content = {
            "label": label,
            "record": _summary(record),
            "snapshot": to_builtins(record.snapshot),
        }
        print(json.dumps(content, indent=2))
    else:
        print(
            *plain.lines(label, wording.without_forecast(record.snapshot), record.saved), sep="\n"
        )
    return status


def show_all(*, as_json: bool) -> int:
    """Print the jobs that are gone, and of which records are kept. Returns the exit status."""
    found, wrong = job_record.all_records()
    found = _gone(found)
    if as_json:
        print(json.dumps([_summary(record) for record in found], indent=2))
    elif not found:
        print("no records of ended jobs are kept")
    else:
        for record in found:
            what = "ended" if record.snapshot.ended else "not heard of since"
            stood = wording.headline(record.label, wording.without_forecast(record.snapshot))
            print(printable(f"{what} {_time(record)}  {stood}"))
    for text in wrong:
        print(printable(f"task_manager: {text}"), file=sys.stderr)
    return exit_codes.OK


def _said(record: Record, error: MasterNotFoundError) -> str:
    """Say in one sentence why a record is shown, and of when it is."""
    when = _time(record)
    if isinstance(error, JobEndedError):
        return f"{error}; this is how it stood at {when}"
    if record.snapshot.ended:
        what = "the last run of which a record is kept ended"  # another one may have been killed
        return f"{error}; {what} at {when}, this is how it stood then"
    return f"{error}; not heard of since {when} ({record.master}), this is how it stood then"


def _time(record: Record) -> str:
    return time.strftime(_TIME, time.localtime(record.saved))


def _summary(record: Record) -> dict[str, Any]:
    stood = record.snapshot
    names = ("ended", "began", "age", "asked", "done", "failed", "cancelled")
    about = {name: getattr(stood, name) for name in names}
    return {"label": record.label, "saved": record.saved, "master": record.master} | about


def _gone(records: list[Record]) -> list[Record]:
    """Leave out those of jobs that run."""
    if all(record.snapshot.ended for record in records):
        return records
    living = labels()
    return [
        record
        for record in records
        if record.snapshot.ended
        or record.label not in living
        or _run_of(record.label, living[record.label]) != record.snapshot.instance
    ]


def _run_of(label: str, address: Address) -> str:
    """Return the name of a master's run; "": it does not answer."""
    client = Client(
        lambda: connect(address, label, credential=lambda: user_credential(Role.OBSERVER))
    )
    try:
        return str(client.call("instance"))
    except TransportError:
        return ""
    finally:
        client.disconnect()
