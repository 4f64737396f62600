"""Starts the processes of slots: by a template where there is one, else as programs."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import time
from functools import partial
from typing import TYPE_CHECKING, Final

from masterworker.launch import start
from masterworker.launch.process import WorkerProcess
from masterworker.launch.resources import usable_cpus
from masterworker.launch.slot import Reason
from masterworker.launch.template.choice import Templates
from masterworker.launch.template.supervised import REAPING_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from masterworker.launch.loop import Loop
    from masterworker.launch.slot import Slot
    from masterworker.launch.start import Started
    from masterworker.launch.template.ahead import Ahead

logger = logging.getLogger("masterworker.launch")

#: A worker waits this long for a template that is starting (seconds), and longer where as many as
#: there are processors start already: more programs would only be in the way of each other and of
#: the template. One for which there is no processor left waits as long for a template that imports
#: what it will need.
PATIENCE_SECONDS: Final = 1.0


class Starter:
    """Starts the processes of one supervisor, whose thread alone calls this, and never waits.

    Args:
        name: Name of the supervisor.
        loop: Its loop.
        show: Prints a line that a worker has written.
        take_in: Is given each process with its slot.
        slots: Returns all slots.
        ahead: A template that has begun already; None: there is none.
    """

    def __init__(
        self,
        name: str,
        loop: Loop,
        show: Callable[..., None],
        take_in: Callable[[Slot, WorkerProcess], None],
        slots: Callable[[], Iterable[Slot]],
        ahead: Ahead | None = None,
    ) -> None:
        self._name, self._show = name, show
        self._take_in, self._slots = take_in, slots
        self._templates = Templates(loop, self._on_templates, ahead)
        #: Processes that no slot has taken in, and when to look for their ends.
        self._unwanted: list[int] = []
        self._next_reaping = 0.0
        #: A template has answered since this was made False.
        self.has_news = False

    @property
    def why_not(self) -> str:
        """Why workers are not forked from a template; "": they are."""
        return self._templates.why_not

    @property
    def why_not_preloaded(self) -> str:
        """Why workers import their libraries themselves; "": no attempt has failed."""
        return self._templates.why_not_preloaded

    def describe_ways(self) -> str:
        """Say why workers are no forks of a template, as far as they are not. Takes no lock."""
        lines = {
            "each worker is started as a program of its own": self.why_not,
            "each worker imports its libraries itself": self.why_not_preloaded,
        }
        return "; ".join(f"{text}: {why}" for text, why in lines.items() if why)

    def due(self) -> float | None:
        """Return when `look` is to be called at the latest; None: not at all."""
        due = self._templates.due()
        if not self._unwanted:
            return due
        return self._next_reaping if due is None else min(due, self._next_reaping)

    def look(self, now: float) -> None:
        """Look after the templates."""
        self._templates.look(now)
        if self._unwanted and now >= self._next_reaping:
            self._reap(now)

    def start(self, slot: Slot, now: float) -> None:
        """Start a process in a slot, or let a template start it, now or when it is ready.

        Raises:
            OSError: The system does not start any more processes.
        """
        if not slot.is_plain and self._ask_template(slot, now):
            return
        slot.held_until, slot.is_held, slot.is_plain = None, False, False
        process = WorkerProcess(slot.spec, start.start(slot.spec, self._name), now, self._show)
        self._take_in(slot, process)

    def rest(self) -> None:
        """End the templates, without waiting for that: no slot waits for a worker, or has one."""
        self._templates.rest()

    def close(self) -> None:
        """End the templates."""
        self._templates.close()

    def _ask_template(self, slot: Slot, now: float) -> bool:
        """Return whether a template forks the worker, or is about to be ready for that."""
        spec = slot.spec
        template, is_loading = self._templates.find(
            spec.interpreter, spec.environment, spec.preload, now
        )
        if template is None or template.over:
            return False
        may_wait = slot.held_until is None or now < slot.held_until
        if waits := is_loading and may_wait and self._is_crowded():
            self._templates.hasten()
        if template.is_ready and not waits and not template.is_busy:
            then = partial(self._on_answer, slot)
            try:
                slot.is_asked = start.ask(template, slot.spec, self._name, now, then)
            except OSError as error:  # of the folder, say, where nothing may be looked for
                logger.info("a worker is started as a program of its own: %s", error)
            if slot.is_asked:
                slot.due, slot.held_until, slot.is_held = None, None, False
            if slot.is_asked or not template.is_busy:
                return slot.is_asked
        if slot.held_until is None or (now >= slot.held_until and self._is_crowded()):
            slot.held_until = now + PATIENCE_SECONDS
        slot.is_held = now < slot.held_until  # else it has waited long enough
        return slot.is_held

    def _is_crowded(self) -> bool:
        """Return whether there is a worker for each processor: a further one would begin later."""
        return sum(p.process is not None or p.is_asked for p in self._slots()) >= usable_cpus()

    def _on_answer(self, slot: Slot, started: Started | None, why: str) -> None:
        """A template has answered, or never will."""
        slot.is_asked, self.has_news, now = False, True, time.monotonic()
        self._on_templates()  # it may be asked for another one
        if started is None:
            logger.info("a worker is started as a program of its own: %s", why)
            if not slot.closed:
                slot.due, slot.is_plain = now, True
            return
        try:
            process = WorkerProcess(slot.spec, started, now, self._show)
            self._take_in(slot, process)
        except Exception as error:  # no more memory, file descriptors, ...
            slot.process, slot.trouble = None, f"a worker process cannot be started: {error}"
            self._give_back(started, now)
            slot.after(Reason.FAILED, now)
            logger.warning("%s", slot.trouble)
            return
        if slot.closed:  # meanwhile, so it is not wanted, and has not begun anything
            process.mute = True
            process.end("not needed", (now, signal.SIGKILL))
            process.take_steps(now)

    def _give_back(self, started: Started, now: float) -> None:
        """End a process that no slot has taken in."""
        for pipe in (started.out, started.err):
            with contextlib.suppress(OSError):
                pipe.close()
        with contextlib.suppress(OSError):
            os.killpg(started.pid, signal.SIGKILL)
        self._unwanted.append(started.pid)
        self._reap(now)

    def _reap(self, now: float) -> None:
        """Clear away those that have ended of the processes that no slot has."""
        for pid in list(self._unwanted):
            try:
                ended = bool(os.waitpid(pid, os.WNOHANG)[0])
            except ChildProcessError:
                ended = True
            if ended:
                self._unwanted.remove(pid)
        self._next_reaping = now + REAPING_SECONDS

    def _on_templates(self) -> None:
        """A template has become ready, has answered, or will not be asked any more."""
        for slot in self._slots():
            slot.is_held = False
