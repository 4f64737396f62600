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


#: The kernel reads these as long as the process lives.
_shown: Final[list[Any]] = []


def show(command: Sequence[str], environment: Mapping[bytes, bytes]) -> None:
    """Let the system show this command and environment from now on."""
    words = b"".join(os.fsencode(word) + b"\0" for word in command)
    variables = b"".join(b"%s=%s\0" % each for each in environment.items())
    texts = [ctypes.create_string_buffer(text, len(text)) for text in (words, variables)]
    with open("/proc/self/stat", "rb") as file:  # noqa: PTH123  workers go without pathlib
        stat = file.read().rpartition(b") ")[2].split()
    library = ctypes.CDLL(None)
    library.sbrk.restype = ctypes.c_void_p
    described = _Map(exe_fd=0xFFFFFFFF, brk=library.sbrk(0))
    for name, place in _FIELDS.items():
        setattr(described, name, int(stat[place]))
    for name, text in zip(("arg", "env"), texts, strict=True):
        setattr(described, f"{name}_start", ctypes.addressof(text))
        setattr(described, f"{name}_end", ctypes.addressof(text) + len(text))
    size = ctypes.c_ulong(ctypes.sizeof(described))
    _shown[:] = texts
    library.prctl(_PR_SET_MM, _PR_SET_MM_MAP, ctypes.byref(described), size, 0)
