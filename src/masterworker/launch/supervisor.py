"""The supervisor: starts worker processes, hears and watches them, and replaces those that end.

    one thread:  pipes, ends of processes, and what others ask for --> slots --> processes
                 reports --> Reporter --> the manager          lines --> Printer --> the user

The same in the master's process, for the workers that it launches, and in the process of
`task_manager worker LABEL -n N`. Code of users is never executed by it. All processes are started
by its one thread, which outlives them: the system ends them with that thread.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Final

from masterworker import wire
from masterworker.data.record import printable
from masterworker.launch import exits, health, scoreboard
from masterworker.launch.health import KILL_GRACE_SECONDS
from masterworker.launch.loop import Loop
from masterworker.launch.output import Printer
from masterworker.launch.reaper import Reaper
from masterworker.launch.reporter import Reporter
from masterworker.launch.resources import OomWatch
from masterworker.launch.slot import Reason, Slot, reason_of
from masterworker.launch.starter import Starter
from masterworker.launch.starting import SlowStarts
from masterworker.launch.vouching import Vouching
from masterworker.machine import random_name
from masterworker.signals import held

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from masterworker.launch.output import Stream
    from masterworker.launch.process import WorkerProcess
    from masterworker.launch.reporter import Attend
    from masterworker.launch.spec import Spec
    from masterworker.launch.template.ahead import Ahead

logger = logging.getLogger("masterworker.launch")

#: Time between looks at the workers (seconds), and where the system does not announce their ends.
LOOK_SECONDS: Final = 0.25
LOOK_FOR_ENDS_SECONDS: Final = 0.1
#: Processes that are started before the reaper, and callers that wait for them, hear of it.
STARTS: Final = 8
#: Longest time that a launch waits for its processes to be started (seconds).
LAUNCH_BOUND_SECONDS: Final = 5.0
#: Workers that do not end with their job by themselves are ended after this time (seconds).
LAST_STEPS_SECONDS: Final = 6.0
#: Longest time to print what is left at the end, also on a slow terminal (seconds).
LAST_PRINTS_SECONDS: Final = 1.0


class Supervisor:
    """Worker processes, and a thread that looks after them.

    Args:
        listen: How to ask the manager for orders; see `Reporter`.
        report: How to send it reports meanwhile.
        patience: Seconds to look for a master that does not answer; None: it is this process.
        on_change: Called by the supervisor's thread when workers have been started or have ended.
        ahead: A template of workers that has begun already; None: there is none.
        comes_back: A master that is gone may be started again: workers wait for it.
        name: By which the manager knows it, and which no other one can guess; "": a random one.

    Thread-safe.
    """

    def __init__(
        self,
        listen: Attend,
        report: Attend,
        *,
        patience: float | None,
        on_change: Callable[[], None] = lambda: None,
        ahead: Ahead | None = None,
        name: str = "",
        comes_back: bool = False,
    ) -> None:
        self.name = name or random_name()
        self.slots: list[Slot] = []
        #: Once the supervisor gives up: the exit status that says why, and the reason.
        self.failed: tuple[int, str] | None = None
        self._reporter = Reporter(
            self.name, listen, report, self._on_orders, self.finish, self._on_gone, patience
        )
        self._local, self._comes_back, self._on_change = patience is None, comes_back, on_change
        #: Where workers share what they have fetched; those of the master's own machine need none.
        self._shelf = -1
        if not self._local:  # masters do not load it
            from masterworker.data import shelf

            self._shelf = shelf.create()
        self._printer, self._loop = Printer(), Loop(self._next_due, self._turn)
        #: Knows in which way workers are started.
        self.starter = Starter(
            self.name, self._loop, self._printer.put, self._take_in, lambda: self.slots, ahead
        )
        self._changed, self._over, self._next_look = threading.Condition(), False, 0.0
        self._oom, self._slow_starts, self._reaper = OomWatch(), SlowStarts(), Reaper()
        #: What the last worker that failed to start has said.
        self._last_words, self._vouching = "", Vouching()

    # -- for others -------------------------------------------------------------------------

    def launch(self, spec: Spec, number: int) -> list[Slot]:
        """Start workers, from now on until the job ends. Returns their slots.

        When this returns their processes have been started, unless the system is very slow.
        """
        slots = [Slot(spec) for _ in range(number)]
        with held, self._changed:  # so that a Ctrl-C leaves none of the threads unstarted
            self.slots = [slot for slot in self.slots if not slot.is_done] + slots
            if not self._loop.has_begun:
                self._loop.start()
                self._reporter.start()
        self._loop.ask()
        with self._changed:
            self._changed.wait_for(lambda: all(p.was_tried for p in slots), LAUNCH_BOUND_SECONDS)
        return slots

    def finish(self) -> None:
        """The job is over: start no more workers. Those that are here end by themselves."""
        self._loop.ask(lambda _: self._finish(job=True))

    def drop(self, slots: Iterable[Slot] | None = None) -> None:
        """End those that have not begun to work, without showing what they write about that."""
        self._loop.ask(lambda now: self._drop(self.slots if slots is None else slots, now))

    def end(self, why: str, *steps: tuple[float, int]) -> None:
        """Let all workers end.

        Args:
            why: Why.
            steps: Seconds from now, and the signals to send then.
        """
        self._loop.ask(lambda now: self._end(why, [(now + wait, number) for wait, number in steps]))

    def say(self, text: str) -> None:
        """Print a line to stderr, without waiting for a terminal."""
        self._printer.put(text, error=True)

    def wait(self, seconds: float | None) -> bool:
        """Wait until no worker is here and none will come, this many seconds at most."""
        with self._changed:
            return self._changed.wait_for(self.is_done, seconds)

    def is_done(self) -> bool:
        """Return whether no worker is here and none will come."""
        return all(slot.is_done for slot in self.slots)

    def close(self) -> None:
        """Kill the workers that are left, print and report what is left, and end the thread."""
        if self._loop.has_begun:
            self.end("its supervisor ends", (0.0, signal.SIGKILL))
            self.wait(2 * KILL_GRACE_SECONDS)
            self._reporter.flush(LAST_PRINTS_SECONDS)
            self._reporter.close()
            self._printer.close(LAST_PRINTS_SECONDS)
        self._loop.close(LAST_PRINTS_SECONDS)
        self.starter.close()
        self._reaper.close()
        if self._shelf >= 0:
            os.close(self._shelf)
            self._shelf = -1

    # -- the thread -------------------------------------------------------------------------

    def _next_due(self) -> float | None:
        due = [slot_due for slot in self.slots if (slot_due := slot.next_due) is not None]
        if (template_due := self.starter.due()) is not None:
            due.append(template_due)
        if any(slot.process is not None for slot in self.slots):
            due.append(self._next_look)
        return min(due, default=None)

    def _turn(self, now: float) -> None:
        self.starter.look(now)
        started = 0
        for slot in self.slots:
            if self._over:
                slot.close()
            elif slot.is_due(now) and self._comes_back and not self._reporter.in_touch():
                slot.due = now + LOOK_SECONDS  # there is no master that it could join
            elif slot.is_due(now) and started < STARTS:
                self._start(slot, now)
                started += 1
        if started or self.starter.has_news:  # their own start takes longer, so they come first
            self.starter.has_news = False
            self._notice()
        if now >= self._next_look:
            self._look_at_all(now)
        if self.is_done():  # a program whose workers have gone has no other children either
            self.starter.rest()
            self._reaper.watch(())

    def _start(self, slot: Slot, now: float) -> None:
        try:
            self.starter.start(slot, now)
        except Exception as error:  # no more processes, file descriptors, memory, ...
            slot.trouble = f"a worker process cannot be started: {error}"
            slot.after(Reason.FAILED, now)
            logger.warning("%s; %s", slot.trouble, self._what_next(slot, now))

    def _take_in(self, slot: Slot, process: WorkerProcess) -> None:
        process.board[scoreboard.SHELF] = self._shelf + 1
        slot.process, slot.due = process, None
        for stream in (process.out, process.err):
            self._loop.listen(stream.fd, partial(self._hear, process, stream))
        if process.pidfd is not None:
            self._loop.listen(process.pidfd, partial(self._look_for_end, slot))

    def _notice(self) -> None:
        here = [slot.process.pid for slot in self.slots if slot.process is not None]
        coming = any((each.is_held or each.is_asked) and not each.closed for each in self.slots)
        self._reaper.watch(here, expected=coming)
        with self._changed:
            self._changed.notify_all()
        self._on_change()

    # -- while a worker lives ---------------------------------------------------------------

    def _hear(self, process: WorkerProcess, stream: Stream, now: float) -> None:
        if not process.ended and not process.hear(stream, now) and stream.at_end:
            self._loop.forget(stream.fd)

    def _look_at_all(self, now: float) -> None:
        well = []
        for slot in list(self.slots):
            process = slot.process
            if process is None or self._look_for_end(slot, now):
                continue
            process.peak = max(process.peak, (seen := health.look(process.pid)).peak)
            process.health.look(seen, now)
            if process.health.is_well and process.member_id >= 0:
                well.append(process)
            if (stopped := process.stopped()) is not None:
                self._reporter.report(stopped)
            process.hear_on(now)
            self._judge(process, seen, now)
            process.take_steps(now)
        self._reporter.vouch(*self._vouching.look(self.slots, well, now))
        self._oom.look(now)
        self._slow_starts.look(self.slots, now)
        announced = all(p.process is None or p.process.pidfd is not None for p in self.slots)
        self._next_look = now + (LOOK_SECONDS if announced else LOOK_FOR_ENDS_SECONDS)

    def _judge(self, process: WorkerProcess, seen: health.Look, now: float) -> None:
        """See whether a worker has overstepped a limit."""
        if process.member_id >= 0 and not process.told_joined:
            process.told_joined = True
            process.release_held()
            logger.info("worker %d has joined", process.pid)
        process.release_in_time(now)
        process.enforce(seen, now)

    def _on_orders(self, orders: list[tuple[str, int, int]]) -> None:
        self._loop.ask(lambda now: self._obey(orders, now))

    def _obey(self, orders: list[tuple[str, int, int]], now: float) -> None:
        for order, member_id, task_id in orders:
            for slot in self.slots:
                process = slot.process
                if process is None or process.member_id != member_id:
                    continue
                process.let_listen()
                if order == wire.CANCEL:
                    process.cancel(task_id, now)

    # -- the end of a worker ----------------------------------------------------------------

    def _look_for_end(self, slot: Slot, now: float) -> bool:
        """Return whether the worker in a slot has ended, and do what follows."""
        process = slot.process
        if process is None or not process.has_ended():
            return process is None
        for fd in (process.out.fd, process.err.fd, process.pidfd):
            self._loop.forget(fd)
        process.hear_the_last(now)
        oom = process.status == -signal.SIGKILL and self._oom.has_struck()
        how = process.how("likely out of memory" if oom else "")
        if process.member_id >= 0:
            process.release_held()
            self._reporter.report(process.ending(how))
        worked = process.has_worked(now)
        reason = reason_of(process.chosen_status, worked=worked, overdue=process.is_overdue)
        if reason is Reason.ORPHANED and (
            self._local or self._comes_back or self._reporter.in_touch()
        ):
            reason = Reason.FAILED  # it alone has lost its way
        self._explain(slot, process, reason, how, now)
        if not slot.is_due(now):  # else a worker takes its place in a moment, and that is reported
            self._notice()
        return True

    def _explain(
        self, slot: Slot, process: WorkerProcess, reason: Reason, how: str, now: float
    ) -> None:
        """Decide what comes after an end, and say it."""
        quiet = self._over or process.mute or bool(process.asked and not process.guilty)
        slot.after(reason, now)
        message = f"worker {process.pid} of {slot.spec.label!r}: {how}"
        if process.task:
            message += f", while it executed task {printable(process.task_name)}"
        slot.trouble = ""
        if reason in {Reason.FAILED, Reason.OVERDUE, Reason.HOPELESS} and not quiet:
            slot.trouble = "\n".join([f"{message}:", *process.last_words(shown=True)])
        if reason in {Reason.HOPELESS, Reason.ORPHANED} and not quiet:
            self._fail(process.status or 0, process.reason or message)
        told_by_manager = self._local and process.member_id >= 0 and process.task != 0
        told_at_the_end = not self._local and reason in {Reason.HOPELESS, Reason.ORPHANED}
        ordinary = reason in {Reason.LEFT, Reason.RECYCLED}
        if quiet or ordinary or told_at_the_end or told_by_manager:
            logger.info("%s", message)
        else:
            self._warn(f"{message}; {self._what_next(slot, now)}", process)
        if not self._over and slot.trouble and self.is_done():
            self._fail(exits.FAILED, f"the workers of {slot.spec.label!r} do not start: {message}")

    def _warn(self, text: str, process: WorkerProcess) -> None:
        """Report an end, with what the worker wrote about it, unless the last one wrote it too."""
        unseen = "\n".join(process.last_words(shown=False))
        if unseen and unseen != self._last_words:
            text, self._last_words = f"{text}:\n{unseen}", unseen
        logger.warning("%s", text)

    def _what_next(self, slot: Slot, now: float) -> str:
        if self._over:
            return "the job is over"
        if slot.closed:
            times = f" after {slot.failures} failed starts" if slot.failures > 1 else ""
            return f"no worker takes its place{times}"
        wait = max(0.0, (slot.due or now) - now)
        return f"another one starts in {wait:.1f} s" if wait else "another one takes its place"

    def _fail(self, status: int, why: str) -> None:
        """Give up, for all workers, unless the job is over anyway; the first reason counts."""
        if self._local or self._over:
            return
        if status == exits.NOT_FOUND:
            status = exits.MASTER_GONE  # it was there when we began
        self.failed = self.failed or (status, why)
        now = time.monotonic()
        self._end(
            "its supervisor ends",
            [(now, signal.SIGINT), (now + KILL_GRACE_SECONDS, signal.SIGKILL)],
        )

    # -- the end of all ---------------------------------------------------------------------

    def _finish(self, *, job: bool) -> None:
        self._over = True
        for slot in self.slots:
            slot.close()
            if job and slot.process is not None:  # it may have missed it, and look for the master
                slot.process.board[scoreboard.OVER] = 1
        self._notice()

    def _drop(self, slots: Iterable[Slot], now: float) -> None:
        for slot in slots:
            process = slot.process
            if process is None or process.member_id < 0:
                slot.close()
            if process is not None and process.member_id < 0:
                process.mute = True
                process.end("not needed", (now, signal.SIGTERM), (now + 1.0, signal.SIGKILL))
                process.take_steps(now)
        self._notice()

    def _end(self, why: str, steps: list[tuple[float, int]]) -> None:
        self._finish(job=False)
        for slot in self.slots:
            if slot.process is not None:
                slot.process.end(why, *steps)
                slot.process.take_steps(time.monotonic())

    def _on_gone(self, why: str) -> None:
        message = f"the master is gone: {why}"
        self._loop.ask(
            lambda now: self._see_off(now) if self._over else self._fail(exits.MASTER_GONE, message)
        )

    def _see_off(self, now: float) -> None:
        """The job is over, and no result is taken any more: end the workers that are left."""
        for slot in self.slots:
            if slot.process is not None and not slot.process.asked:
                interrupt, kill = (
                    now + LAST_STEPS_SECONDS,
                    now + LAST_STEPS_SECONDS + KILL_GRACE_SECONDS,
                )
                slot.process.end(
                    "the job is over", (interrupt, signal.SIGINT), (kill, signal.SIGKILL)
                )
