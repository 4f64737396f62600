"""What the processes of a job say to each other: names of calls, shapes, versions.

Everything here becomes plain values (integers, strings, bytes, lists, None): parameters, results
and exceptions are opaque bytes, and large ones travel beside the message. What
comes in is checked against its shape before anything is done. Change a shape, and `PROTOCOL` must
change with it.
"""

from __future__ import annotations

import sys
from types import FunctionType
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, NoReturn

import msgspec
from msgspec import Meta

from masterworker import errors
from masterworker.core.grain import Spent  # noqa: TC001  msgspec looks at it
from masterworker.core.options import Options
from masterworker.core.task import Large, Outcome
from masterworker.errors import RejectedError, UsageError
from masterworker.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable

    from masterworker.core.task import Lease

#: Version of everything in this module. Two processes with different ones do not talk.
PROTOCOL = 7

#: Seconds that a call may at most be kept waiting by the manager. Each return is a sign of life
#: of the connection, so this is also the longest heartbeat.
LONGEST_WAIT = 5.0

#: Orders to a worker, given with any reply of `exchange`.
#: Leave. Argument: when your ticket has ended (seconds since 1970); 0: the job is over.
STOP = "stop"
FORGET = "forget"  # a state has been deleted; argument: its id
REJOIN = "rejoin"  # you are not registered (any more): join again
RENEW = "renew"  # the master has loaded a module again; argument: see `RELOADED`
CANCEL = "cancel"  # do not execute that task, or break it off; argument: its id

#: What somebody who waits for an outcome would execute meanwhile: nothing, a task of any tag, or
#: only one of the tag that he waits for (since many of his own tasks wait already).
NOTHING, ANY, AWAITED = 0, 1, 2

#: Spaces of stored data: what users store, states, our own things, and what functions refer to are
#: kept apart.
DATA, STATES, PROGRAM, DEFINITIONS = "data", "states", "program", "definitions"

#: Names of our own things: where the master imports from at this moment, and, with a number behind
#: it, the name of a module that it has loaded again.
IMPORT_PATH, RELOADED = "import path", "reloaded "

#: What results may be: anything that can be pickled, or plain data alone.
ANYTHING, PLAIN = "any", "data"


Number = Annotated[int, Meta(ge=0)]
Tag = Annotated[str, Meta(min_length=1, max_length=1 << 20)]
Name = Annotated[str, Meta(max_length=1 << 20)]


class Hello(NamedTuple):
    """How a process introduces itself when it joins."""

    protocol: int
    #: Major and minor version of Python, as "3.11".
    python: str
    #: Version of masterworker, for messages.
    version: str
    #: Digest of the slave program that it runs; "" where it brought its own.
    program: str
    #: One line: process id, host, machine.
    info: str
    #: What it can execute; None: everything that is asked for by tag.
    tags: list[Tag] | None
    #: Seconds between signs of life; None: not watched.
    heartbeat: Annotated[float, Meta(gt=0)] | None
    #: Random name of this process run, by which repeated calls are recognised.
    client: str
    #: Random name of the supervisor that watches this process; "" for none.
    supervisor: str = ""


class Ending(NamedTuple):
    """What a supervisor tells of a worker process that has ended."""

    #: As what it had joined; -1: it never did.
    member_id: int
    #: One line: process id, host, machine.
    info: str
    #: The task that it was executing; 0 for none.
    task_id: int
    #: Signal or exit status, memory, as text.
    how: str
    #: It ended by itself, perhaps because of what it executed; nobody told it to.
    blame: bool
    #: The last lines that it wrote to stderr.
    tail: str
    #: Where the supervisor itself has ended it for that task: the outcome (kind, payload).
    outcome: tuple[int, bytes] | None = None
    #: It has; False: it is only stopped, and may be continued.
    ended: bool = True


class Welcome(NamedTuple):
    """The answer to `Hello`."""

    member_id: int
    #: Random name of this run of the manager: task ids mean nothing in another run.
    instance: str
    #: What this process may deliver as results: `ANYTHING` or `PLAIN`.
    results: str = ANYTHING


class Asker(NamedTuple):
    """Who asks which run of the manager this is, on a new connection."""

    #: The random name of `Hello`; "" for one that has not joined.
    client: Name = ""


