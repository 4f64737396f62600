"""Large payloads: memory of their own, which is not copied into messages.

Between processes of one machine a file in memory (memfd) travels as a descriptor: the receiver
maps the same pages. It has no name and no place in a file system. The kernel counts the processes
that have it open or mapped and frees it with the last, however that ends, so nothing is ever left
behind, and the size of /dev/shm does not matter.

Descriptors are bounded in number, and mappings are. Where there are too many, also of the program's
own, and on systems without such files, the bytes are kept in ordinary memory and travel in pieces,
as they do between machines.
"""

from __future__ import annotations

import contextlib
import os
import resource
from typing import TYPE_CHECKING, Final

from masterworker.core.task import Large
from masterworker.data import memfile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from masterworker.core.task import Payload

#: Payloads with more bytes than this are segments. Below it a copy costs less than the calls to
#: the system that save it (`benchmarks/payloads.py` measures both).
LARGE: Final = 1 << 17
#: Of the descriptors that this process may have, segments take at most one in this many.
SHARE_OF_DESCRIPTORS: Final = 2
#: The last ones, one in this many, are left to the program, to new connections, and to what comes.
SHARE_LEFT: Final = 4
#: Where fewer are allowed, there is nothing to be left.
FEWEST: Final = 64


class _Descriptors:
    """Counts the descriptors that segments of this process have, which have a bound.

    A race makes the number wrong by a few.
    """

    number = 0


_in_use: Final = _Descriptors()


def may_have_descriptor() -> bool:
    """Return whether one more segment may have a descriptor of its own."""
    if not memfile.POSSIBLE:
        return False
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return allowed == resource.RLIM_INFINITY or _in_use.number < allowed // SHARE_OF_DESCRIPTORS


def is_among_the_last(fd: int) -> bool:
    """Return whether a new descriptor is one of the last that this process may have.

    The system gives the lowest number that is free, so all below it are in use.
    """
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    few = allowed != resource.RLIM_INFINITY and allowed >= FEWEST
    return few and fd >= allowed - allowed // SHARE_LEFT


class Segment(Large):
    """The bytes of one payload. Never changed. Thread-safe.

    Args:
        size: How many bytes.
        fd: A sealed file in memory, which is ours from now on; or
        data: The bytes themselves.
    """

    __slots__ = ("__weakref__", "_data", "_gone", "_size", "fd")

    def __init__(self, size: int, fd: int | None = None, data: bytes | bytearray = b"") -> None:
        self._size = size
        self._data = data
        self._gone: Callable[[int], object] | None = None
        #: Descriptor of the file in memory; None: there is none.
        self.fd = fd
        if fd is not None:
            _in_use.number += 1

    @classmethod
    def of(cls, parts: Iterable[bytes | bytearray | memoryview]) -> Segment:
        """Make one of parts, which are copied as they come.

        Raises:
            OSError: There is no memory for it.
        """
        fd = memfile.create() if may_have_descriptor() else None
        if fd is not None and is_among_the_last(fd):
            os.close(fd)
            fd = None
        if fd is not None:
            return cls(memfile.fill(fd, parts), fd)
        data = bytearray()
        for part in parts:
            data += part
        return cls(len(data), data=data)

    @classmethod
    def received(cls, fd: int) -> Segment:
        """Make one of a descriptor that another process has sent.

        Raises:
            ValueError: It is none of a sealed file in memory. It is closed.
        """
        try:
            size = memfile.size_of(fd)
            if may_have_descriptor() and not is_among_the_last(fd):
                return cls(size, fd)
            data = memfile.read(fd, size)
        except BaseException:
            os.close(fd)
            raise
        os.close(fd)
        return cls(size, data=data)

    def __len__(self) -> int:
        return self._size

    def __del__(self) -> None:
        if self._gone is not None:
            self._gone(self._size)
        if self.fd is not None:
            _in_use.number -= 1
            with contextlib.suppress(OSError):
                os.close(self.fd)

    def __repr__(self) -> str:
        return f"<Segment of {self._size:,} bytes>"

    def tell_end(self, gone: Callable[[int], object]) -> None:
        """See `Large.tell_end`. It is called in any thread, whatever that has in hand."""
        self._gone = gone

    def head(self, size: int) -> bytes:
        """Return the first bytes."""
        return bytes(self._data[:size]) if self.fd is None else os.pread(self.fd, size, 0)

    def open(self, *, writable: bool = True) -> memoryview:
        """Look at the bytes.

        Args:
            writable: The view can be written to; what is written is seen nowhere else.

        Returns:
            A view of memory that lives as long as anything refers to it. Costs a system call; the
            pages that are written to, or all of them where there is no file or there are too many
            mappings, are copied.

        Raises:
            OSError: The system has no room for it.
        """
        if self.fd is not None and self._size:
            if memfile.may_map():
                return memfile.map_private(self.fd, self._size, writable=writable)
            view = memoryview(memfile.read(self.fd, self._size))
            return view if writable else view.toreadonly()
        return (
            memoryview(bytearray(self._data)) if writable else memoryview(self._data).toreadonly()
        )


def head_of(payload: Payload, size: int) -> bytes:
    """Return the first bytes of a payload."""
    return payload[:size] if isinstance(payload, bytes) else payload.head(size)


def bytes_of(payload: Payload) -> bytes:
    """Return all bytes of a payload, copied if it is a large one."""
    return payload if isinstance(payload, bytes) else bytes(payload.open(writable=False))
