"""`task_manager show LABEL --live` and `--every S`: a job, as long as it is looked at."""

from __future__ import annotations

import os
import signal
import sys
import threading
from importlib.util import find_spec
from time import monotonic
from typing import TYPE_CHECKING, Any, NoReturn

from masterworker.cli import exit_codes
from masterworker.errors import JobEndedError, MasterNotFoundError, MasterworkerError, UsageError
from masterworker.taskid import task_number
from masterworker.views import plain, wording
from masterworker.views.picture import Picture

if TYPE_CHECKING:
    from masterworker.client import Client
    from masterworker.recorder.shapes import Snapshot

#: Seconds between two updates of plain text that takes the place of the live view.
EVERY = 5.0
#: Seconds between two looks, and until it is said that there is no answer.
PAUSE = 1.0
NAMED_AFTER = 5.0


def watch(label: str, client: Client, *, live: bool, every: float | None) -> int:
    """Show a job until it is over. Returns the exit status.

    Raises:
        UsageError: What `--live` needs is not installed.
    """
    watched = _Watched(client)
    if live and every is None and _is_terminal():
        if find_spec("rich") is None:
            raise UsageError(
                "--live needs rich: pip install 'masterworker[views]'; --every 5 needs nothing"
            )
        from masterworker.views.live import show

        signal.signal(signal.SIGTERM, _stop)
        show(label, watched)
    else:
        _print(label, watched, EVERY if every is None else every)
    return exit_codes.MASTER_GONE if watched.is_gone else exit_codes.OK


def _is_terminal() -> bool:
    """Return whether a screen can be drawn."""
    return sys.stdout.isatty() and os.environ.get("TERM", "dumb") not in {"dumb", "unknown", ""}


def _stop(*_: Any) -> NoReturn:
    """SIGTERM: as Ctrl-C, so that the terminal is as it was."""
    raise SystemExit(exit_codes.TERMINATED)


def _print(label: str, watched: _Watched, every: float) -> None:
    """Print plain text, now and again."""
    while True:
        snapshot, message, last = watched.look()
        lines = plain.lines(label, snapshot)
        print(*lines, *([f"  {message}"] if message else []), sep="\n", flush=True)
        if last:
            return
        watched.over.wait(every)


class _Watched:
    """A job that is looked at by a thread of its own: a master that stands still holds up no view.

    Args:
        client: Speaks to its master.
        pause: Seconds between two looks.

    Raises:
        MasterworkerError: There is no answer.
    """

    def __init__(self, client: Client, pause: float = PAUSE) -> None:
        self._client = client
        self._picture = Picture(client.look)
        self._pause = pause
        self._latest = self._picture.update()
        self._answered = monotonic()
        self._error = self._end = ""
        #: The task that is asked about, "" for none, and what is known of it.
        self._asked = ""
        self._told: tuple[str, list[str]] | None = None
        self._wake = threading.Event()
        self.is_gone = False
        #: There is nothing more to see.
        self.over = threading.Event()
        if self._latest.ended:
            self.over.set()
        else:
            threading.Thread(target=self._run, name="masterworker-viewer", daemon=True).start()

    def look(self) -> tuple[Snapshot, str, bool]:
        """Return how it stands, what is to be said besides, and whether there is no more to see."""
        if self.over.is_set():
            return self._latest, self._end, True
        silent = monotonic() - self._answered
        message = ""
        if silent > NAMED_AFTER:
            message = f"no answer from the master for {wording.time(silent)}"
            message += f": {self._error}" if self._error else ""
        return self._latest, message, False

    def explain(self, task: str) -> None:
        """Begin to ask about a task."""
        self._told, self._asked = None, task
        self._wake.set()

    def explained(self) -> tuple[str, list[str]] | None:
        """Return the task that was asked about, and what is known of it; None: it is not here."""
        return self._told

    def _tell(self) -> None:
        """Ask about a task, if that is wanted."""
        task, self._asked = self._asked, ""
        if not task:
            return
        name = wording.name_of(task)
        try:
            _, *lines = self._client.story(task_number(task))
        except MasterworkerError as error:
            self._told = name, [str(error)]
            raise
        self._told = name, lines or ["it is not known (any more)"]

    def _run(self) -> None:
        while not self.over.is_set():
            self._wake.wait(self._pause)
            self._wake.clear()
            try:
                self._tell()
                self._latest = self._picture.update()
                self._answered, self._error = monotonic(), ""
                if self._latest.ended:
                    self.over.set()
            except JobEndedError:
                self._end = "the job has ended: this is how it stood last"
                self.over.set()
            except MasterNotFoundError as error:
                self._end = f"the master is gone: this is how the job stood last ({error})"
                self.is_gone = True
                self.over.set()
            except MasterworkerError as error:
                self._error = str(error)
            except Exception as error:  # the view must not stand still without a word
                self._error = repr(error)
