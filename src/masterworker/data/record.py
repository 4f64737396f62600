"""The record of a failure: plain data, which is safe to read everywhere.

Its texts may come from a sender that is trusted less. `tidy` makes them such as a worker of ours
writes, which can be printed to a terminal.
"""

from __future__ import annotations

from typing import Final

import msgspec

from masterworker.core.task import LOST, read_history
from masterworker.errors import MalformedError, TaskLost, TaskTimeout
from masterworker.named import NamedTuple

#: A longer text of an exception or traceback is cut in the middle (characters).
MAX_TEXT: Final = 20_000
#: ... but not one that has been cut before, and has a note that says so.
_ROOM: Final = 100
#: The name of a type is not longer (characters).
MAX_NAME: Final = 200
#: A larger exception object stays at home (bytes); its text travels.
MAX_OBJECT: Final = 16 << 20


class Failure(NamedTuple):
    """What a worker reports of an exception."""

    type_name: str
    message: str
    traceback: str
    #: Pickled chain of the exception and its causes; empty where it cannot travel.
    pickled: bytes

    def encode(self) -> bytes:
        """Make the payload of an outcome."""
        return msgspec.msgpack.encode(self)


_decoder = msgspec.msgpack.Decoder(Failure)


def decode(payload: bytes) -> Failure:
    """Read the payload of an outcome. Nothing is unpickled.

    Raises:
        MalformedError: It is no such record.
    """
    try:
        return _decoder.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedError(f"the record of a failure cannot be read: {error}") from None


def explain(kind: int, payload: bytes) -> tuple[str, str, str]:
    """Return type, message and traceback of a failure, as far as they can be told."""
    if kind == LOST:
        entries = read_history(payload)
        return TaskLost.__name__, entries[-1] if entries else "", ""
    try:
        failure = decode(payload)
    except MalformedError as error:
        return type(error).__name__, str(error), ""
    return failure.type_name, failure.message, failure.traceback


def timed_out(limit: float) -> bytes:
    """Make the payload of the outcome of a task whose worker did not heed its limit (seconds)."""
    message = (
        f"the task took longer than its time limit of {limit:g} s, and its worker, which is one "
        "with a ticket or without a supervisor, did not stop it"
    )
    return Failure(TaskTimeout.__name__, message, "", b"").encode()


def tidy(failure: Failure) -> Failure:
    """Return a record with texts that are neither too long nor play tricks on a terminal."""
    name, message, traceback, pickled = failure
    return Failure(
        printable(name[:MAX_NAME])[:MAX_NAME],
        cut(printable(cut(message), keep="\n\t")),
        cut(printable(cut(traceback), keep="\n\t")),
        pickled if len(pickled) <= MAX_OBJECT else b"",
    )


def cut(text: str) -> str:
    """Leave out the middle of a text that is too long. One that has been cut stays as it is."""
    if len(text) > MAX_TEXT + _ROOM:
        half = MAX_TEXT // 2
        left_out = len(text) - 2 * half
        text = f"{text[:half]}\n[... {left_out} characters left out ...]\n{text[-half:]}"
    return text.encode("utf-8", "replace").decode()


def sendable(text: str) -> str:
    """Return a text that UTF-8 has; half a surrogate pair, as in names of files, is written out."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def printable(text: str, keep: str = "") -> str:
    """Return a text that plays no tricks on a terminal: what cannot be printed is written out.

    Args:
        text: It may come from anywhere.
        keep: Further characters that may stay.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in keep else repr(c)[1:-1] for c in text)
