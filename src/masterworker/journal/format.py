"""The bytes of a journal: a header, and groups of records that are whole or not there.

    magic, version, length, header, check
    magic, length, number, records, check       (a group; any number of them)

Numbers are little-endian. A check is a keyed BLAKE2b (RFC 7693) of the journal's id and all bytes
before it in the group. The key is the user's, so nothing in a file that another user has written is
opened. Groups count up, so none can be left out or swapped.
"""

from __future__ import annotations

import hashlib
import struct
from typing import TYPE_CHECKING, Final

import msgspec

from masterworker.errors import JournalError
from masterworker.journal.records import Entry, Header
from masterworker.named import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MAGIC: Final = b"\x89masterworker journal\r\n\x1a"
VERSION: Final = 1
GROUP: Final = b"\x8bGRP"
CHECK: Final = 16
_HEADER = struct.Struct("<HI")
_HEAD = struct.Struct("<4sIQ")
#: Bytes of a group around its records.
AROUND: Final = _HEAD.size + CHECK
#: A disk writes this many bytes whole, or not at all: a header has fewer.
_SECTOR = 512
#: No group has more bytes, but for one with a single record.
MOST: Final = 16 << 20
#: No length that is read is believed beyond this.
LARGEST: Final = 1 << 31

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[Entry]).decode
_decode_header = msgspec.msgpack.Decoder(Header).decode


class Keyed(NamedTuple):
    """Makes the checks of one journal."""

    key: bytes
    journal: str

    def check(self, *parts: bytes | memoryview) -> bytes:
        """Return the check of some bytes."""
        state = hashlib.blake2b(self.journal.encode(), digest_size=CHECK, key=self.key)
        for part in parts:
            state.update(part)
        return state.digest()


def key_of(secret: bytes) -> bytes:
    """Derive the key of a user's journals from the user's secret."""
    return hashlib.blake2b(secret, digest_size=32, person=b"mw journal key").digest()


def sign(key: bytes, text: str) -> bytes:
    """Return the digest of a text, which only this user can make."""
    digest = hashlib.blake2b(text.encode(), digest_size=16, key=key, person=b"mw journal lease")
    return digest.digest()


def name_of(key: bytes) -> str:
    """Return what a header says of a key."""
    return hashlib.blake2b(key, digest_size=8, person=b"mw journal name").hexdigest()


def write_header(header: Header, key: bytes) -> bytes:
    """Return the first bytes of a journal."""
    body = _encode(header)
    begin = MAGIC + _HEADER.pack(VERSION, len(body)) + body
    return begin + Keyed(key, header.journal).check(begin)


def read_header(data: memoryview, key: bytes | None) -> tuple[Header, int]:
    """Read the first bytes of a journal.

    Args:
        data: The file, from its begin.
        key: The user's; None: the check is not looked at.

    Returns:
        The header, and where the first group begins.

    Raises:
        JournalError: It is not a journal, not this user's, or too new.
    """
    if bytes(data[: len(MAGIC)]) != MAGIC:
        raise JournalError("it is not a journal of masterworker")
    at = len(MAGIC) + _HEADER.size
    if len(data) < at:
        raise JournalError("its header is not whole")
    version, size = _HEADER.unpack_from(data, len(MAGIC))
    if version > VERSION:
        raise JournalError(
            f"it has format {version}, and this masterworker knows {VERSION}: "
            "a newer one has written it"
        )
    end = at + size
    try:
        header = _decode_header(data[at:end])
    except msgspec.MsgspecError as error:
        raise JournalError(f"its header is damaged ({error})") from None
    if key is not None:
        if header.key != name_of(key):
            raise JournalError(
                "it was written with another key, by another user or with other credentials; "
                "`task_manager journal FILE adopt` makes it yours, if you trust where it is from"
            )
        if data[end : end + CHECK] != Keyed(key, header.journal).check(data[:end]):
            raise JournalError("its header is damaged")
    return header, end + CHECK


def is_unfinished(data: memoryview) -> bool:
    """Return whether a header was begun and not finished, or is not on the disk: nothing follows.

    So it is when the first master of a journal is killed as it begins.
    """
    if len(data) > _SECTOR:
        return False
    begun = bytes(data).rstrip(b"\0")  # its size may be on the disk, and its bytes not
    at = len(MAGIC) + _HEADER.size
    if len(begun) < at:
        return MAGIC.startswith(begun[: len(MAGIC)])
    _, size = _HEADER.unpack_from(begun, len(MAGIC))
    whole = at + size + CHECK
    # A check that is there may end in zeros, though hardly in many.
    torn = len(begun) < whole - CHECK // 4 or len(data) < whole
    return begun.startswith(MAGIC) and torn and len(data) <= whole


def write_group(records: Sequence[Entry], number: int, keyed: Keyed) -> list[bytes]:
    """Return the bytes of a group, in parts."""
    body = _encode(records)
    head = _HEAD.pack(GROUP, len(body), number)
    return [head, body, keyed.check(head, body)]


class Group(NamedTuple):
    """A group that has been found."""

    number: int
    begin: int
    end: int
    body: memoryview


def unchecked_group(data: memoryview, at: int) -> Group | None:
    """Read the group that begins somewhere, whatever its check says; None: none does."""
    begin = at + _HEAD.size
    if begin > len(data):
        return None
    magic, size, number = _HEAD.unpack_from(data, at)
    end = begin + size
    if magic != GROUP or size > LARGEST or end + CHECK > len(data):
        return None
    return Group(number, at, end + CHECK, data[begin:end])


def size_of_group(head: bytes) -> int | None:
    """Return how many bytes a group has that begins so; None: none does."""
    if len(head) < _HEAD.size:
        return None
    magic, size, _ = _HEAD.unpack_from(head)
    return AROUND + size if magic == GROUP and size <= LARGEST else None


def read_group(data: memoryview, at: int, keyed: Keyed) -> Group | None:
    """Read the group that begins somewhere; None: none does, or not a whole one."""
    group = unchecked_group(data, at)
    if group is None or data[group.end - CHECK : group.end] != keyed.check(
        data[at : group.end - CHECK]
    ):
        return None
    return group


def records_of(group: Group) -> list[Entry]:
    """Open a group.

    Raises:
        JournalError: Its records are of an unknown kind, so a newer version has written it.
    """
    try:
        return _decode(group.body)
    except msgspec.MsgspecError as error:
        raise JournalError(f"group {group.number} cannot be read: {error}") from None


def groups_after(data: memoryview, at: int, keyed: Keyed) -> Iterator[Group]:
    """Search for whole groups from some place on, whatever is between them."""
    text = data.obj  # a file that is mapped, or bytes: both can be searched
    while (at := text.find(GROUP, at)) >= 0:  # type: ignore[attr-defined]
        group = read_group(data, at, keyed)
        if group is None:
            at += 1
            continue
        yield group
        at = group.end
