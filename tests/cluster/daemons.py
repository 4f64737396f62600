"""Servers of a batch system that tests start, and end by their process ids."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from typing import TYPE_CHECKING

from support import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

#: Where servers are, also for those who may not usually start them.
PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"


def lacking(programs: tuple[str, ...]) -> list[str]:
    """Return which of these programs are not installed."""
    return [name for name in programs if shutil.which(name, path=PATH) is None]


class Daemons:
    """The servers of one batch system, and its commands.

    Args:
        folder: What they print is there, and the commands are run there.
        environment: What they need.
        title: What it is, for messages.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str], title: str) -> None:
        self._folder, self._title = folder, title
        self._environment = {**os.environ, **environment, "PATH": PATH}
        self._started: list[subprocess.Popen[bytes]] = []

    def start(self, program: str, *arguments: str, user: int | None = None, **more: str) -> None:
        """Start a server; `more` is for its environment."""
        found = shutil.which(program, path=PATH)
        assert found is not None, program
        with (self._folder / f"{program}.out").open("ab") as out:
            self._started.append(
                subprocess.Popen(
                    [found, *arguments],
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=out,
                    user=user,
                    env={**self._environment, **more},
                    start_new_session=True,
                )
            )

    def run(self, *command: str, **more: str) -> str:
        """Run a command; `more` is for its environment. Returns what it prints."""
        return subprocess.run(
            command,
            env={**self._environment, **more},
            cwd=self._folder,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        ).stdout

    def wait_for(self, holds: Callable[[], object], seconds: float = 60.0) -> None:
        """Wait for something, this long at most; else the logs are shown."""
        try:
            wait_until(holds, seconds)
        except AssertionError:
            paths = [*self._folder.glob("*.log"), *self._folder.glob("*.out")]
            logs = "\n".join(f"{path}:\n{path.read_text()[-2000:]}" for path in paths)
            raise AssertionError(f"{self._title} does not do it\n{logs}") from None

    def close(self) -> None:
        """End all that was started."""
        for process in reversed(self._started):
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
        for process in self._started:
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
