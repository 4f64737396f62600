"""The operations that a process can ask for: their requests, their replies, and both decoded.

A request that is a record is given to the operation as itself; the fields of a tuple one by one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

import msgspec

from masterworker.core.census import Census
from masterworker.core.task import Payload
from masterworker.errors import RejectedError, UsageError
from masterworker.named import NamedTuple
from masterworker.version import __version__
from masterworker.wire.records import (
    Asker,
    Attendance,
    Collect,
    Collected,
    Exchange,
    Hello,
    Reply,
    Submission,
    SupervisorOrder,
    Welcome,
)
from masterworker.wire.vocabulary import PROTOCOL, Name, Number

if TYPE_CHECKING:
    from collections.abc import Callable


class Shapes(NamedTuple):
    """What an operation takes and gives."""

    request: Any
    reply: Any


OPERATIONS: dict[str, Shapes] = {
    "join": Shapes(Hello, Welcome),
    "instance": Shapes(Asker, str),
    # The random name of the job; "": its master does not come back as another run.
    "job": Shapes(tuple[()], str),
    "leave": Shapes(tuple[int], None),
    # False: this process is not registered (any more).
    "ping": Shapes(tuple[int], bool),
    "exchange": Shapes(Exchange, Reply),
    "request": Shapes(Submission, int),
    "collect": Shapes(Collect, Collected),
    "acknowledge": Shapes(tuple[Name, int], None),  # the reply of that call has arrived
    "forgo": Shapes(tuple[Name, int], None),  # nothing will come for the reply of that call
    "put_state": Shapes(tuple[Name, int, dict[Name, Payload]], int),
    "settle": Shapes(tuple[int, Number, Payload], bool),
    "give_back": Shapes(tuple[int], None),
    "put": Shapes(tuple[Name, Name, Payload], None),
    "get": Shapes(tuple[Name, Name], Payload | None),
    "drop": Shapes(tuple[Name, Name], bool),
    "drop_state": Shapes(tuple[int], bool),
    "census": Shapes(tuple[()], Census),
    "story": Shapes(tuple[int], list[str]),
    # What the worker that has a task is doing: lines of text; none: it has not answered so far.
    "stack": Shapes(tuple[int], list[str]),
    "tell_stack": Shapes(tuple[int, int, list[str]], None),  # of a worker: itself, task, lines
    # A snapshot, which has a version of its own: see `recorder.shapes`.
    "look": Shapes(tuple[Number, Number, float, Number], bytes),
    # Those of a worker, or of all (-1): see `recorder.spanned`.
    "spans": Shapes(tuple[int], bytes),
    "cancel": Shapes(tuple[list[int]], list[int]),
    "attend": Shapes(Attendance, list[SupervisorOrder]),
    "terminate": Shapes(tuple[()], None),
}


#: What a reply begins with that is good: an array of two, and True.
_GOOD = b"\x92\xc3"

_requests: dict[str, Callable[[msgspec.Raw], Any]] = {}
_replies: dict[str, Callable[[bytes | bytearray], tuple[bool, Any]]] = {}
_read_error = msgspec.msgpack.Decoder(tuple[bool, tuple[str, str]]).decode


def check(operation: object, args: msgspec.Raw | Exchange) -> Any:
    """Return the request of an operation, as it should be: a record, or a tuple.

    Args:
        operation: Its name.
        args: As msgpack, which is decoded into the declared shape at once; or what is of that shape
            already.

    Raises:
        RejectedError: It wants to join with another protocol.
        UsageError: There is no such operation, or the arguments do not fit.
    """
    if isinstance(args, Exchange) and operation == "exchange":
        return args
    if not isinstance(operation, str) or operation not in OPERATIONS:
        raise UsageError(f"unknown operation {str(operation)[:100]!r}")
    if isinstance(args, Exchange):
        raise UsageError(f"malformed {operation!r}: what belongs to an exchange")
    decode = _requests.get(operation)
    if decode is None:
        decode = msgspec.msgpack.Decoder(OPERATIONS[operation].request).decode
        _requests[operation] = decode
    try:
        return decode(args)
    except (msgspec.DecodeError, RecursionError) as error:
        if operation == "join":
            _check_version(args, error)
        raise UsageError(f"malformed {operation!r}: {error}") from None


def read_reply(operation: str, body: bytes | bytearray) -> list[Any]:
    """Decode the reply to an operation.

    Returns:
        [True, reply of the declared shape], or [False, (name, text) of an error].

    Raises:
        ValueError: It is none.
    """
    if not body.startswith(_GOOD):
        return [*_read_error(body)]
    decode = _replies.get(operation)
    if decode is None:
        shape: Any = OPERATIONS[operation].reply if operation in OPERATIONS else None
        decode = msgspec.msgpack.Decoder(tuple[bool, shape]).decode
        _replies[operation] = decode
    return [*decode(body)]


def _check_version(args: msgspec.Raw, problem: Exception) -> NoReturn:
    """Say why a process cannot join: it speaks another protocol, or nonsense.

    Looks at nothing but the two facts that every version has in the same place.
    """
    decode = msgspec.msgpack.decode
    try:
        head = decode(args, type=list[msgspec.Raw])
        protocol, version = decode(head[0], type=int), decode(head[2], type=str)
    except (msgspec.DecodeError, RecursionError, IndexError):
        protocol, version = PROTOCOL, ""
    if protocol != PROTOCOL:
        raise other_protocol(protocol, version[:100])
    raise UsageError(f"malformed 'join': {problem}")


def other_protocol(protocol: object, version: object) -> RejectedError:
    """Return the message for a process that speaks another protocol."""
    return RejectedError(
        f"this worker speaks protocol {protocol!r} (masterworker {version}), the master speaks "
        f"{PROTOCOL} (masterworker {__version__}): install the same version"
    )
