"""Where a process can be forked as a child of its own parent: known without trying it."""

from __future__ import annotations

import os
import sys
from typing import Final

from masterworker.named import NamedTuple


class Calls(NamedTuple):
    """Numbers of system calls, and where clone(2) takes the address of the child's thread id."""

    clone: int
    set_robust_list: int
    get_robust_list: int
    child_tid: int


CALLS: Final = {"x86_64": Calls(56, 273, 274, 3), "aarch64": Calls(220, 99, 100, 4)}
#: Older ones remember the process id, so that in a fork of ours they would tell the template's.
OLDEST_GLIBC: Final = (2, 25)


def reason_against() -> str:
    """Return why this process cannot be forked so, as far as its kind decides it; "": it can."""
    if sys.platform != "linux":
        return "only Linux lets a fork be the child of another process"
    if sys.implementation.name != "cpython":
        return f"the interpreter is {sys.implementation.name}"
    if not getattr(sys, "_is_gil_enabled", lambda: True)():
        return "the interpreter has no lock of its own"
    machine = os.uname().machine
    if machine not in CALLS or sys.maxsize < 1 << 32:
        return f"the machine is {machine}"
    if _glibc_version() < OLDEST_GLIBC:
        return "the C library is not glibc, or an old one"
    return ""


def _glibc_version() -> tuple[int, ...]:
    """Return major and minor version; (): it is another library."""
    try:
        name, _, version = (os.confstr("CS_GNU_LIBC_VERSION") or "").partition(" ")
        return tuple(map(int, version.split(".")[:2])) if name == "glibc" else ()
    except (ValueError, OSError, AttributeError):
        return ()
