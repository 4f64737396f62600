"""What guests may deliver: failures whose texts harm nobody, and perhaps nothing to be unpickled.

A pickle that comes all the same, in a job that takes only data from them, becomes a failure of its
task, with a text that says so. It could be refused instead, and the task go to another worker; but
where all workers are guests that send pickles, the task would go round for ever.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from masterworker.core.chunks import Chunk
from masterworker.core.task import FAILURE, RESULT, Outcome
from masterworker.data import record
from masterworker.data.items import one_by_one
from masterworker.data.plain import is_plain
from masterworker.data.segment import bytes_of
from masterworker.errors import MalformedError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from masterworker.core.task import Payload

_SENT_PICKLE = "sent a pickle"
_SENT_NOISE = "sent the record of a failure that cannot be read"
_ONLY_DATA = '; this job takes only data from workers with a ticket (results="data")'


def sanitize(outcome: Outcome, who: str, *, data_only: bool) -> Iterator[Outcome]:
    """Give what becomes of an outcome that a guest delivers, of one task or of several.

    Args:
        outcome: What it delivers, of a kind that workers may deliver.
        who: Who it is, for the text of the failure.
        data_only: Nothing may have to be unpickled.
    """
    first, attempt, kind, payload = outcome
    if not isinstance(payload, (list, Chunk)):
        yield _sanitize_one(outcome, payload, who, data_only=data_only)
        return
    each = one_by_one(payload)
    if kind == RESULT and (not data_only or all(map(is_plain, each))):
        yield outcome
    else:
        for task_id, one in enumerate(each, first):
            yield _sanitize_one(Outcome(task_id, attempt, kind, one), one, who, data_only=data_only)


def _sanitize_one(outcome: Outcome, payload: Payload, who: str, *, data_only: bool) -> Outcome:
    task_id, attempt, kind, _ = outcome
    fault = _SENT_PICKLE
    if kind == RESULT:
        if not data_only or is_plain(payload):
            return outcome
    else:
        try:
            told = record.decode(bytes_of(payload))
            if not (data_only and told.pickled):
                return Outcome(task_id, attempt, kind, record.tidy(told).encode())
        except MalformedError:
            fault = _SENT_NOISE
    name, more = ("NotPlainError", _ONLY_DATA) if data_only else ("MalformedError", "")
    failure = record.Failure(name, f"{who} {fault}{more}", "", b"")
    return Outcome(task_id, attempt, FAILURE, failure.encode())


def sanitize_record(payload: Payload, *, data_only: bool) -> bytes | None:
    """Return the record of a failure as a guest's supervisor may give it; None: it is none.

    The supervisor does not know what the job takes, so its pickle is dropped where only data is.
    """
    try:
        told = record.tidy(record.decode(bytes_of(payload)))
    except MalformedError:
        return None
    return (told._replace(pickled=b"") if data_only else told).encode()
