"""What the scheduler knows of one task.

A task is one object: its queue position, its state and its outcome are all fields of it. Where
there are millions, most are no objects of their own: see `blocks`.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from enum import Enum
from typing import TYPE_CHECKING, ClassVar, Final

import msgspec

from masterworker.core.chunks import Chunk
from masterworker.core.options import Terms  # noqa: TC001  as leases are decoded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from masterworker.core.options import Options


class State(Enum):
    """Where a task is in its life. See ARCHITECTURE.md, "The life of a task"."""

    #: In a queue; no process has it.
    WAITING = "waiting"
    #: Handed out; the process that holds it has perhaps not started it.
    LEASED = "leased"
    #: The holder said that it is executing it.
    STARTED = "started"
    #: It has failed, and is tried again when some time has passed.
    PAUSED = "paused"
    #: It has an outcome, which has not been picked up yet.
    SETTLED = "settled"
    #: Its outcome has been handed to the caller that asked. The task is forgotten.
    DELIVERED = "delivered"


#: What sort of outcome a payload is. Plain integers, as they travel.
#: The payload is the pickled result.
RESULT: Final = 0
#: The payload is a failure record (see `masterworker.data.failure`).
FAILURE: Final = 1
#: The task took too many workers with it. The payload is text, one line for each of them.
LOST: Final = 2
#: A failure, as above, after which the task may be tried again. Settles as `FAILURE`.
AGAIN: Final = 3
#: It was cancelled. No payload.
CANCELLED: Final = 4


class Large(ABC):
    """A payload of many bytes, which are kept outside of messages: see `data.segment`."""

    __slots__ = ()

    #: File descriptor of its bytes, if they can be had through one.
    fd: int | None

    @abstractmethod
    def __len__(self) -> int:
        """How many bytes."""

    @abstractmethod
    def tell_end(self, gone: Callable[[int], object]) -> None:
        """Call a function with its size when nothing refers to it any more."""

    @abstractmethod
    def head(self, size: int) -> bytes:
        """Return the first bytes."""

    @abstractmethod
    def open(self, *, writable: bool = True) -> memoryview:
        """Look at the bytes; what is written to the view is not seen anywhere else."""


if TYPE_CHECKING:
    #: Parameters, results and stored values as they travel. Opaque here.
    Payload = bytes | Large
else:
    # In a message bytes stand for what is large, so a decoder expects nothing else.
    Payload = bytes

#: Those of one task or several, whose ids count up.
Payloads = Sequence[Payload] | Chunk


class Travels(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """A record in messages: an array of its fields. Nothing in one refers back to it."""


class Lease(Travels, frozen=True):
    """One hand-out of a task, or of several, as it travels to the worker."""

    #: Of the first; the others count up from it.
    task_id: int
    #: 1 for the first hand-out of these tasks, then counting up: the fencing token.
    attempt: int
    tag: str
    #: The pickled parameters of each. Opaque: only the handler's process looks inside.
    payloads: Payloads
    #: Time limit, and what may be tried again; None for neither.
    terms: Terms | None = None
    #: That this process was handed these tasks, for another run of the manager; b"": it needs none.
    proof: bytes = b""

    @property
    def payload(self) -> Payload:
        """The parameters of the only task."""
        return _only(self.payloads)

    def __repr__(self) -> str:
        return f"<Lease of {_named(self)}, {self.tag!r}, attempt {self.attempt}>"


class Proof(Travels, frozen=True):
    """That tasks were handed to a process by an earlier run of the manager."""

    #: Of the first; the others count up from it.
    task_id: int
    number: int
    attempt: int
    #: Only the manager's job can make it.
    proof: bytes


class Outcome(Travels, frozen=True):
    """What a worker says of one task that it has executed, or of several with results."""

    #: Of the first; the others count up from it.
    task_id: int
    attempt: int
    kind: int
    #: The result of each, or what else became of it.
    payloads: Payloads

    @property
    def payload(self) -> Payload:
        """The payload of the only task."""
        return _only(self.payloads)

    def __repr__(self) -> str:
        return f"<Outcome of {_named(self)}, kind {self.kind}, attempt {self.attempt}>"


class Finished(Travels, frozen=True):
    """What became of a task, on its way to the caller that asked; or of several with results."""

    #: Of the first; the others count up from it.
    task_id: int
    tag: str
    kind: int
    #: The result of each, or what else became of it.
    payloads: Payloads
    #: Which process delivered it, as text.
    worker: str
    #: How many attempts it took, without those that were lost or given back.
    attempts: int = 1

    @property
    def payload(self) -> Payload:
        """The payload of the only task."""
        return _only(self.payloads)

    def __repr__(self) -> str:
        return f"<Finished {_named(self)}, {self.tag!r}, kind {self.kind}>"


def ids_of(item: Lease | Outcome | Finished) -> range:
    """Return the ids of the tasks that a lease or an outcome is of."""
    return range(item.task_id, item.task_id + len(item.payloads))


def size_of(items: Iterable[Lease | Outcome]) -> int:
    """Count the tasks that leases or outcomes are of."""
    return sum([len(item.payloads) for item in items])


def _only(payloads: Payloads) -> Payload:
    """Return the payload of a single task.

    Raises:
        ValueError: There are several.
    """
    if isinstance(payloads, Chunk) or len(payloads) != 1:
        raise ValueError(f"{len(payloads)} tasks, in the place of one")
    return payloads[0]


def _named(item: Lease | Outcome | Finished) -> str:
    ids = ids_of(item)
    return f"task {item.task_id}" if len(ids) == 1 else f"tasks {ids[0]} to {ids[-1]}"


class Task(msgspec.Struct, eq=False):
    """One task, from its request to the delivery of its outcome."""

    #: A `Block` stands for more.
    size: ClassVar[int] = 1

    id: int
    tag: str
    #: The pickled parameters; once settled, the outcome's payload.
    payload: Payload
    #: True: the outcome leaves the scheduler at once (a future waits for it).
    direct: bool
    state: State = State.WAITING
    #: How it is to be treated; None: like most tasks. Shared by all tasks of a request.
    options: Options | None = None
    #: Position in the queues. Smaller is earlier; negative after a put-back.
    order: int = 0
    attempt: int = 0
    #: The id of the process that has it in its hands.
    holder: int | None = None
    #: It was in hand when a process ended, so it is handed out alone from now on.
    suspect: bool = False
    #: One line for each process that ended while executing it; None as long as none did.
    losses: list[str] | None = None
    #: What happened to it beyond the ordinary; None as long as nothing did.
    notes: list[tuple[float, str]] | None = None
    #: Once settled: what sort of outcome the payload is, ...
    kind: int = RESULT
    #: ... which process delivered it, as text, and after how many attempts.
    worker: str = ""
    tries: int = 1

    def __repr__(self) -> str:
        held = "" if self.holder is None else f", in the hands of {self.holder}"
        shown = f"{self.state.value}, attempt {self.attempt}{held}"
        return f"<Task {self.id}, {self.tag!r}, {shown}>"

    @property
    def last(self) -> int:
        """The last of its ids, as of a `Block`."""
        return self.id

    @property
    def weight(self) -> int:
        """How many bytes have to be carried for it."""
        return len(self.payload)

    def ids(self) -> list[int]:
        """Return the one id, as of a `Block`."""
        return [self.id]

    @property
    def priority(self) -> int:
        """Higher ones come first."""
        return 0 if self.options is None else self.options.priority

    def note(self, now: float, text: str) -> None:
        """Add a line to the task's story."""
        if self.notes is None:
            self.notes = []
        self.notes.append((now, text))


def write_history(losses: Sequence[str]) -> bytes:
    """Make the payload of `LOST`: an entry for each loss; further lines of one are indented."""
    return "\n".join(entry.replace("\n", "\n\t") for entry in losses).encode()


def read_history(payload: bytes) -> list[str]:
    """Get the entries back."""
    entries = re.split(r"\n(?!\t)", payload.decode("utf-8", "replace"))
    return [entry.replace("\n\t", "\n") for entry in entries]