class Reply(NamedTuple):
    """What a worker gets for an `exchange`."""

    #: Ids of the tasks whose outcome was not accepted: too late, or twice.
    refused: list[int]
    leases: list[Lease]
    #: (name, argument): see `STOP` and its neighbours.
    orders: list[tuple[str, int]]
    #: Seconds that the manager let the caller wait for work.
    waited: float


class Exchange(NamedTuple):
    """What a worker tells and asks; see `Manager.exchange`."""

    member_id: int
    outcomes: list[Outcome]
    #: Tasks given back.
    returned: list[int]
    #: Task being executed, or 0.
    started: Number
    #: How many are wanted.
    want: Number
    #: Seconds to wait.
    wait: float
    #: Of this tag only.
    tag: Tag | None
    #: About so much work is wanted; 0.0: whatever that many tasks are.
    seconds: float = 0.0
    #: How long tasks took.
    spent: tuple[Spent, ...] = ()


#: The arguments of every operation that a process can ask for.
OPERATIONS: dict[str, Any] = {
    "join": Hello,
    "instance": Asker,
    "leave": tuple[int],
    "ping": tuple[int],
    "exchange": Exchange,
    # Client, number of the call, then what the manager's method takes:
    "request": tuple[Name, int, Tag, list[bytes], Options | None],
    "collect": tuple[Name, int, int, Tag | None, Number, float, Number],
    "acknowledge": tuple[Name, int],  # the reply of that call has arrived
    "forgo": tuple[Name, int],  # nobody will come for the reply of that call
    "put_state": tuple[Name, int, dict[Name, bytes]],
    "settle": tuple[int, Number, bytes],
    "give_back": tuple[int],
    "put": tuple[Name, Name, bytes],
    "get": tuple[Name, Name],
    "drop": tuple[Name, Name],
    "drop_state": tuple[int],
    "census": tuple[()],
    "story": tuple[int],
    "cancel": tuple[list[int]],
    # A supervisor: its name, the members whose processes are well, those that have ended, and
    # how many seconds it would wait for an order.
    "attend": tuple[Name, list[int], list[Ending], float],
    "terminate": tuple[()],
}


_decoders: dict[str, Callable[[msgspec.Raw], tuple[Any, ...]]] = {}


def check(operation: object, args: list[Any] | msgspec.Raw | Exchange) -> tuple[Any, ...]:
    """Return the arguments of an operation, as they should be.

    Args:
        operation: Its name.
        args: Plain values, or the same as msgpack, which costs a tenth: it is decoded into the
            declared shape at once; or what is of that shape already.

    Raises:
        RejectedError: It wants to join with another protocol.
        UsageError: There is no such operation, or the arguments do not fit.
    """
    if args.__class__ is Exchange and operation == "exchange":
        return args  # it has been decoded into this shape
    if isinstance(args, msgspec.Raw) and isinstance(operation, str):
        decode = _decoders.get(operation)
        if decode is not None:
            try:
                return decode(args)
            except (msgspec.DecodeError, RecursionError):
                pass  # what is wrong is said below
    shape = OPERATIONS.get(operation) if isinstance(operation, str) else None
    if shape is None or not isinstance(operation, str):
        raise UsageError(f"unknown operation {str(operation)[:100]!r}")
    if isinstance(args, msgspec.Raw):
        try:
            return _decoder(operation)(args)
        except (msgspec.DecodeError, RecursionError) as error:
            if operation == "join":
                _check_version(args, error)
            raise UsageError(f"malformed {operation!r}: {error}") from None
    if operation == "join" and args and args[0] != PROTOCOL:  # its shape may be another one
        version = args[2] if len(args) > 2 else "unknown"
        raise _other_protocol(args[0], version)
    try:
        # Bytes come as bytes: text in their place is not to be taken for base64.
        checked: tuple[Any, ...] = msgspec.convert(args, shape, builtin_types=(bytes,))
    except msgspec.ValidationError as error:
        raise UsageError(f"malformed {operation!r}: {error}") from None
    return checked


def _decoder(operation: str) -> Callable[[msgspec.Raw], tuple[Any, ...]]:
    known = _decoders.get(operation)
    if known is None:
        known = _decoders[operation] = msgspec.msgpack.Decoder(OPERATIONS[operation]).decode
    return known


