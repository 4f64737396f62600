"""A page of a made-up job in each state: `python -m e2e.page_states STATE WORKERS`.

It prints the address, and goes on until it is ended. The job is in virtual time: each second of it
is one on the clock.
"""

from __future__ import annotations

import itertools
import math
import secrets
import sys
import threading
import time
from typing import TYPE_CHECKING, Final

from masterworker.core.departure import Vanished
from masterworker.core.grain import Spent
from masterworker.core.scheduler import Scheduler
from masterworker.core.standing import stand
from masterworker.core.task import FAILURE, RESULT, Outcome
from masterworker.data.record import Failure, explain
from masterworker.recorder import shapes, snapshot
from masterworker.recorder.spanned import Span
from masterworker.views.web import serving
from masterworker.views.web.app import application
from masterworker.views.web.watcher import Seen, Watcher

if TYPE_CHECKING:
    from masterworker.recorder.shapes import Snapshot

STATES: Final = ("no_workers", "waiting", "running", "piling", "silent", "ended", "gone", "foreign")
FOREIGN: Final = (
    "<img src=x onerror=document.title=1></script><script>document.title=2</script>"
    "\x1b[31m\u202erow\0 {{7*7}} ${alert(1)} " + "long " * 40
)
PILE: Final = (
    "results of 2,100 MB wait to be picked up: no more tasks are handed out until some are"
)
TAGS: Final = ("simulate", "reduce", "render")


class Job:
    """A job in virtual time.

    Args:
        workers: How many there are, on a tenth as many hosts, of which the first is slow.
        tags: Of its tasks.
        text: What workers, hosts and failures say.
    """

    def __init__(self, workers: int, tags: tuple[str, ...] = TAGS, text: str = "") -> None:
        self.core, self.now, self.workers, self.tags = (
            Scheduler(explain=explain),
            0.0,
            workers,
            tags,
        )
        self.text = text
        self.core.recorder.at(0.0)
        self.ends = [0.0] * workers
        self.held: list[tuple[int, int, str, float] | None] = [None] * workers
        for n in range(workers):
            where = text or f"node{n * 10 // max(10, workers):02d}"
            self.core.on_joined(f"pid {1000 + n} on {where} (x86_64)", None, 5.0, 0.0)
        self.numbers = itertools.count()

    def ask(self, number: int) -> None:
        for tag in self.tags:
            self.core.on_requested(tag, [b"x"] * number, self.now)

    def go_on(self, until: float, *, at_most: int = 10**6) -> None:
        """Let workers execute tasks; each takes as long as its number says."""
        while self.now < until:
            self.now += 0.5
            for n in range(self.workers):
                if self.ends[n] > self.now or at_most <= 0:
                    continue
                self._report(n)
                at_most -= 1
                leases, _ = self.core.on_fetch(n, 1, self.now)
                for lease in leases:
                    took = 1.5 + 2.0 * math.sin(next(self.numbers)) ** 2
                    took *= 4.0 if n * 10 < self.workers else 1.0
                    took *= 1.0 + self.tags.index(lease.tag)
                    self.held[n] = (lease.task_id, lease.attempt, lease.tag, took)
                    self.ends[n] = self.now + took
                    self.core.on_started(n, lease.task_id, self.now)

    def _report(self, member: int) -> None:
        held, self.held[member] = self.held[member], None
        if held is None:
            return
        task, attempt, _, took = held
        failed = next(self.numbers) % 29 == 3
        text = self.text or f"no convergence after {task} steps"
        failure = Failure(self.text or "ValueError", text, f"Traceback\n  {text}", b"").encode()
        self.core.on_spent(member, [Spent(task, 1, took, took * took)], self.now)
        outcome = Outcome(
            task, attempt, FAILURE if failed else RESULT, [failure if failed else b"y"]
        )
        self.core.on_reported(member, [outcome], self.now)

    def lose(self, member: int) -> None:
        self.core.on_departed(member, Vanished(), self.now)
        self.ends[member], self.held[member] = math.inf, None

    def snapshot(self, *troubles: str) -> Snapshot:
        taken = snapshot.take(self.core.recorder, stand(self.core, list(troubles)), self.now)
        return shapes.decode(shapes.encode(snapshot.whole(taken, "one", time.time() - self.now)))


class MadeUp(Watcher):
    """Shows a job in a state, without a master."""

    def __init__(self, state: str, workers: int) -> None:
        text = FOREIGN if state == "foreign" else ""
        tags = tuple(f"{FOREIGN[: 7 * n]}{n}" for n in range(12)) if text else TAGS
        self.label = FOREIGN[:80] if text else "sweep"
        self.state, self.said = "live", ""
        self._job = Job(0 if state == "no_workers" else workers, tags, text)
        self._troubles: list[str] = []
        self._lock = threading.Lock()
        if state != "waiting":
            self._job.ask(max(200, min(60 * workers, 15_000)))
        if state not in {"no_workers", "waiting"}:
            self._job.go_on(12.0 if workers > 1000 else 300.0)
            if workers > 3:
                self._job.lose(workers // 2)
            self._job.core.recorder.note = "query 4 of 10"
        if state == "no_workers":
            self._troubles = ["9,000 tasks wait, and there are no workers"]
        if state == "piling":
            self._troubles = [PILE]
        if state in {"ended", "gone", "silent"}:
            self.state = state
            self.said = "the master of 'sweep' is not there" if state == "gone" else ""
        self._is_over = state == "ended"
        if self._is_over:
            self._job.core.on_terminated()
        self._began = time.monotonic() - self._job.now
        self._made = 0.0
        self._found: Snapshot | None = None

    def spans(self, worker: int) -> list[Span] | None:
        return [Span(worker, "node01", FOREIGN, 1.0, 2.5, 3, 1.2)]

    def seen(self, *, viewer: bool = True) -> Seen:
        with self._lock:
            now = time.monotonic()
            if self._found is None or (self.state == "live" and now - self._made >= 1.0):
                self._made = now
                self._job.go_on(now - self._began, at_most=2000)
                self._found = self._job.snapshot(*self._troubles)
            return Seen(self._found, self.state, self.said, 1_790_000_000.0)

    @property
    def unused(self) -> float:
        return 0.0


def main(state: str, workers: int) -> None:
    listening = serving.listen(0)
    token = secrets.token_urlsafe(32)
    guard = application(MadeUp(state, workers), token)
    sys.stdout.write(f"http://127.0.0.1:{listening.getsockname()[1]}/#{token}\n")
    sys.stdout.flush()
    serving.serve(guard, listening, lambda: True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
