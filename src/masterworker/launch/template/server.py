"""Being a template: waits for requests, and forks a worker for each.

It is a fresh interpreter that has loaded what every worker needs, executes nothing of users, and
has one thread. Each fork gives away all that is the template's and becomes what a program of its
own would be: see `_Fork`.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import signal
import socket
import sys
import threading
from typing import TYPE_CHECKING, Any, Final, NoReturn

from masterworker import forks
from masterworker.launch import exits, scoreboard
from masterworker.launch.template import clone, messages, processtext

if TYPE_CHECKING:
    from masterworker.launch.template.clone import Cloner

_PR_SET_PDEATHSIG: Final = 1
#: Numbers below this one are given to a fork.
_GIVEN: Final = 5
_OPEN: Final = "/proc/self/fd"


def serve(fd: int, supervisor: int, *, loads: bool = False) -> None:
    """Fork workers for a supervisor. Returns in each of them, and never in the template.

    Args:
        fd: Of the connection to the supervisor.
        supervisor: Its process id.
        loads: The first message says what this process is to import.
    """
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != supervisor:
        os._exit(exits.MASTER_GONE)
    link = socket.socket(fileno=fd)
    cloner = _prepare(link, loads=loads)
    path = list(sys.path)
    while True:
        data, fds, flags, _ = socket.recv_fds(link, messages.LONGEST, messages.MOST_FDS)
        if not data and not fds:
            os._exit(0)
        try:
            is_worker = _answer(link, cloner, fds, cut=bool(flags & socket.MSG_CTRUNC))
        finally:
            if os.getpid() == _template:
                for each in fds:
                    os.close(each)
        if is_worker:
            break
    sys.path[:] = path
    _become(link, data, fds)


_template: Final = os.getpid()
#: The module that has imported libraries into this process; none: it has not.
_loading: Final[list[Any]] = []


def _prepare(link: socket.socket, *, loads: bool) -> Cloner:
    """Make this process fit to be forked; end it where it cannot be."""
    why = _unfit()
    if loads and not why:
        why = _load(link)
    try:
        cloner = clone.Cloner()
    except OSError as error:
        why = why or str(error)
    if why:
        _end_unfit(link, why)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    gc.collect()
    gc.freeze()  # no search for garbage touches what forks share with the template
    link.send(messages.READY)
    return cloner


def _load(link: socket.socket) -> str:
    """Import what the supervisor says. Returns why no process could be a fork of this one then."""
    from masterworker.launch.preload import Module
    from masterworker.launch.template import loading  # few templates have anything to import

    modules, is_given = messages.read_import_request(link.recv(messages.LONGEST))
    _loading.append(loading)
    return loading.load([Module(*each) for each in modules], optional=not is_given)


def _end_unfit(link: socket.socket, why: str) -> NoReturn:
    """End this process, and what an import may have started in its process group."""
    link.send(messages.UNFIT + why.encode())
    if _loading:
        os.killpg(0, signal.SIGKILL)
    os._exit(0)


def _unfit() -> str:
    """Return why no process could be a fork of this one now; "": one could."""
    number = clone.threads()
    if number != 1:
        return f"a template has {number} threads"
    if sys.gettrace() is not None or sys.getprofile() is not None or "coverage" in sys.modules:
        return "new processes are traced"
    return ""


def _answer(link: socket.socket, cloner: Cloner, fds: list[int], *, cut: bool) -> bool:
    """Answer one request. Returns whether this is the worker that was asked for."""
    if why := _unfit():
        link.send(messages.UNFIT + why.encode())
        os._exit(0)
    if cut or len(fds) < messages.MOST_FDS - 1:
        link.send(messages.FAILED + b"a template has no free file descriptors")
        return False
    try:
        pid = cloner()
    except OSError as error:
        link.send(messages.FAILED + str(error).encode())
        return False
    if pid:
        link.send(messages.FORKED + str(pid).encode())
    return not pid


# -- in the worker --------------------------------------------------------------------------


def _become(link: socket.socket, data: bytes, fds: list[int]) -> None:
    """Become a worker, as if this were a program of its own."""
    folder, board = fds[0], fds[3]
    os.pwrite(board, os.getpid().to_bytes(8, sys.byteorder), 8 * scoreboard.PID)
    if any(os.pread(board, 8, 8 * scoreboard.OVER)):
        os._exit(exits.MASTER_GONE)  # the supervisor has given up this request
    link.close()  # not before: so it learns of every fork, or that there is none
    with contextlib.suppress(OSError):
        os.setpgid(0, 0)
    with contextlib.suppress(OSError):
        os.fchdir(folder)
    _give_descriptors(fds[1:])
    command, environment = messages.read_request(data)
    _enter_environment(environment)
    words = command.index("-c")
    sys.argv[:] = ["-c", *command[words + 2 :]]
    sys.orig_argv[:] = command
    if _loading:
        _have_what_was_loaded(command)
    processtext.show(command, environment)
    _forget_searches()
    _draw_new_numbers()
    with contextlib.suppress(AttributeError):  # Python itself does not do this after a fork
        threading.current_thread()._set_native_id()  # type: ignore[attr-defined]
    forks.begin()  # it is no fork of a worker, which could do less


def _give_descriptors(fds: list[int]) -> None:
    """Have the given ones as 1, 2, 3, ... and close all others but stdin."""
    import fcntl

    safe = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _GIVEN + len(fds)) for fd in fds]
    for number, fd in enumerate(safe, 1):
        os.dup2(fd, number, inheritable=True)
    os.closerange(1 + len(safe), max(map(int, os.listdir(_OPEN))) + 1)  # noqa: PTH208  no pathlib


def _enter_environment(given: dict[bytes, bytes]) -> None:
    for name in list(os.environb):
        if name not in given:
            del os.environb[name]
    for name, value in given.items():
        if os.environb.get(name) != value:
            os.environb[name] = value


def _have_what_was_loaded(command: list[str]) -> None:
    """Use libraries as if they had just been loaded; where they differ, begin from the start."""
    (loading,) = _loading
    processors = len(os.sched_getaffinity(0))
    if not loading.fits(os.environ, processors):
        for number in (signal.SIGPIPE, signal.SIGXFSZ):  # an interpreter sets these itself
            signal.signal(number, signal.SIG_DFL)
        os.execv(command[0], command)  # noqa: S606  no shell
    loading.use_threads(os.environ, processors)


def _forget_searches() -> None:
    """Look into folders anew: what the template has found in them, or not, may have changed."""
    for path, finder in list(sys.path_importer_cache.items()):
        if finder is None:
            del sys.path_importer_cache[path]
        elif hasattr(finder, "invalidate_caches"):
            finder.invalidate_caches()


def _draw_new_numbers() -> None:
    """Have random numbers of one's own; those of `random` are seeded anew by each fork."""
    numpy = sys.modules.get("numpy.random")
    if numpy is not None:
        numpy.seed()
