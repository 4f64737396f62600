"""Files in memory, and mapping them so that a mapping needs no file descriptor.

Python's own `mmap` keeps a descriptor for each mapping, and a program may hold thousands of
arrays; from Python 3.13 on it need not (`trackfd`), before that we ask the system ourselves.

Workers load this at their start, so it does without `pathlib`.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import sys
import weakref
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

#: Whether this system has files in memory that belong only to processes that have them open.
POSSIBLE: Final = hasattr(os, "memfd_create")
#: Linux' `F_SEAL_*`: neither size nor content can ever change again.
_SEALS: Final = 0x1 | 0x2 | 0x4 | 0x8
_GET_SEALS: Final = 1034
#: Of the mappings that a process may have, ours take at most one in this many.
_SHARE: Final = 2
#: What Linux allows where it does not say.
_USUAL_MAPPINGS: Final = 65_530
#: No more is given to the system at once (bytes): it takes no more than this.
_PIECE: Final = 1 << 30


def create() -> int | None:
    """Make a file in memory. Returns its descriptor; None: the system has none to spare."""
    try:
        return os.memfd_create("masterworker", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    except OSError:
        return None


def fill(fd: int, parts: Iterable[bytes | bytearray | memoryview]) -> int:
    """Write a file in memory, and seal it against any change. Returns its size (bytes).

    It is written, not mapped: where memory runs out, that is an error here and not a signal.

    Raises:
        OSError: There is not enough memory. The file is closed.
    """
    size = 0
    try:
        for part in parts:
            with memoryview(part) as whole:
                rest = whole.cast("B") if whole.nbytes else whole
                size += len(rest)
                while len(rest):
                    rest = rest[os.write(fd, rest[:_PIECE]) :]
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, _SEALS)
    except BaseException:
        os.close(fd)
        raise
    return size


def size_of(fd: int) -> int:
    """Return the size of a file in memory, which is sure to stay as it is (bytes).

    Raises:
        ValueError: It may still be changed, so it must not be mapped; or it is something else.
    """
    try:
        sealed = fcntl.fcntl(fd, _GET_SEALS) & _SEALS == _SEALS
    except OSError:
        sealed = False
    if not sealed:
        raise ValueError("a descriptor of something that is no sealed memory")
    return os.fstat(fd).st_size


class _Mappings:
    """Counts the mappings of this process, which have a bound. A race makes it wrong by a few."""

    number = 0

    def end(self) -> None:
        """One of them has ended."""
        self.number -= 1


_mappings: Final = _Mappings()


@lru_cache(1)
def _allowed_mappings() -> int:
    try:
        with open("/proc/sys/vm/max_map_count", encoding="ascii") as file:  # noqa: PTH123  see above
            return int(file.read()) // _SHARE
    except (OSError, ValueError):
        return _USUAL_MAPPINGS // _SHARE


def may_map() -> bool:
    """Return whether one more mapping is no hazard to the rest of the program."""
    return _mappings.number < _allowed_mappings()


def read(fd: int, size: int) -> bytearray:
    """Copy a file in memory.

    Raises:
        OSError: It cannot be read.
        MemoryError: There is no room for it.
    """
    data = bytearray(size)
    with memoryview(data) as view:
        at = 0
        while at < size:
            with view[at : at + _PIECE] as rest:
                got = os.preadv(fd, [rest], at)
            if not got:
                raise OSError("a file in memory is shorter than it was")
            at += got
    return data


def map_private(fd: int, size: int, *, writable: bool) -> memoryview:
    """Map a sealed file in memory. What is written to the mapping is seen by its owner alone.

    The mapping ends with the last view of it.

    Raises:
        OSError: The system has no room for it.
    """
    protection = mmap.PROT_READ | (mmap.PROT_WRITE if writable else 0)
    if sys.version_info >= (3, 13):
        found = mmap.mmap(fd, size, mmap.MAP_PRIVATE, protection, trackfd=False)
        _count(found)
        return memoryview(found)
    view = _map(fd, size, protection)
    return view if writable else view.toreadonly()


def _count(mapping: object) -> None:
    _mappings.number += 1
    weakref.finalize(mapping, _mappings.end).atexit = False


@lru_cache(1)
def _system() -> Any:
    """Return the calls to the system that map memory and end that."""
    import ctypes  # takes some milliseconds, and most programs have no large data

    library = ctypes.CDLL(None, use_errno=True)
    library.mmap.restype = ctypes.c_void_p
    library.mmap.argtypes = (
        *(ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int),
        ctypes.c_long,
    )
    library.munmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t)
    return library


def _map(fd: int, size: int, protection: int) -> memoryview:
    import ctypes

    system = _system()
    address = system.mmap(None, size, protection, mmap.MAP_PRIVATE, fd, 0)
    if address in {None, ctypes.c_void_p(-1).value}:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    memory = (ctypes.c_ubyte * size).from_address(address)
    # Whatever refers to the memory refers to this object.
    weakref.finalize(memory, system.munmap, address, size).atexit = False
    _count(memory)
    return memoryview(memory).cast("B")
