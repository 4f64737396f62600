"""The supervisor: starts worker processes, hears and watches them, and replaces those that end.

    one thread:  pipes, ends of processes, and what others ask for --> places --> processes
                 reports --> Liaison --> the manager          lines --> Printer --> the user

The same in the master's process, for the workers that it launches, and in the process of
`task_manager worker LABEL -n N`. Code of users is never executed by it. All processes are started
by its one thread, which outlives them: the system ends them with that thread.
"""

from __future__ import annotations

import contextlib
import logging
import os
import selectors
import signal
import threading
import time
import uuid
from typing import TYPE_CHECKING, Final

from masterworker import wire
from masterworker.launch import exits, limits, procfs
from masterworker.launch.liaison import Liaison
from masterworker.launch.output import Printer
from masterworker.launch.parent import VERDICT
from masterworker.launch.place import Place, Reason, reason_of
from masterworker.launch.process import HOLD, KILL_GRACE, WorkerProcess
from masterworker.launch.watch import exceeds_memory, exceeds_time

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from masterworker.launch.liaison import Attend
    from masterworker.launch.options import Spec
    from masterworker.launch.process import Stream

logger = logging.getLogger("masterworker.launch")

#: Workers are looked at so often (seconds), and where their ends are not announced, so often.
LOOK: Final = 0.25
LOOK_FOR_ENDS: Final = 0.1
#: What workers have written is printed for so long at the end, also on a slow terminal (seconds).
LAST_PRINTS: Final = 1.0


