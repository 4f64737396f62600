"""What guests may deliver in a job that takes only data from them: nothing to be unpickled.

A pickle that comes all the same becomes a failure of its task, with a text that says so. It could
be refused instead, and the task go to another worker; but where all workers are guests that send
pickles, the task would go round for ever.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from masterworker.core.task import FAILURE, RESULT, Outcome
from masterworker.data import record
from masterworker.data.plain import is_plain
from masterworker.errors import MalformedError

if TYPE_CHECKING:
    from collections.abc import Iterator

_SENT_PICKLE = "sent a pickle"
_SENT_NOISE = "sent the record of a failure that cannot be read"


def sealed(outcome: Outcome, who: str) -> Iterator[Outcome]:
    """Give outcomes that can be opened without unpickling anything.

    Args:
        outcome: What somebody delivers, of a kind that workers may deliver.
        who: Who it is, for the text of the failure.
    """
    first, attempt, kind, payload = outcome
    if not isinstance(payload, list):
        yield _sealed(outcome, kind, payload, who)
    elif kind == RESULT and all(map(is_plain, payload)):
        yield outcome
    else:
        for task_id, one in enumerate(payload, first):
            yield _sealed(Outcome(task_id, attempt, kind, one), kind, one, who)


def _sealed(outcome: Outcome, kind: int, payload: bytes, who: str) -> Outcome:
    fault = _fault(kind, payload)
    if not fault:
        return outcome
    text = f'{who} {fault}; this job takes only data from workers with a ticket (results="data")'
    failure = record.Failure("NotPlainError", text, "", b"")
    return Outcome(outcome[0], outcome[1], FAILURE, failure.encode())


def without_pickle(payload: bytes) -> bytes | None:
    """Return the record of a failure without the exception itself; None: it cannot be read."""
    try:
        return record.decode(payload)._replace(pickled=b"").encode()
    except MalformedError:
        return None


def _fault(kind: int, payload: bytes) -> str:
    if kind == RESULT:
        return "" if is_plain(payload) else _SENT_PICKLE
    try:
        return _SENT_PICKLE if record.decode(payload).pickled else ""
    except MalformedError:
        return _SENT_NOISE
