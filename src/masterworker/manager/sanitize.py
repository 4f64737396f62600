"""What guests may send: harmless texts, and no pickles where a job takes only data from them.

A pickle that comes all the same, in a job that takes only data from them, becomes a failure of its
task, with a text that says so. It could be refused instead, and the task go to another worker; but
where all workers are guests that send pickles, the task would go round for ever.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from masterworker.core.options import FARTHEST, LONGEST
from masterworker.core.task import FAILURE, RESULT, Outcome
from masterworker.data import record
from masterworker.data.items import one_by_one
from masterworker.data.plain import is_plain
from masterworker.data.segment import bytes_of
from masterworker.errors import MalformedError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from masterworker import wire
    from masterworker.core.options import Options
    from masterworker.core.task import Payload

#: Texts that a guest gives are cut (characters): a line about itself, how a process has ended, its
#: last lines.
LINE, HOW, TAIL = 300, 1000, 8000
#: A tag that it asks for is not longer (characters): it is shown to people.
LONGEST_TAG = 200

_SENT_PICKLE = "sent a pickle"
_SENT_NOISE = "sent the record of a failure that cannot be read"
_ONLY_DATA = '; this job takes only data from workers with a ticket (accept="data")'


def outcome(given: Outcome, guest: str, *, data_only: bool) -> Iterator[Outcome]:
    """Return what becomes of an outcome that a guest delivers, of one task or of several.

    Args:
        given: What it delivers, of a kind that workers may deliver.
        guest: The guest, for the text of the failure.
        data_only: Nothing may have to be unpickled.
    """
    kind, each = given.kind, one_by_one(given.payloads)
    if kind == RESULT and (not data_only or all(map(is_plain, each))):
        yield given
    else:
        for task_id, one in enumerate(each, given.task_id):
            single = Outcome(task_id, given.attempt, kind, [one])
            yield _one(single, one, guest, data_only=data_only)


def _one(given: Outcome, payload: Payload, guest: str, *, data_only: bool) -> Outcome:
    fault = _SENT_PICKLE
    if given.kind == RESULT:
        if not data_only or is_plain(payload):
            return given
    else:
        try:
            found = record.decode(bytes_of(payload))
            if not (data_only and found.pickled):
                return replace(given, payloads=[record.tidy(found).encode()])
        except MalformedError:
            fault = _SENT_NOISE
    name, more = ("NotPlainError", _ONLY_DATA) if data_only else ("MalformedError", "")
    failure = record.Failure(name, f"{guest} {fault}{more}", "", b"")
    return replace(given, kind=FAILURE, payloads=[failure.encode()])


def failure(payload: Payload, *, data_only: bool) -> bytes | None:
    """Return the record of a failure as a guest's supervisor may give it; None: it is none.

    The supervisor does not know what the job takes, so its pickle is dropped where only data is.
    """
    try:
        found = record.tidy(record.decode(bytes_of(payload)))
    except MalformedError:
        return None
    return (found._replace(pickled=b"") if data_only else found).encode()


# -- texts and numbers ---------------------------------------------------------------------------


def clean(text: str, most: int) -> str:
    """Return a text in one line that cannot play tricks on a terminal."""
    return record.printable(" ".join(text[: 2 * most].split())[:most])[:most]


def hello(given: wire.Hello) -> wire.Hello:
    """Return how a guest introduces itself, with its texts clean."""
    return replace(
        given,
        info=clean(given.info, LINE),
        python=clean(given.python, LINE),
        version=clean(given.version, LINE),
        program=clean(given.program, LINE),
    )


def ending(given: wire.Ending) -> wire.Ending:
    """Return what a guest's supervisor reports of a process, with its texts clean."""
    return replace(
        given,
        info=clean(given.info, LINE),
        how=clean(given.how, HOW),
        tail="\n".join(clean(line, LINE) for line in given.tail[-TAIL:].splitlines()),
    )


def check_tag(tag: str) -> None:
    """Refuse a tag that would play tricks on the terminals where it is shown.

    Raises:
        UsageError: It cannot be printed, or is too long.
    """
    if len(tag) > LONGEST_TAG or not tag.isprintable():
        raise UsageError(
            f"a worker with a ticket may ask for tags of at most {LONGEST_TAG} characters that can "
            f"be printed, not for {tag[:50]!r}"
        )


def check_options(options: Options | None) -> None:
    """Refuse options that would harm the process that executes the task.

    Raises:
        UsageError: A value is out of its bounds.
    """
    if options is None:
        return
    timeout, retries, delay, priority, _, _ = options
    if not (
        (timeout is None or 0 < timeout < LONGEST)
        and 0 <= retries <= FARTHEST
        and 0 <= delay < LONGEST
        and -FARTHEST <= priority <= FARTHEST
    ):
        raise UsageError(f"a task cannot have these options: {options!r}")