def _check_version(args: msgspec.Raw, problem: Exception) -> NoReturn:
    """Say why somebody cannot join: it speaks another protocol, or nonsense.

    Looks at nothing but the two facts that every version has in the same place.
    """
    decode = msgspec.msgpack.decode
    try:
        head = decode(args, type=list[msgspec.Raw])
        protocol, version = decode(head[0], type=int), decode(head[2], type=str)
    except (msgspec.DecodeError, RecursionError, IndexError):
        protocol, version = PROTOCOL, ""
    if protocol != PROTOCOL:
        raise _other_protocol(protocol, version[:100])
    raise UsageError(f"malformed 'join': {problem}")


class Enclosures(NamedTuple):
    """Large payloads that travel beside a message, and what stands for them in it.

    Nobody else can know the mark, so no bytes that somebody has sent can be taken for a stand-in.
    """

    #: Random bytes, made for this message.
    mark: bytes
    payloads: list[Large]

    def stand_in(self, value: object) -> bytes:
        """Enclose a value that is no plain one. Returns what stands for it.

        Raises:
            TypeError: It is no large payload.
        """
        if not isinstance(value, Large):
            raise TypeError(f"objects of type {type(value).__name__} are no plain values")
        self.payloads.append(value)
        return self.mark + (len(self.payloads) - 1).to_bytes(4, "big")

    def attach(self, value: Any) -> Any:
        """Put the payloads in the place of what stands for them.

        Raises:
            UsageError: There are not so many.
        """
        if isinstance(value, bytes):
            if not value.startswith(self.mark):
                return value
            number = int.from_bytes(value[len(self.mark) :], "big")
            if number >= len(self.payloads):
                raise UsageError("a message that refers to a payload which did not come with it")
            return self.payloads[number]
        if isinstance(value, dict):
            return {key: self.attach(each) for key, each in value.items()}
        if isinstance(value, (list, tuple)):
            attached = [self.attach(each) for each in value]
            if isinstance(value, list):
                return attached
            return type(value)(*attached) if hasattr(value, "_fields") else tuple(attached)
        if isinstance(value, Outcome):
            value = msgspec.structs.replace(value, payload=self.attach(value.payload))
        return value


def introduce(
    info: str,
    tags: list[str] | None,
    heartbeat: float | None,
    client: str,
    program: str = "",
    supervisor: str = "",
) -> Hello:
    """Fill in a `Hello` for this process."""
    python = python_version()
    return Hello(PROTOCOL, python, __version__, program, info, tags, heartbeat, client, supervisor)


def python_version() -> str:
    """Return what must be equal for pickled code to be understood."""
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def judge(hello: Hello, program: str) -> None:
    """Refuse a process that would misunderstand, or be misunderstood.

    Args:
        hello: What it says.
        program: Digest of the slave program that the master has stored; "" for none.

    Raises:
        RejectedError: Names both sides of the difference.
    """
    if hello.protocol != PROTOCOL:
        raise _other_protocol(hello.protocol, hello.version)
    if hello.python != python_version():
        raise RejectedError(
            f"this worker runs Python {hello.python}, the master runs {python_version()}: pickled "
            "code is not understood across versions, so start it with the same Python"
        )
    if hello.program and program and hello.program != program:
        raise RejectedError(
            f"this worker runs slave code {hello.program[:12]}, the master now has {program[:12]}: "
            "start a new worker, which gets the new code"
        )


def _other_protocol(protocol: object, version: object) -> RejectedError:
    return RejectedError(
        f"this worker speaks protocol {protocol!r} (masterworker {version}), the master speaks "
        f"{PROTOCOL} (masterworker {__version__}): install the same version"
    )


def encode_error(error: errors.MasterworkerError) -> list[Any]:
    """Make an error of ours travel in a reply."""
    return [type(error).__name__, str(error)]


def decode_error(name: str, text: str) -> errors.MasterworkerError:
    """Get back what `encode_error` was given, or its nearest known relative."""
    kind = getattr(errors, name, None)
    if isinstance(kind, type) and issubclass(kind, errors.MasterworkerError):
        for each in kind.__mro__:  # those that are made of more than a text are not sent
            made = next(vars(base)["__init__"] for base in each.__mro__ if "__init__" in vars(base))
            if not isinstance(made, FunctionType):
                found: errors.MasterworkerError = each(text)
                return found
    return errors.MasterworkerError(f"{name}: {text}")