class Supervisor:
    """Worker processes, and a thread that looks after them.

    Args:
        listen: How to ask the manager for orders; see `Liaison`.
        tell: How to tell it something meanwhile.
        patience: Seconds to look for a master that does not answer; None: it is this process.
        on_change: Called by the supervisor's thread when workers have been started or have ended.

    Thread-safe.
    """

    def __init__(
        self,
        listen: Attend,
        tell: Attend,
        *,
        patience: float | None,
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        self.name = uuid.uuid4().hex
        self.places: list[Place] = []
        #: Once the supervisor gives up: the exit status that says why, and the reason.
        self.failed: tuple[int, str] | None = None
        self._on_change = on_change
        self._liaison = Liaison(
            self.name, listen, tell, self._on_orders, self.finish, self._on_gone, patience
        )
        self._local = patience is None
        self._printer = Printer()
        self._asked: list[Callable[[float], None]] = []
        self._changed = threading.Condition()
        self._selector = selectors.DefaultSelector()
        self._wake_read, self._wake_write = os.pipe()
        for fd in (self._wake_read, self._wake_write):
            os.set_blocking(fd, False)
        self._selector.register(self._wake_read, selectors.EVENT_READ, self._woken)
        self._over = self._closed = False
        self._next_look = 0.0
        self._oom_kills = limits.oom_kills()
        self._thread = threading.Thread(
            target=self._run, name="masterworker-supervisor", daemon=True
        )

    # -- for others -------------------------------------------------------------------------

    def launch(self, spec: Spec, number: int) -> list[Place]:
        """Start workers, from now on until the job ends. Returns their places."""
        places = [Place(spec) for _ in range(number)]
        with self._changed:
            if self._thread.ident is None:
                self._thread.start()
                self._liaison.start()
            self.places = [place for place in self.places if not place.closed] + places
        self._ask(lambda _: None)
        return places

    def finish(self) -> None:
        """The job is over: start nobody any more. Those who are here end by themselves."""
        self._ask(self._finish)

    def drop(self, places: Iterable[Place] | None = None) -> None:
        """End those that have not begun to work; what they say about that interests nobody."""
        self._ask(lambda now: self._drop(self.places if places is None else places, now))

    def end(self, why: str, *steps: tuple[float, int]) -> None:
        """Let all workers end.

        Args:
            why: Why.
            steps: Seconds from now, and the signals to send then.
        """
        self._ask(lambda now: self._end(why, [(now + wait, number) for wait, number in steps]))

    def wait(self, seconds: float | None) -> bool:
        """Wait until nobody is here and nobody will come, for so long at most."""
        with self._changed:
            return self._changed.wait_for(self.is_done, seconds)

    def is_done(self) -> bool:
        """Tell whether nobody is here and nobody will come."""
        return all(place.closed and place.process is None for place in self.places)

    def close(self) -> None:
        """Kill whoever is here still, print and report what is left, and end the thread."""
        if self._thread.ident is None:
            return
        self.end("its supervisor ends", (0.0, signal.SIGKILL))
        self.wait(2 * KILL_GRACE)
        self._liaison.flush(LAST_PRINTS)
        self._liaison.close()
        self._printer.close(LAST_PRINTS)
        self._closed = True
        self._ask(lambda _: None)
        self._thread.join(LAST_PRINTS)

    # -- the thread -------------------------------------------------------------------------

    def _ask(self, what: Callable[[float], None]) -> None:
        """Let the thread do something. What it is given is the time."""
        self._asked.append(what)
        with contextlib.suppress(OSError):  # the pipe is full: it will wake anyway
            os.write(self._wake_write, b"x")

    def _woken(self, now: float) -> None:  # noqa: ARG002  as all that is called on an event
        with contextlib.suppress(BlockingIOError):
            os.read(self._wake_read, 4096)

    def _run(self) -> None:
        while not self._closed:
            try:
                events = self._selector.select(self._until_next())
                now = time.monotonic()
                for key, _ in events:
                    key.data(now)
                while self._asked:
                    self._asked.pop(0)(now)
                self._start_due(now)
                if now >= self._next_look:
                    self._look_at_all(now)
            except Exception:  # all workers end with this thread
                logger.exception("the supervisor stumbled; it goes on")
        self._selector.close()
        os.close(self._wake_read)
        os.close(self._wake_write)

    def _until_next(self) -> float | None:
        due = [place.due for place in self.places if place.due is not None]
        if any(place.process is not None for place in self.places):
            due.append(self._next_look)
        return max(0.0, min(due) - time.monotonic()) if due else None

    def _start_due(self, now: float) -> None:
        for place in self.places:
            if self._over:
                place.close()
            elif place.due is not None and place.due <= now and place.process is None:
                self._start(place, now)

    def _start(self, place: Place, now: float) -> None:
        place.due = None
        try:
            process = WorkerProcess(
                place.spec, self.name, now, lambda line, error: self._printer.put(line, error=error)
            )
        except OSError as error:
            place.trouble = f"a worker process cannot be started: {error}"
            place.after(Reason.FAILED, now)
            logger.warning("%s; %s", place.trouble, self._what_next(place, now))
            self._notice()
            return
        place.process = process
        for stream in (process.out, process.err):
            self._selector.register(
                stream.fd,
                selectors.EVENT_READ,
                lambda now, s=stream, p=process: self._hear(p, s, now),
            )
        if process.pidfd is not None:
            self._selector.register(
                process.pidfd, selectors.EVENT_READ, lambda now, p=place: self._look_for_end(p, now)
            )
        self._next_look = min(self._next_look, now + LOOK) if self._next_look > now else now + LOOK
        self._notice()

    def _notice(self) -> None:
        with self._changed:
            self._changed.notify_all()
        self._on_change()

    # -- while a worker lives ---------------------------------------------------------------

    def _hear(self, process: WorkerProcess, stream: Stream, now: float) -> None:
        if not process.hear(stream, now) and stream.at_end:
            self._selector.unregister(stream.fd)

    def _look_at_all(self, now: float) -> None:
        well = []
        for place in list(self.places):
            process = place.process
            if process is None or self._look_for_end(place, now):
                continue
            seen = procfs.look(process.pid)
            process.peak = max(process.peak, seen.peak)
            if process.is_well(seen, now) and process.member_id >= 0:
                well.append(process.member_id)
            self._judge(process, seen, now)
            process.take_steps(now)
        self._liaison.vouch(well)
        pidfds = all(p.process.pidfd is not None for p in self.places if p.process is not None)
        self._next_look = now + (LOOK if pidfds else LOOK_FOR_ENDS)

    def _judge(self, process: WorkerProcess, seen: procfs.Look, now: float) -> None:
        """See whether a worker has overstepped a limit."""
        if process.member_id >= 0 and not process.told_joined:
            process.told_joined = True
            process.release_held()
            logger.info("worker %d has joined", process.pid)
        elif now - process.began > HOLD:
            process.release_held()
        exceeds_memory(process, seen)
        exceeds_time(process)
        deadline = process.spec.limits.deadline
        if deadline is not None and now >= deadline and not process.asked:
            process.end(
                "its time is over", (now, signal.SIGINT), (now + KILL_GRACE, signal.SIGKILL)
            )

    def _on_orders(self, orders: list[tuple[str, int, int]]) -> None:
        self._ask(lambda now: self._obey(orders, now))

    def _obey(self, orders: list[tuple[str, int, int]], now: float) -> None:
        for order, member_id, task_id in orders:
            for place in self.places:
                process = place.process
                if order == wire.CANCEL and process and process.member_id == member_id:
                    process.cancel(task_id, now)

    # -- the end of a worker ----------------------------------------------------------------

    def _look_for_end(self, place: Place, now: float) -> bool:
        """Tell whether the worker in a place has ended, and do what follows."""
        process = place.process
        if process is None or not process.has_ended():
            return process is None
        for fd in (process.out.fd, process.err.fd, process.pidfd):
            with contextlib.suppress(KeyError, TypeError, ValueError):
                self._selector.unregister(fd)  # type: ignore[arg-type]  # None is a TypeError
        process.hear_the_last(now)
        oom = self._ran_out_of_memory(process)
        how = process.how("likely out of memory" if oom else "")
        if process.member_id >= 0:
            process.release_held()
            self._liaison.report(process.ending(how))
        said = process.task == 0 or bool(process.verdict)
        reason = reason_of(process.status, said=said, worked=process.has_worked)
        if reason is Reason.ORPHANED and (self._local or self._liaison.in_touch()):
            reason = Reason.FAILED  # it alone has lost its way
        self._explain(place, process, reason, how, now)
        self._notice()
        return True

    def _explain(
        self, place: Place, process: WorkerProcess, reason: Reason, how: str, now: float
    ) -> None:
        """Decide what comes after an end, and say it."""
        quiet = process.mute or bool(process.asked and not process.guilty)
        if process.asked and self._over:
            place.close()
        place.after(reason, now)
        told = f"worker {process.pid} of {place.spec.label!r}: {how}"
        if process.task:
            told += f", while it executed task {process.task}"
        words = process.last_words(shown=True)
        if reason in {Reason.FAILED, Reason.HOPELESS} and not quiet:
            place.trouble = f"{told}:\n{words}" if words else told
        if reason in {Reason.HOPELESS, Reason.ORPHANED} and not quiet:
            self._fail(process.status or 0, process.verdict or told)
        told_by_manager = self._local and process.member_id >= 0 and process.task != 0
        ordinary = reason not in {Reason.FELL, Reason.FAILED}
        if quiet or ordinary or self._over or told_by_manager:
            logger.info("%s", told)
        else:
            unseen = process.last_words(shown=False)
            again = self._what_next(place, now)
            logger.warning("%s; %s%s", told, again, f":\n{unseen}" if unseen else "")
        if not self._over and self.is_done() and place.trouble:
            self._fail(exits.FAILED, f"the workers of {place.spec.label!r} do not start: {told}")

    def _what_next(self, place: Place, now: float) -> str:
        if self._over:
            return "the job is over"
        if place.closed:
            return f"given up after {place.failures} failed starts"
        wait = max(0.0, (place.due or now) - now)
        return f"another one starts in {wait:.1f} s" if wait else "another one takes its place"

    def _ran_out_of_memory(self, process: WorkerProcess) -> bool:
        before, self._oom_kills = self._oom_kills, limits.oom_kills()
        return process.status == -signal.SIGKILL and self._oom_kills > before

    def _fail(self, status: int, why: str) -> None:
        """Give up, for all workers, unless the job is over anyway; the first reason counts."""
        if self._local or self._over:
            return
        if status == exits.NOT_FOUND:
            status = exits.MASTER_GONE  # it was there when we began
        self.failed = self.failed or (status, why)
        now = time.monotonic()
        self._end("its supervisor ends", [(now, signal.SIGINT), (now + KILL_GRACE, signal.SIGKILL)])

    # -- the end of all ---------------------------------------------------------------------

    def _finish(self, now: float) -> None:  # noqa: ARG002  as all that is asked for
        self._over = True
        for place in self.places:
            place.close()
        self._notice()

    def _drop(self, places: Iterable[Place], now: float) -> None:
        for place in places:
            process = place.process
            if process is None or process.member_id < 0:
                place.close()
            if process is not None and process.member_id < 0:
                process.mute = True
                process.end("not needed", (now, signal.SIGTERM), (now + 1.0, signal.SIGKILL))
                process.take_steps(now)
        self._notice()

    def _end(self, why: str, steps: list[tuple[float, int]]) -> None:
        self._finish(time.monotonic())
        for place in self.places:
            if place.process is not None:
                place.process.end(why, *steps)
                place.process.take_steps(time.monotonic())

    def _on_gone(self, why: str) -> None:
        self._ask(lambda _: self._fail(exits.MASTER_GONE, f"{VERDICT}the master is gone: {why}"))
