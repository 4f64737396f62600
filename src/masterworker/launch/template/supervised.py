"""One template as its supervisor sees it: started, asked for workers, and ended.

Everything here is called by the supervisor's thread, which never waits for a template. What a
template was asked for, and does not answer, is found out from the scoreboard that came with the
request: a fork writes its process id there before it lets go of the connection.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections import deque
from typing import TYPE_CHECKING, Final

from masterworker import forks
from masterworker.launch import scoreboard
from masterworker.launch.template import messages
from masterworker.named import NamedTuple
from masterworker.surroundings.python import STARTING
from masterworker.thread_limits import THREADS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from masterworker.launch.preload import Preload
    from masterworker.surroundings.python import Interpreter

#: A template that owes an answer for this time is ended, unless it only waits for a processor or a
#: disk (seconds).
ANSWER_SECONDS: Final = 2.0
#: So is one that has not answered in any case, or is not ready, after this time (seconds).
READY_SECONDS: Final = 10.0
#: ... where it imports libraries first (seconds).
PRELOAD_SECONDS: Final = 60.0
#: It is asked for this number of workers at a time, at most: while it forks some in a row, as many
#: others wait.
MOST_ASKED: Final = 2 * messages.MOST_AT_ONCE
#: Time for its connection to close after it was killed: a fork may hold it still (seconds).
CLOSING_SECONDS: Final = 1.0
#: Time between looks whether one that was ended is gone (seconds).
REAPING_SECONDS: Final = 0.02

#: Becomes a template, and in each of its forks a worker.
_BEGIN: Final = (
    "import gc; gc.disable(); {path}from masterworker.cli.child import begin, prepare; "
    "from masterworker.launch.template.server import serve; "
    "serve({fd}, {pid}, prepare{loads}); begin()"
)
#: Reads from the connection where to import from, before anything of ours can be found.
_PATH: Final = (
    "import posix, sys; sys.path[:] = posix.read({fd}, {size})"
    ".decode(sys.getfilesystemencoding(), 'surrogateescape').split(chr(0)); "
)


class Request(NamedTuple):
    """A worker that was asked for."""

    board: memoryview
    #: Is given the worker's process id, or None and why there is no worker.
    then: Callable[[int | None, str], None]


def _start(
    interpreter: Interpreter,
    environment: dict[str, str],
    preload: Preload | None,
    ours: socket.socket,
    theirs: socket.socket,
) -> subprocess.Popen[bytes]:
    """Start the process of a template, with one end of a connection."""
    fd, path = theirs.fileno(), ""
    if interpreter.path:
        folders = os.fsencode("\0".join(interpreter.path))
        if len(folders) > messages.LONGEST:
            raise OSError("the import path is too long for a template")
        ours.send(folders)
        path = _PATH.format(fd=fd, size=messages.LONGEST)
    variables, loads = {**environment, STARTING: "1"}, ""
    if preload is not None:
        variables |= dict.fromkeys(THREADS, "1")
        loads = ", loads=True"
        ours.send(messages.import_request(preload))
    begin = _BEGIN.format(path=path, fd=fd, pid=os.getpid(), loads=loads)
    safe = [] if interpreter.path else ["-P"]
    with forks.held_off():
        return subprocess.Popen(
            [interpreter.executable, *safe, *interpreter.options, "-c", begin],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            bufsize=0,
            process_group=0,  # a Ctrl-C at the terminal is for the supervisor only
            pass_fds=[fd],
            env=variables,
        )


class Template:
    """One template.

    Args:
        interpreter: What is started.
        environment: Its variables, which are those of its first worker.
        now: Seconds of the monotonic clock.
        on_change: Called when it has become ready, or will not be asked any more.
        preload: What it imports before it is ready; None: nothing.

    Raises:
        OSError: The system does not start any more processes.
    """

    def __init__(
        self,
        interpreter: Interpreter,
        environment: dict[str, str],
        now: float,
        on_change: Callable[[], None],
        preload: Preload | None = None,
    ) -> None:
        self.environment = environment
        self.is_ready = False
        #: Why it is not asked any more; "": it may be.
        self.over = ""
        self._is_unfit = False
        #: No request fits into its connection until it has answered.
        self._is_full = False
        self.served = 0
        self._over_since = 0.0
        self.on_change = on_change
        self._asked: deque[Request] = deque()
        #: Since when it has owed an answer.
        self._owes_since = now
        self._due: float | None = now + (PRELOAD_SECONDS if preload else READY_SECONDS)
        self._link, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            with theirs:
                self._link.setblocking(False)
                self._process = _start(interpreter, environment, preload, self._link, theirs)
        except BaseException:
            self._link.close()
            raise
        assert self._process.stdout is not None  # noqa: S101  for the type checker
        self._out = self._process.stdout
        os.set_blocking(self._out.fileno(), False)

    @property
    def fds(self) -> tuple[int, int]:
        """Where it answers, and what it writes. -1: nothing comes any more."""
        link = self._link.fileno()
        return link, -1 if self._out.closed else self._out.fileno()

    @property
    def is_idle(self) -> bool:
        """Return whether it is ready, and nothing is asked for."""
        return self.is_ready and not self.over and not self._asked

    @property
    def is_busy(self) -> bool:
        """Return whether it is to answer first: its connection does not hold many messages."""
        return len(self._asked) >= MOST_ASKED or self._is_full

    @property
    def is_hopeless(self) -> bool:
        """Return whether no other one will do better, now that this one has gone."""
        return self._is_unfit or (not self.is_ready and (self._process.returncode or 0) >= 0)

    @property
    def due(self) -> float | None:
        """When `look` is to be called at the latest, by the monotonic clock; None: not at all."""
        return self._due

    def ask(
        self, command: Sequence[str], environment: Mapping[str, str], fds: list[int],
        request: Request, now: float, program: bytes = b"",
    ) -> bool:  # fmt: skip
        """Ask for a worker, without waiting.

        Args:
            command: What would start it as a program of its own.
            environment: Its variables.
            fds: What it inherits; see `messages`.
            request: What comes of it.
            now: Seconds of the monotonic clock.
            program: See `messages.request`.

        Returns:
            False: the template cannot be asked now; later it can, if it `is_busy`.
        """
        message = messages.request(command, environment, program)
        if len(message) > messages.LONGEST:
            return False
        try:
            socket.send_fds(self._link, [message], fds)
        except BlockingIOError:
            self._is_full = bool(self._asked)
            return False
        except OSError:
            return False
        self._asked.append(request)
        if self._due is None:
            self._due, self._owes_since = now + ANSWER_SECONDS, now
        return True

    def hear(self, now: float) -> None:
        """Take what it has answered."""
        while True:
            try:
                reply = self._link.recv(1 << 12)
            except BlockingIOError:
                break
            except ConnectionResetError:  # it has left a request unread; what it has said comes now
                continue
            except OSError:
                reply = b""
            if not reply:
                self.end("it has ended")
                self._settle_all()
                self._link.close()
                break
            self._take(reply, now)

    def read(self) -> bool:
        """Log what it has written. False: nothing will come any more."""
        try:
            data = os.read(self._out.fileno(), 1 << 14)
        except BlockingIOError:
            return True
        except OSError:
            data = b""
        if text := data.decode(errors="replace").strip():
            import logging  # a template begins before a master has it

            logger = logging.getLogger("masterworker.launch")
            logger.info("the template of workers (process %d) writes: %s", self._process.pid, text)
        return bool(data)

    def look(self, now: float) -> None:
        """End it if it owes an answer for too long."""
        if self._due is None or now < self._due:
            return
        if not self.over:
            if self.is_ready and now - self._owes_since < READY_SECONDS and self._is_starved():
                self._due = now + ANSWER_SECONDS
            else:
                self.end("it does not answer")
            return
        if now - self._over_since >= CLOSING_SECONDS:
            self._settle_all()
            self._kill()
        self._due = None if self.has_gone() else now + REAPING_SECONDS

    def _is_starved(self) -> bool:
        """Return whether it would go on, if the system let it."""
        try:
            with open(f"/proc/{self._process.pid}/stat", "rb") as file:  # noqa: PTH123
                return file.read().rpartition(b") ")[2][:1] in {b"R", b"D"}
        except OSError:
            return False

    def end(self, why: str) -> None:
        """End it, but not its workers. What it owes is settled when its connection closes."""
        if not self.over:
            self._is_over(why)
            self._kill()

    def _is_over(self, why: str) -> None:
        self.over = self.over or why
        self._over_since = time.monotonic()
        self._due = self._over_since + REAPING_SECONDS
        self.on_change()

    def _kill(self) -> None:
        with contextlib.suppress(OSError):
            if self.is_ready or self._process.returncode is not None:
                self._process.send_signal(signal.SIGKILL)
            else:  # its group has no worker, but perhaps what an import has started
                os.killpg(self._process.pid, signal.SIGKILL)

    def close(self) -> None:
        """End it. Its workers go on."""
        self.end("it is not needed")
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(CLOSING_SECONDS)
        self._link.close()
        self._out.close()

    def has_gone(self) -> bool:
        """Return whether its process has ended, and nothing is asked for any more."""
        over = bool(self.over) and not self._asked
        return over and self._process.poll() is not None and self._reap_strays()

    def _reap_strays(self) -> bool:
        """Clear away forks that have not begun, and so are in its process group. False: some are.

        Which ones there are, it alone has known.
        """
        group = self._process.pid  # free for other processes only when the group is empty
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-group, os.WNOHANG)[0]:
                pass
            with contextlib.suppress(OSError):
                os.killpg(group, signal.SIGKILL)
            return False
        return True

    def _take(self, reply: bytes, now: float) -> None:
        self._due, self._is_full = None, False
        if reply == messages.READY:
            self.is_ready = True
            self.on_change()
        elif reply.startswith(messages.UNFIT):
            self._is_unfit = True
            self.end(reply.removeprefix(messages.UNFIT).decode(errors="replace"))
        elif self._asked:
            request = self._asked.popleft()
            if reply.startswith(messages.FORKED):
                self.served += 1
                request.then(int(reply.removeprefix(messages.FORKED)), "")
            else:
                why = reply.removeprefix(messages.FAILED).decode(errors="replace")
                request.then(None, why)
        if self._asked:
            self._due, self._owes_since = now + ANSWER_SECONDS, now

    def _settle_all(self) -> None:
        """Find out what has become of all that it was asked for, and has not answered."""
        while self._asked:
            request = self._asked.popleft()
            pid = int(request.board[scoreboard.PID])
            if not pid:  # it is not there, or will find that it is not wanted
                request.board[scoreboard.OVER] = 1
                pid = int(request.board[scoreboard.PID])
            request.then(pid or None, self.over)
