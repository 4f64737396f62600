"""One worker process: started, heard, watched, ended, and what is said of its end.

Everything here is called by the supervisor's thread alone.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
from collections import deque
from typing import TYPE_CHECKING, Final

from masterworker import wire
from masterworker.core.task import AGAIN, FAILURE
from masterworker.data.failure import describe
from masterworker.errors import TaskTimeout
from masterworker.launch import exits, scoreboard
from masterworker.launch.descriptors import pidfd_of
from masterworker.launch.health import KILL_GRACE_SECONDS, Health, excess_of_memory
from masterworker.launch.output import KEPT_LINES, KEPT_WIDTH, NONE, Stream, marked
from masterworker.machine import process_info
from masterworker.taskid import task_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from masterworker.launch.health import Look
    from masterworker.launch.spec import Spec
    from masterworker.launch.start import Started

#: What a worker writes to stderr before it has joined is shown after this time, since it may say
#: why joining takes this time. If the worker ends before, the report of its end says it, once.
HOLD_SECONDS: Final = 3.0
#: A worker may still begin a task that was cancelled within this time: it was on its way (seconds).
ON_ITS_WAY_SECONDS: Final = 10.0
#: One that has not joined and writes more lines than this says more than why it fails.
MOST_HELD: Final = 100
#: A worker that has joined and lived for this time did not fail to start (seconds).
SETTLED_SECONDS: Final = 10.0
#: Time for a process that did not start in time to write where it is (seconds).
STACK_SECONDS: Final = 0.25
#: Time for a process whose worker has left, for its exit handlers, say (seconds).
LINGER_SECONDS: Final = 10.0
#: What becomes of a task that is ended with its worker.
_OVERDUE: Final = (
    "the task took longer than its time limit and did not stop when it was asked to, so its worker "
    "was ended"
)
#: A pipe is read in pieces of this size.
PIECE_BYTES: Final = 1 << 16
#: Pieces that are read after the end, at most: what the worker has started may go on writing.
LAST_PIECES: Final = 64


class WorkerProcess:
    """One worker process.

    Args:
        spec: What kind of worker.
        started: Its process.
        now: Seconds of the monotonic clock.
        show: Prints a line that was written to stdout or, with `error=True`, to stderr.
    """

    def __init__(self, spec: Spec, started: Started, now: float, show: Callable[..., None]) -> None:
        self.spec = spec
        self._show = show
        self._our_peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * exits.MAXRSS_UNIT
        self.pid, self.board, self._popen = started.pid, started.board, started.popen
        self.pidfd = pidfd_of(self.pid)
        self.out, self.err = Stream(started.out, now), Stream(started.err, now)
        #: The last lines of stderr, and those that have not been shown yet.
        self.tail: deque[str] = deque(maxlen=KEPT_LINES)
        self._held: list[str] | None = []
        #: Since when there is any of these.
        self._held_since: float | None = None
        self.began = now
        self.ended = False
        #: Exit status or negative signal, once it has ended; None: unknown.
        self.status: int | None = None
        #: Why the supervisor has asked it to end; "": it has not.
        self.asked = ""
        #: It has ended because of what we saw it do, so that is its own fault.
        self.guilty = False
        #: What the manager is to take as the outcome of the task that was being executed.
        self.outcome: tuple[int, bytes] | None = None
        self.mute = False
        self.told_joined = False
        self.peak = 0
        self._usage: resource.struct_rusage | None = None
        self._plan: deque[tuple[float, int]] = deque()
        self._cancelling: tuple[tuple[int, int], float] | None = None
        #: What it is not to execute, if it begins to before these times; as `_doing`.
        self._unwanted: dict[tuple[int, int], float] = {}
        self.health = Health(self.board, now)
        self._left_since: float | None = None
        #: Since when it should have joined, and was asked where it is.
        self._late_since: float | None = None
        #: It was ended since it had not joined in time.
        self.is_overdue = False

    # -- what it is doing -------------------------------------------------------------------

    @property
    def member_id(self) -> int:
        """As what it has joined; -1: it has not."""
        return int(self.board[scoreboard.MEMBER]) - 1

    @property
    def task(self) -> int:
        """The task that it is executing; 0 for none."""
        return int(self.board[scoreboard.TASK])

    @property
    def _doing(self) -> tuple[int, int]:
        """The same, and of which run of the manager: its number means another one in the next."""
        return int(self.board[scoreboard.RUN]), self.task

    @property
    def task_name(self) -> str:
        """The id of that task, as users see it."""
        return task_name(scoreboard.read_tag(self.board), self.task)

    def has_worked(self, now: float) -> bool:
        """Return whether it has begun any task, or at least was ready for some time."""
        ready = self.member_id >= 0 and now - self.began > SETTLED_SECONDS
        return ready or self.board[scoreboard.LAST] > 0 or self.task != 0

    @property
    def had_its_say(self) -> bool:
        """Return whether the worker has ended its process itself, and not a task."""
        chosen, _ = scoreboard.read_verdict(self.board)
        return chosen is not None or bool(self.board[scoreboard.LEFT] and not self.task)

    @property
    def chosen_status(self) -> int | None:
        """The exit status that the worker has chosen; None: a task or the system has ended it."""
        chosen, _ = scoreboard.read_verdict(self.board)
        if chosen is None:
            return self.status if self.had_its_say else None
        return chosen if self.status in {None, chosen} else None

    @property
    def reason(self) -> str:
        """Why the worker has ended its process, as it says itself; "" if it has said nothing."""
        return scoreboard.read_verdict(self.board)[1]

    # -- what it writes ---------------------------------------------------------------------

    def hear(self, stream: Stream, now: float) -> bool:
        """Read what has come. False: nothing is there now, or will come any more."""
        try:
            data = os.read(stream.fd, PIECE_BYTES)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        stream.at_end = not data
        for line in stream.lines.feed(data, now):
            self._pass_on(line, error=stream is self.err)
        if self._held and self._held_since is None:
            self._held_since = now
        return bool(data)

    def hear_on(self, now: float) -> None:
        """Report what was left out of a flood that is over."""
        for stream in (self.out, self.err):
            for line in stream.lines.look(now):
                self._pass_on(line, error=stream is self.err)

    def hear_the_last(self, now: float) -> None:
        """Read what it has written before it ended, and close everything."""
        for stream in (self.out, self.err):
            for _ in range(LAST_PIECES):
                if not self.hear(stream, now):
                    break
            for line in stream.lines.end():
                self._pass_on(line, error=stream is self.err)
            stream.pipe.close()
        if self.pidfd is not None:
            os.close(self.pidfd)
            self.pidfd = None

    def release_in_time(self, now: float) -> None:
        """Show what it has written before it has joined, if it does not end soon after that."""
        if self._held_since is not None and now - self._held_since > HOLD_SECONDS:
            self.release_held()

    def release_held(self) -> None:
        """From now on what it writes to stderr is shown as it comes, and what it has written."""
        held, self._held, self._held_since = self._held, None, None
        for line in held or ():
            self._print(line, error=True)

    def _pass_on(self, line: str, *, error: bool) -> None:
        if not error:
            self._print(line, error=False)
            return
        self.tail.append(line[:KEPT_WIDTH])
        if self._held is not None and (self.member_id >= 0 or len(self._held) >= MOST_HELD):
            self.release_held()
        if self._held is None:
            self._print(line, error=True)
        else:
            self._held.append(line)

    def _print(self, line: str, *, error: bool) -> None:
        if not self.mute and self.spec.output != NONE:
            self._show(marked(line, self.pid, self.spec.output), error=error)

    # -- signals ----------------------------------------------------------------------------

    def end(self, why: str, *steps: tuple[float, int]) -> None:
        """Let it end, step by step.

        Args:
            why: Why we do so.
            steps: Signals, and the times at which to send them.
        """
        self.asked = self.asked or why
        self._plan = deque(steps)

    def let_listen(self) -> None:
        """The master has left an order for it: let its courier ask for that."""
        self.board[scoreboard.ORDERS] += 1

    def cancel(self, task_id: int, now: float) -> None:
        """Break off a task, as soon as that is what it is executing."""
        if self.asked:
            return
        what = int(self.board[scoreboard.RUN]), task_id
        if self._doing != what:
            self._unwanted[what] = now + ON_ITS_WAY_SECONDS
            return
        self._unwanted.pop(what, None)
        self.board[scoreboard.CANCEL] = task_id
        self._cancelling = (what, now + KILL_GRACE_SECONDS)
        self.signal(scoreboard.LOOK)

    def take_steps(self, now: float) -> None:
        """Do what is due: the next signal, or the end of one that does not heed the last."""
        while self._plan and self._plan[0][0] <= now:
            _, number = self._plan.popleft()
            if number == signal.SIGKILL:
                self.kill()
            else:
                self.board[scoreboard.CANCEL] = 0
                self.board[scoreboard.END] += 1
                self.signal(number)
        if self._unwanted:
            self._look_for_unwanted(now)
        if self._cancelling is not None:
            what, kill_at = self._cancelling
            if self._doing != what:
                self._cancelling = None
            elif now >= kill_at and not self.asked:
                self.asked = "its task was cancelled, and it did not stop when it was asked to"
                self.kill()

    def _look_for_unwanted(self, now: float) -> None:
        what = self._doing
        if what in self._unwanted:
            self.cancel(what[1], now)
        for over in [task for task, until in self._unwanted.items() if until <= now]:
            del self._unwanted[over]

    def signal(self, number: int) -> None:
        """Send a signal to the process alone."""
        with contextlib.suppress(OSError):
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End the process and all that it has started."""
        with contextlib.suppress(OSError):
            os.killpg(self.pid, signal.SIGKILL)

    # -- its limits -------------------------------------------------------------------------

    def enforce(self, seen: Look, now: float) -> None:
        """End it if it has overstepped a limit, or stands still for good."""
        if self.asked:
            return
        if self._is_late(now):
            self.is_overdue = True
            doing = scoreboard.read_step(self.board)
            self._put_down(f"not ready after {self.spec.start_timeout:g} s, {doing}")
        elif self._lingers(now):
            self._put_down("its worker had left, and the process did not end", guilty=False)
        elif why := excess_of_memory(seen, self.spec.memory_limit):
            self._put_down(why)
        elif self.health.overdue_task(now):
            kind = AGAIN if self.board[scoreboard.AGAIN] else FAILURE
            self.outcome = (kind, describe(TaskTimeout(_OVERDUE)).encode())
            self._put_down("its task did not heed its time limit", guilty=False)
        elif why := self.health.standstill():
            self._put_down(why)
        elif (deadline := self.spec.limits.deadline) is not None and now >= deadline:
            kill = now + KILL_GRACE_SECONDS
            self.end("its time is over", (now, signal.SIGINT), (kill, signal.SIGKILL))

    def _is_late(self, now: float) -> bool:
        """Return whether it has not joined in time, and had a moment to write where it is."""
        limit = self.spec.start_timeout
        if limit is None or self.member_id >= 0 or now - self.began < limit:
            return False
        if self._late_since is None:
            self._late_since = now
            self.signal(scoreboard.LOOK)
        return now - self._late_since >= STACK_SECONDS

    def _put_down(self, why: str, *, guilty: bool = True) -> None:
        self.asked, self.guilty = why, guilty
        self.kill()

    def _lingers(self, now: float) -> bool:
        """Return whether its worker has left long ago, and the process still does not end.

        A handler has left a thread behind, say, which the interpreter waits for.
        """
        if not self.board[scoreboard.LEFT]:
            return False
        if self._left_since is None:
            self._left_since = now
        return now - self._left_since > LINGER_SECONDS

    # -- the end ----------------------------------------------------------------------------

    def has_ended(self) -> bool:
        """Return whether it has ended, and clear away what is left of it."""
        if self.ended:
            return True
        try:
            first = hasattr(os, "waitid")  # macOS has it from Python 3.13 on
            if first:
                flags = os.WEXITED | os.WNOHANG | os.WNOWAIT
                if os.waitid(os.P_PID, self.pid, flags) is None:
                    return False
                self.kill()  # as long as it has not been waited for, this number is its own
            pid, status, usage = os.wait4(self.pid, os.WNOHANG)
            if not pid:
                return False
            if not first:
                self.kill()  # a process group keeps its number as long as a process is in it
            self.status, self._usage = os.waitstatus_to_exitcode(status), usage
        except ChildProcessError:  # the program has waited for all children, or ignores them
            self.status = None
        if self._popen is not None:
            self._popen.returncode = 0 if self.status is None else self.status
        self.ended = True
        return True

    def how(self, likely: str = "") -> str:
        """Describe in one line how it ended.

        Args:
            likely: What the cause may have been.
        """
        text = exits.describe(self.status)
        if self.asked:
            text += f": {self.asked}"
        elif likely:
            text += f", {likely}"
        memory = exits.describe_memory(self._usage, self.peak, self._our_peak)
        return f"{text} ({memory})" if memory else text

    def ending(self, how: str) -> wire.Ending:
        """Describe the end for the manager."""
        broken = 0 if self.had_its_say else int(self.board[scoreboard.LAST])
        return wire.Ending(
            self.member_id,
            process_info(self.pid),
            self.task or broken,
            how,
            self.guilty or not self.asked,
            "\n".join(self.tail),
            self.outcome,
            run=self.board[scoreboard.RUN],
        )

    def stopped(self) -> wire.Ending | None:
        """Report to the manager, once, that this process is stopped and does nothing for it."""
        if self.member_id < 0 or not self.health.has_stopped():
            return None
        blame, info = bool(self.task) and not self.asked, process_info(self.pid)
        how, run = "its process is stopped", self.board[scoreboard.RUN]
        return wire.Ending(
            self.member_id, info, self.task, how, blame, "", self.outcome, False, run
        )

    def last_words(self, *, shown: bool) -> list[str]:
        """Return the end of what it wrote to stderr, and why it has ended, as far as it said so.

        Args:
            shown: Also what has been shown before.
        """
        lines = list(self.tail if shown else self._held or ())[-KEPT_LINES:]
        return [*lines, exits.PROGRAM + self.reason] if self.reason else lines
