"""Small journals for tests, written by the product's own parts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from masterworker.core.task import RESULT
from masterworker.journal import format as layout
from masterworker.journal.records import Began, Code, Done, Ended, Header
from masterworker.security import credentials

if TYPE_CHECKING:
    from pathlib import Path

    from masterworker.journal.records import Entry


def key() -> bytes:
    """The user's key."""
    return layout.key_of(credentials.authority())


def done(name: str, value: bytes = b"\x80\x05N.") -> Done:
    """One outcome, whose key is made of a name."""
    return Done(name.encode().ljust(16, b"."), "@f", RESULT, [value], "a worker", 1, 1.0)


def groups() -> list[list[Entry]]:
    """What a short run writes."""
    return [
        [Began(1.0, "here", 7, "program.py", {"python": "3.11"}), Code("m:f", "def f(): ...")],
        [done("one"), done("two")],
        [done("three")],
        [done("four", b"x" * 300), Ended(2.0)],
    ]


def bytes_of(some: list[list[Entry]], secret: bytes | None = None) -> tuple[bytes, list[int]]:
    """A journal of some groups, and where each of them ends."""
    its = key() if secret is None else secret
    header = Header("0" * 32, layout.name_of(its), 1.0)
    data = layout.write_header(header, its)
    ends = []
    for number, records in enumerate(some):
        data += b"".join(layout.write_group(records, number, layout.Keyed(its, header.journal)))
        ends.append(len(data))
    return data, ends


def write(path: Path, some: list[list[Entry]]) -> list[int]:
    """Write a journal. Returns where each group ends."""
    data, ends = bytes_of(some)
    path.write_bytes(data)
    path.chmod(0o600)
    return ends
