"""The record of a failure: plain data, which anybody can read and which harms nobody."""

from __future__ import annotations

from typing import NamedTuple, cast

import msgpack
import msgspec

from masterworker.errors import MalformedError


class Failure(NamedTuple):
    """What a worker tells of an exception."""

    type_name: str
    message: str
    traceback: str
    #: Pickled chain of the exception and its causes; empty where it cannot travel.
    pickled: bytes

    def encode(self) -> bytes:
        """Make the payload of an outcome."""
        return cast("bytes", msgpack.packb(self))


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
