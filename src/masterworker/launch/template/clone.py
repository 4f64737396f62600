"""Forks this process so that the child is its sibling: a child of the same parent.

The system call is made without the C library's `fork`, which cannot say whose child it is to be.
What that one does besides is done here: the thread's id in the library's own record of it, the
kernel's address of that record, and the list of robust locks. Locks of the library need no care,
since the process has one thread. Python's own hooks are called around it, as `os.fork` does; those
before it, and after it in the parent, once for several forks in a row: whatever a process does
between two forks, it pays for each page of memory that it writes to.
"""

from __future__ import annotations

import ctypes
import os
import signal
from typing import Final

from masterworker.launch.template.machines import CALLS

#: Numbers of prctl(2) and clone(2).
_PR_GET_TID_ADDRESS: Final = 40
_CLONE_PARENT: Final = 0x8000
_CLONE_CHILD_CLEARTID: Final = 0x200000
_CLONE_CHILD_SETTID: Final = 0x1000000
_FLAGS: Final = _CLONE_PARENT | _CLONE_CHILD_CLEARTID | _CLONE_CHILD_SETTID | signal.SIGCHLD


def threads() -> int:
    """Return how many threads this process has, also those that Python does not know of."""
    return os.stat("/proc/self/task").st_nlink - 2  # noqa: PTH116  workers go without pathlib


class Cloner:
    """Forks this process, as often as it is called between `begin` and `end`.

    Raises:
        OSError: The system does not tell what is needed for it.
    """

    def __init__(self) -> None:
        self._calls = CALLS[os.uname().machine]
        # Functions that keep the interpreter's lock: there is one thread, and no other may run.
        library = ctypes.PyDLL(None, use_errno=True)
        self._syscall = library.syscall
        self._syscall.restype = ctypes.c_long
        python = ctypes.pythonapi
        self._before, self._in_parent, self._in_child = (
            python.PyOS_BeforeFork,
            python.PyOS_AfterFork_Parent,
            python.PyOS_AfterFork_Child,
        )
        for hook in (self._before, self._in_parent, self._in_child):
            hook.restype, hook.argtypes = None, []
        self._record = _address_of_thread_id(library)
        self._robust, self._robust_size = self._robust_list()
        words = [self._calls.clone, _FLAGS, 0, 0, 0, 0]
        words[1 + self._calls.child_tid] = self._record
        self._words = tuple(map(ctypes.c_long, words))

    def begin(self) -> None:
        """Forks in a row follow: call the hooks before a fork."""
        self._before()

    def end(self) -> None:
        """There were forks in a row, and this is their parent: call its hooks."""
        self._in_parent()

    def __call__(self) -> int:
        """Fork. Returns the child's process id, and 0 in the child, whose hooks were called.

        Raises:
            OSError: The system refuses it.
        """
        pid = int(self._syscall(*self._words))
        if pid > 0:
            return pid
        if pid < 0:
            error = ctypes.get_errno()
            raise OSError(error, os.strerror(error))
        number = self._calls
        self._syscall(
            ctypes.c_long(number.set_robust_list),
            ctypes.c_long(self._robust),
            ctypes.c_long(self._robust_size),
        )
        self._in_child()
        return 0

    def _robust_list(self) -> tuple[int, int]:
        head, size = ctypes.c_void_p(), ctypes.c_size_t()
        number = ctypes.c_long(self._calls.get_robust_list)
        if self._syscall(number, ctypes.c_long(0), ctypes.byref(head), ctypes.byref(size)):
            raise OSError("the kernel does not tell the list of robust locks")
        return head.value or 0, size.value


def _address_of_thread_id(library: ctypes.PyDLL) -> int:
    """Return where the C library keeps the id of this thread."""
    address = ctypes.c_void_p()
    answer = library.prctl(_PR_GET_TID_ADDRESS, ctypes.byref(address), 0, 0, 0)
    if answer or not address.value:
        raise OSError("the kernel does not tell where the C library keeps a thread's id")
    if ctypes.c_int.from_address(address.value).value != os.getpid():
        raise OSError("the C library keeps a thread's id elsewhere")
    return address.value
