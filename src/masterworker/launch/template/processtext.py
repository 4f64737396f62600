"""What the system shows of a process as its command and environment (`ps`, `/proc`).

A fork shows those of the process that it was forked from. The kernel can be told that they stand
elsewhere in its memory. Where it refuses, nothing but this view is different.
"""

from __future__ import annotations

import ctypes
import os
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_PR_SET_MM: Final = 35
_PR_SET_MM_MAP: Final = 14
#: Where fields of `/proc/self/stat` stand behind the command's name.
_FIELDS: Final = {
    "start_code": 23, "end_code": 24, "start_stack": 25, "start_data": 42, "end_data": 43,
    "start_brk": 44,
}  # fmt: skip
_ADDRESSES: Final = (
    *("start_code", "end_code", "start_data", "end_data", "start_brk", "brk", "start_stack"),
    *("arg_start", "arg_end", "env_start", "env_end", "auxv"),
)


class _Map(ctypes.Structure):
    """`struct prctl_mm_map`."""

    _fields_ = [
        *((name, ctypes.c_uint64) for name in _ADDRESSES),
        ("auxv_size", ctypes.c_uint32),
        ("exe_fd", ctypes.c_uint32),
    ]


#: The kernel reads these as long as a fork lives.
_shown: Final[list[Any]] = []


class ProcessText:
    """What forks of this process will show, which is written before they are made."""

    def __init__(self) -> None:
        library = ctypes.CDLL(None)
        self._sbrk, self._prctl = library.sbrk, library.prctl
        self._sbrk.restype = ctypes.c_void_p
        self._map = _Map(exe_fd=0xFFFFFFFF)
        self._size = ctypes.c_ulong(ctypes.sizeof(_Map))
        with open("/proc/self/stat", "rb") as file:  # noqa: PTH123  workers go without pathlib
            stat = file.read().rpartition(b") ")[2].split()
        for name, place in _FIELDS.items():
            setattr(self._map, name, int(stat[place]))

    def write(self, command: Sequence[str], environment: Mapping[bytes, bytes]) -> None:
        """Write a command and an environment."""
        words = b"".join(os.fsencode(word) + b"\0" for word in command)
        variables = b"".join(b"%s=%s\0" % each for each in environment.items())
        _shown[:] = [ctypes.create_string_buffer(text, len(text)) for text in (words, variables)]
        for name, text in zip(("arg", "env"), _shown, strict=True):
            setattr(self._map, f"{name}_start", ctypes.addressof(text))
            setattr(self._map, f"{name}_end", ctypes.addressof(text) + len(text))

    def show(self) -> None:
        """Let the system show them of this process from now on."""
        self._map.brk = self._sbrk(0)  # it must not be another one than that of this instant
        self._prctl(_PR_SET_MM, _PR_SET_MM_MAP, ctypes.byref(self._map), self._size, 0)
