"""The record of a job, which outlives it: how it stood last, in the user's state folder.

    <state>/records/<label>.record    of the last run with this label

It is one msgpack map: `Head`, and in it the snapshot. Nothing in it is ever executed; what others
could have written is not read all the same.
"""

from __future__ import annotations

import contextlib
import os
import stat
import time
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Struct

from masterworker.errors import MalformedError, UsageError
from masterworker.recorder import shapes, spanned
from masterworker.statefolder import (
    changed,
    entered,
    names_in,
    remove,
    remove_abandoned,
    size_of,
    state_folder,
    stem_of,
    written,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from masterworker.recorder.shapes import Snapshot
    from masterworker.recorder.spanned import Table

#: Version of the files.
FORMAT: Final = 1
FOLDER: Final = "records"
ENDING: Final = ".record"
#: How many are kept, and of how many bytes together; the oldest go first.
KEPT: Final = 50
KEPT_BYTES: Final = 100 * 10**6


class Head(Struct, frozen=True):
    """What is said of a record beside the snapshot."""

    format: int
    label: str
    #: When it was saved (seconds since 1970).
    saved: float
    #: Which process the master was, and where.
    master: str
    #: Encoded by `shapes.encode`.
    snapshot: bytes
    #: Encoded by `spanned.encode`.
    spans: bytes = b""


class Record(Struct, frozen=True):
    """How a job stood last."""

    label: str
    saved: float
    master: str
    snapshot: Snapshot
    spans: Table


# -- writing ------------------------------------------------------------------------------------


def save(label: str, master: str, snapshot: Snapshot, spans: bytes = b"") -> None:
    """Take the place of the record of a label, and remove those that are too many.

    Args:
        label: The label.
        master: Which process the master is.
        snapshot: How the job stands.
        spans: Encoded by `spanned.encode`.

    Raises:
        OSError: The disk is full, or nothing can be written there.
        UsageError: There is no folder, or others could change it.
    """
    head = Head(FORMAT, label, time.time(), master, shapes.encode(snapshot), spans)
    data = msgspec.msgpack.encode(head)
    with _folder(make=True) as folder:
        with written(stem_of(label) + ENDING, folder) as out:
            out.write(data)
        _forget(folder)


def _forget(folder: int) -> None:
    """Remove the oldest records that are too many or too large, and what was left behind."""
    kept, room = 0, KEPT_BYTES
    for name in sorted(names_in(folder), key=lambda name: changed(name, folder), reverse=True):
        if name.endswith(ENDING):
            kept, room = kept + 1, room - size_of(name, folder)
            if kept > 1 and (kept > KEPT or room < 0):
                remove(name, folder)
    remove_abandoned(folder)


@contextlib.contextmanager
def _folder(*, make: bool = False) -> Iterator[int]:
    root = state_folder()
    if make:
        root.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with entered(root, make=make) as base, entered(root / FOLDER, base, make=make) as folder:
        yield folder


# -- reading ------------------------------------------------------------------------------------


def find(label: str) -> Record | None:
    """Return how a job stood last; None: no record of it is kept.

    Raises:
        UsageError: It cannot be used; says why in one sentence.
    """
    try:
        with _folder() as folder:
            return _read(folder, stem_of(label) + ENDING)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UsageError(f"its record cannot be read: {error}") from None


def all_records() -> tuple[list[Record], list[str]]:
    """Return the records that are kept, the latest first, and what is wrong with others."""
    found, wrong = [], []
    try:
        with _folder() as folder:
            for name in names_in(folder):
                if name.endswith(ENDING):
                    try:
                        found.append(_read(folder, name))
                    except FileNotFoundError:  # removed just now
                        continue
                    except OSError as error:
                        wrong.append(f"a record cannot be read: {error}")
                    except UsageError as error:
                        wrong.append(str(error))
    except FileNotFoundError:
        return [], []
    except OSError as error:
        raise UsageError(f"records of ended jobs cannot be read: {error}") from None
    return sorted(found, key=lambda record: record.saved, reverse=True), sorted(wrong)


def _read(folder: int, name: str) -> Record:
    path = state_folder() / FOLDER / name
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    file = os.open(name, flags, dir_fd=folder)
    try:
        about = os.fstat(file)
        if about.st_uid != os.getuid() or about.st_mode & 0o022:
            whose = "is not yours" if about.st_uid != os.getuid() else "can be written by others"
            raise UsageError(f"the record {path} {whose}, so it is not read")
        if not stat.S_ISREG(about.st_mode) or about.st_size > KEPT_BYTES:
            raise UsageError(f"the record {path} is damaged")
        with open(file, "rb", closefd=False) as whole:
            data = whole.read()
    finally:
        os.close(file)
    return _decoded(data, str(path))


class _Version(Struct, frozen=True):
    format: int


class _Shape(Struct, frozen=True):
    version: int


def _decoded(data: bytes, path: str) -> Record:
    """Take a file apart.

    Raises:
        UsageError: It is damaged, or of another version.
    """
    decode = msgspec.msgpack.decode
    try:
        if (found := decode(data, type=_Version).format) == FORMAT:
            head = decode(data, type=Head)
            if (found := decode(head.snapshot, type=_Shape).version) == shapes.VERSION and (
                not head.spans
                or (found := decode(head.spans, type=_Shape).version) == spanned.VERSION
            ):
                time.localtime(head.saved)  # a time at all
                stood, spans = shapes.decode(head.snapshot), spanned.decode(head.spans)
                return Record(head.label, head.saved, head.master, stood, spans)
    except (msgspec.MsgspecError, MalformedError, RecursionError, ValueError, OverflowError):
        raise UsageError(f"the record {path} is damaged") from None
    raise UsageError(
        f"the record {path} is in version {found}, which this command does not read: "
        "use the masterworker that made it"
    )
