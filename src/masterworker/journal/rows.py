"""The outcomes of a journal as rows, for people and other programs: what counts, one at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from masterworker.core import task
from masterworker.core.chunks import Chunk
from masterworker.core.filters import CALL_MARK
from masterworker.core.streams import Stream
from masterworker.data import record
from masterworker.data.chunks import HAS_STREAM, Values, open_columns
from masterworker.data.failure import text_of
from masterworker.data.outcome import open_result
from masterworker.data.pickling import loads
from masterworker.journal.plainly import plainly
from masterworker.journal.records import Aside, Done, keys_in
from masterworker.journal.that_count import Exceptions
from masterworker.named import NamedTuple
from masterworker.taskid import shown_tag

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from masterworker.core.task import Payload
    from masterworker.journal.aside import LargeFiles
    from masterworker.journal.walk import Walk

#: What became of a task.
RESULT: Final = "result"
_STATES: Final = {task.RESULT: RESULT, task.FAILURE: "failure", task.LOST: "lost"}
#: Larger results are named, and not opened (bytes).
LARGEST: Final = 16 << 20


class Row(NamedTuple):
    """One outcome, of plain values."""

    #: The key of the task, in hexadecimal digits.
    task: str
    tag: str
    state: str
    #: A list, or a text that says why there is none.
    parameters: Any
    result: Any
    failure: str
    worker: str
    attempts: int
    #: Seconds since 1970.
    time: float


def rows(walk: Walk, large: LargeFiles) -> Iterator[Row]:
    """Yield the outcomes that count: results, and what has failed where there is none.

    They are unpickled. In memory is one record, and some 150 bytes for each failure and for each
    outcome that was forgotten.

    Args:
        walk: The journal; it is read twice.
        large: Its large payloads.

    Raises:
        JournalError: It is damaged before its end.
    """
    exceptions = Exceptions(walk.records())
    for position, entry in walk.records():
        if isinstance(entry, Done):
            keys = keys_in(entry.keys)
            yield from _rows(entry, exceptions.that_count(position, entry.kind, keys), keys, large)


def _rows(done: Done, wanted: Iterable[int], keys: list[bytes], large: LargeFiles) -> Iterator[Row]:
    asked, together = done.asked, None
    if isinstance(done.payloads, Chunk):
        values, payloads = Values(done.payloads), []
    else:
        values, payloads = None, done.payloads
    if isinstance(asked, bytes):
        together = _columns(asked)
    state, tag = _STATES.get(done.kind, "failure"), shown_tag(done.tag).removeprefix(CALL_MARK)
    for at in wanted:
        if isinstance(together, list):
            parameters = plainly(list(together[at]))
        else:
            parameters = together if together is not None else _parameters(done, at)
        result, failure = None, ""
        if done.kind != task.RESULT and values is None:
            failure = _failure(done.kind, payloads[at])
        elif values is not None:
            result = _opened(lambda at=at: values.open()[at])
        else:
            result = _result(payloads[at], large)
        yield Row(
            *(keys[at].hex(), tag, state, parameters, result, failure),
            *(done.worker, done.attempts, done.when),
        )


def _columns(asked: bytes) -> list[tuple[Any, ...]] | str:
    if not asked:
        return ""
    try:
        return open_columns(asked)
    except Exception as error:  # as `_opened`
        return _why_not(error)


def _parameters(done: Done, at: int) -> Any:
    """Return the parameters of a call: a list; with those by name, if there are any, at its end."""
    asked = done.asked[at] if done.asked else b""
    if not isinstance(asked, bytes) or not asked:
        return ""

    def look() -> Any:
        if asked[:1] != b"\x80":
            return list(open_columns(asked)[0])
        call = loads(asked)
        if isinstance(call, list):
            return [each[0] for each in call]
        if not done.tag.startswith(CALL_MARK):
            return [each for each in call if not isinstance(each, Stream)]
        function, args, keywords = call
        if isinstance(function, bytes) and HAS_STREAM in function:
            args = args[:-1]
        return [*args, keywords] if keywords else list(args)

    return _opened(look)


def _result(payload: Payload | Aside, large: LargeFiles) -> Any:
    if not isinstance(payload, Aside):
        return _opened(lambda: open_result(payload))
    if payload.size > LARGEST:
        return f"({payload.size:,} bytes, in the file {payload.digest[:2]}/{payload.digest[2:]})"
    segment = large.read(payload)
    if segment is None:
        return "(its file is gone, or was changed)"
    return _opened(lambda: open_result(segment))


def _failure(kind: int, payload: Payload | Aside) -> str:
    if not isinstance(payload, bytes):
        return "(its record cannot be read)"
    if kind == task.LOST:
        return "; ".join(task.read_history(payload))
    try:
        found = record.decode(payload)
    except Exception:
        return "(its record cannot be read)"
    return f"{found.type_name}: {found.message}" if found.message else found.type_name


def _opened(look: Any) -> Any:
    """Return a value as plain ones; or a text that says why it cannot be rebuilt here."""
    try:
        return plainly(look())
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # classes of the user's may do anything
        return _why_not(error)


def _why_not(error: BaseException) -> str:
    text = f"(cannot be rebuilt here: {type(error).__name__}: {text_of(error)})"[:500]
    return text.encode("utf-8", "replace").decode()
