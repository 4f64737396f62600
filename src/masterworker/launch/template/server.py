"""Being a template: waits for requests, and forks a worker for each.

It is a fresh interpreter that has loaded what every worker needs, executes nothing of users, and
has one thread. Each fork gives away all that is the template's and becomes what a program of its
own would be. What a fork would have to find out or to make first, the template does before it forks
(`_Ready`): a fork pays for each page of memory that it writes to, and so does one that only uses an
object, which is counted there.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import gc
import os
import signal
import socket
import struct
import sys
import threading
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final, NoReturn

from masterworker import forks
from masterworker.launch import exits, scoreboard
from masterworker.launch.process_context import end_with_parent
from masterworker.launch.template import clone, messages
from masterworker.launch.template.processtext import ProcessText
from masterworker.named import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from masterworker.launch.template.clone import Cloner

#: Numbers below this one are given to a fork.
_GIVEN: Final = 5
_OPEN: Final = "/proc/self/fd"
_INT: Final = struct.Struct("i")
#: Room for the file descriptors of a request.
_ROOM: Final = socket.CMSG_LEN(messages.MOST_FDS * _INT.size)
#: Errors of a fork that will not go away: a filter of system calls refuses it, say.
_FOR_GOOD: Final = frozenset({errno.EPERM, errno.ENOSYS, errno.EINVAL, errno.EACCES})


def serve(
    fd: int,
    supervisor: int,
    prepare: Callable[[Sequence[str], bytes], None],
    *,
    loads: bool = False,
) -> None:
    """Fork workers for a supervisor. Returns in each of them, and never in the template.

    Args:
        fd: Of the connection to the supervisor.
        supervisor: Its process id.
        prepare: Called before a fork with its words and its program, if one is another than before.
        loads: The first message says what this process is to import.
    """
    end_with_parent()
    if os.getppid() != supervisor:
        os._exit(exits.MASTER_GONE)
    link = socket.socket(fileno=fd)
    cloner = _prepare(link, loads=loads)
    path = list(sys.path)
    ready = _Ready(prepare)
    asked: list[_Asked] = []
    mine: list[int] | None = None
    while mine is None:
        asked = _receive(link)
        if not asked:
            os._exit(0)
        try:
            mine = _answer(link, cloner, ready, asked)
        finally:
            if os.getpid() == _template:
                for request in asked:
                    for each in request.fds:
                        os.close(each)
    sys.path[:] = path
    _become(link, ready, mine, max(each for request in asked for each in request.fds))


class _Asked(NamedTuple):
    """A request that has come."""

    message: bytes
    fds: list[int]
    #: Not all file descriptors have come.
    is_cut: bool


class _Ready:
    """What all forks that are asked for with the same message have in common from the beginning.

    Args:
        prepare: See `serve`.
    """

    def __init__(self, prepare: Callable[[Sequence[str], bytes], None]) -> None:
        self._prepare = prepare
        self._message = b""
        self._environment = dict(os.environb)
        #: Higher than the file descriptors of the template.
        self.bound = 0
        self.text = ProcessText()

    def enter(self, message: bytes) -> None:
        """Have the variables and words of a worker, in the template itself."""
        if message == self._message:
            return
        command, environment, program = messages.read_request(message)
        for name in self._environment.keys() - environment.keys():
            del os.environb[name]
        for name, value in environment.items():
            if self._environment.get(name) != value:
                os.environb[name] = value
        self._environment = environment
        words = command[command.index("-c") + 2 :]
        sys.argv[:], sys.orig_argv[:] = ["-c", *words], command
        self.text.write(command, environment)
        self._prepare(words, program)
        self.bound = max(map(int, os.listdir(_OPEN))) + 1  # noqa: PTH208  workers go without pathlib
        self._message = message


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
    _forget_searches()
    if loads:  # else there is little, and it takes a tenth of a template's start
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
    link.send(messages.UNFIT + why.encode())
    os._exit(0)  # what an import may have started in its process group the supervisor ends


def _forget_searches() -> None:
    """Look into folders anew: what the template has found in them, or not, may have changed."""
    for path, finder in list(sys.path_importer_cache.items()):
        if finder is None:
            del sys.path_importer_cache[path]
        elif hasattr(finder, "invalidate_caches"):
            finder.invalidate_caches()


def _unfit() -> str:
    """Return why no process could be a fork of this one now; "": one could."""
    number = clone.threads()
    if number != 1:
        return f"a template has {number} threads"
    if sys.gettrace() is not None or sys.getprofile() is not None or "coverage" in sys.modules:
        return "new processes are traced"
    return ""


def _receive(link: socket.socket) -> list[_Asked]:
    """Wait for a request, and take those that have come with it; []: none will come any more."""
    asked: list[_Asked] = []
    flags = 0
    while len(asked) < messages.MOST_AT_ONCE:
        try:
            # `socket.recv_fds` of Python 3.11 forgets the flags.
            data, passed, how, _ = link.recvmsg(messages.LONGEST, _ROOM, flags)
        except BlockingIOError:
            break
        fds = [fd for *_, content in passed for (fd,) in _INT.iter_unpack(content)]
        if not data and not fds:
            break
        is_cut = bool(how & socket.MSG_CTRUNC) or len(fds) < messages.MOST_FDS - 1
        asked.append(_Asked(data, fds, is_cut))
        flags = socket.MSG_DONTWAIT
    return asked


def _answer(
    link: socket.socket, cloner: Cloner, ready: _Ready, asked: list[_Asked]
) -> list[int] | None:
    """Answer requests. Returns what came for the worker that this is; None: it is none."""
    if why := _unfit():
        _end_unfit(link, why)
    for (message, is_cut), row in groupby(asked, lambda each: (each.message, each.is_cut)):
        if is_cut:
            for _ in row:
                link.send(messages.FAILED + b"a template has no free file descriptors")
            continue
        ready.enter(message)
        mine = _fork(link, cloner, [each.fds for each in row])
        if mine is not None:
            return mine
    return None


def _fork(link: socket.socket, cloner: Cloner, row: list[list[int]]) -> list[int] | None:
    """Fork once for each request with the same message; see `_answer`."""
    pids, why = [], None
    cloner.begin()
    try:
        for fds in row:
            pid = cloner()
            if not pid:
                return fds
            pids.append(pid)
    except OSError as error:
        why = error
    cloner.end()
    for pid in pids:
        link.send(messages.FORKED + str(pid).encode())
    if why is not None:
        if why.errno in _FOR_GOOD:
            _end_unfit(link, f"the system refuses the fork: {why}")
        for _ in row[len(pids) :]:
            link.send(messages.FAILED + str(why).encode())
    return None


# -- in the worker --------------------------------------------------------------------------


def _become(link: socket.socket, ready: _Ready, fds: list[int], highest: int) -> None:
    """Become a worker, as if this were a program of its own.

    Args:
        link: The connection to the supervisor.
        ready: What was prepared.
        fds: What came with the request.
        highest: The highest file descriptor of this one and of all that came with others.
    """
    folder, board = fds[0], fds[3]
    os.pwrite(board, os.getpid().to_bytes(8, sys.byteorder), 8 * scoreboard.PID)
    if any(os.pread(board, 8, 8 * scoreboard.OVER)):
        os._exit(exits.MASTER_GONE)  # the supervisor has given up this request
    link.close()  # not before: so it learns of every fork, or that there is none
    with contextlib.suppress(OSError):
        os.setpgid(0, 0)
    with contextlib.suppress(OSError):
        os.fchdir(folder)
    _give_descriptors(fds[1:], max(ready.bound, highest) + 1)
    if _loading:
        _have_what_was_loaded(sys.orig_argv)
    ready.text.show()
    _draw_new_numbers()
    with contextlib.suppress(AttributeError):  # Python itself does not do this after a fork
        threading.current_thread()._set_native_id()  # type: ignore[attr-defined]
    forks.begin()  # it is no fork of a worker, which could do less


def _give_descriptors(fds: list[int], bound: int) -> None:
    """Have the given ones as 1, 2, 3, ... and close all others but stdin.

    Args:
        fds: In this order.
        bound: Higher than all that are open.
    """
    if any(fd <= number for number, fd in enumerate(fds, 1)):  # one would take another's place
        fds = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _GIVEN + len(fds)) for fd in fds]
    for number, fd in enumerate(fds, 1):
        os.dup2(fd, number, inheritable=True)
    os.closerange(1 + len(fds), max(bound, *fds) + 1)


def _have_what_was_loaded(command: list[str]) -> None:
    """Use libraries as if they had just been loaded; where they differ, begin from the start."""
    (loading,) = _loading
    processors = len(os.sched_getaffinity(0))
    if not loading.fits(os.environ, processors):
        for number in (signal.SIGPIPE, signal.SIGXFSZ):  # an interpreter sets these itself
            signal.signal(number, signal.SIG_DFL)
        os.execv(command[0], command)  # noqa: S606  no shell
    loading.use_threads(os.environ, processors)


def _draw_new_numbers() -> None:
    """Have random numbers of one's own; those of `random` are seeded anew by each fork."""
    numpy = sys.modules.get("numpy.random")
    if numpy is not None:
        numpy.seed()
