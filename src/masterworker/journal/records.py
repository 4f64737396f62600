"""What a journal says: one record for each thing that has happened."""

from __future__ import annotations

import msgspec

from masterworker.core.chunks import Chunk  # noqa: TC001  as records are decoded

#: Bytes of a key: it stands for a function, its parameters, and the how-manieth such call it is.
KEY = 16


class Record(
    msgspec.Struct, frozen=True, array_like=True, tag=True, forbid_unknown_fields=True, gc=False
):
    """An array that begins with the name of its class."""


class Began(Record, frozen=True):
    """A master has opened the journal."""

    #: Seconds since 1970.
    when: float
    host: str
    pid: int
    #: The program, as it was called; for people.
    program: str
    #: Of Python, masterworker, NumPy.
    versions: dict[str, str]
    #: The random name of this run of the manager.
    run: str = ""


class Listens(Record, frozen=True):
    """The master listens at a TCP port."""

    port: int


class Waits(Record, frozen=True):
    """A worker has come that would wait for another run of its master; or it has gone."""

    client: str
    here: bool


class Asked(Record, frozen=True):
    """Tasks of one tag were asked for, whose ids count up. Of two for one id the last counts."""

    first: int
    tag: str
    #: One after the other.
    keys: bytes


class Code(Record, frozen=True):
    """The source of a function that is called by name, with what it uses of its own file."""

    name: str
    text: str
    #: How many times outcomes of an older one were given up.
    generation: int = 0


class Aside(Record, frozen=True):
    """A payload of many bytes, which are in a file of their own."""

    #: In hexadecimal digits; also the name of the file.
    digest: str
    size: int


class Done(Record, frozen=True):
    """Tasks have their outcomes, of one kind."""

    #: One after the other.
    keys: bytes
    tag: str
    #: As in `core.task`.
    kind: int
    payloads: list[bytes | Aside] | Chunk
    worker: str
    attempts: int
    when: float
    #: What the parameters of each were, as they travelled (b"": they are not kept); or of all in
    #: one: see `data.chunks.columns_alone`.
    asked: list[bytes] | bytes = b""


class Struck(Record, frozen=True):
    """A task was being executed in processes that ended."""

    key: bytes
    #: One line for each of these; none: they had not ended.
    losses: list[str]


class Forgot(Record, frozen=True):
    """Outcomes of tasks count no more, so these are executed again."""

    keys: bytes
    tag: str
    #: Of the outcomes, as in `Done`.
    kind: int


class Ended(Record, frozen=True):
    """The job has ended in good order."""

    when: float


class Behind(Record, frozen=True):
    """Groups before this one were perhaps not on the disk yet when it was written."""

    #: The number of groups that were.
    flushed: int


Entry = Began | Listens | Waits | Asked | Code | Done | Struck | Forgot | Ended | Behind


class Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The first thing in the file."""

    #: Of this journal: random, in hexadecimal digits.
    journal: str
    #: Which key its checks were made with (a digest of that).
    key: str
    #: Seconds since 1970.
    created: float
    #: Of the job, which tickets name: the first journal's, however often that was written anew.
    job: str = ""


def keys_in(keys: bytes) -> list[bytes]:
    """Return the keys of a record one by one."""
    return [keys[at : at + KEY] for at in range(0, len(keys), KEY)]
