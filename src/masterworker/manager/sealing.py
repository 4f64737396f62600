"""What guests may deliver: failures whose texts harm nobody, and perhaps nothing to be unpickled.

A pickle that comes all the same, in a job that takes only data from them, becomes a failure of its
task, with a text that says so. It could be refused instead, and the task go to another worker; but
where all workers are guests that send pickles, the task would go round for ever.
"""

from __future__ import annotations

from masterworker.core.task import FAILURE, RESULT, Outcome
from masterworker.data import record
from masterworker.data.plain import is_plain
from masterworker.errors import MalformedError

_SENT_PICKLE = "sent a pickle"
_SENT_NOISE = "sent the record of a failure that cannot be read"
_ONLY_DATA = '; this job takes only data from workers with a ticket (results="data")'


def sealed(outcome: Outcome, who: str, *, data_only: bool) -> Outcome:
    """Return what becomes of an outcome that a guest delivers.

    Args:
        outcome: What it delivers, of a kind that workers may deliver.
        who: Who it is, for the text of the failure.
        data_only: Nothing may have to be unpickled.
    """
    task_id, attempt, kind, payload = outcome
    fault = _SENT_PICKLE
    if kind == RESULT:
        if not data_only or is_plain(payload):
            return outcome
    else:
        try:
            told = record.decode(payload)
            if not (data_only and told.pickled):
                return Outcome(task_id, attempt, kind, record.tidy(told).encode())
        except MalformedError:
            fault = _SENT_NOISE
    name, more = ("NotPlainError", _ONLY_DATA) if data_only else ("MalformedError", "")
    failure = record.Failure(name, f"{who} {fault}{more}", "", b"")
    return Outcome(task_id, attempt, FAILURE, failure.encode())


def sealed_record(payload: bytes, *, data_only: bool) -> bytes | None:
    """Return the record of a failure as a guest's supervisor may give it; None: it is none.

    The supervisor does not know what the job takes, so its pickle is dropped where only data is.
    """
    try:
        told = record.tidy(record.decode(payload))
    except MalformedError:
        return None
    return (told._replace(pickled=b"") if data_only else told).encode()
