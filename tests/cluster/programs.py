"""Programs of this folder's tests, and the commands that scale their workers."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from typing import TYPE_CHECKING

from support import HANG, Script, python_script, start_script

if TYPE_CHECKING:
    from pathlib import Path

WORK = """
import os, sys, time
from masterworker import Master

def work(seconds):
    time.sleep(seconds)
    return os.environ.get("SLURM_JOB_ID", "")

label, host, number, seconds = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
"""

JOB = f"""{WORK}
with Master(label, host=host) as master:
    print("began", flush=True)
    where = list(master.map(work, [seconds] * number))
    print(len(where), "tasks in", len(set(where)), "jobs", flush=True)
"""

SCALE = """
import sys
from masterworker.cli.main import main
sys.exit(main(["-v", "scale", *sys.argv[1:]]))
"""


class Programs:
    """Starts programs, which are ended after the test.

    Args:
        folder: Where they are written.
        label: Of the job.
        address: Where its master listens.
    """

    def __init__(self, folder: Path, label: str, address: str) -> None:
        self._folder, self._started = folder, list[Script]()
        self.label, self.address = label, address

    def start(self, name: str, source: str, *arguments: object) -> Script:
        """Start a program."""
        path = python_script(self._folder, name, source)
        self._started.append(start_script(path, *map(str, arguments)))
        return self._started[-1]

    def job(self, number: int, seconds: float, source: str = JOB) -> Script:
        """Start a master with so many tasks of so many seconds, and wait until it listens."""
        job = self.start("job.py", source, self.label, self.address, number, seconds)
        job.says("began")
        return job

    def scale(self, *arguments: str) -> Script:
        """Start `task_manager scale`."""
        return self.start("scale.py", SCALE, self.label, *arguments)

    def close(self) -> None:
        """End all of them."""
        for script in self._started:
            if script.process.poll() is None:
                script.process.terminate()
        for script in self._started:
            with contextlib.suppress(AssertionError):
                script.wait(60)


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `task_manager`."""
    words = [sys.executable, "-m", "masterworker.cli", *arguments]
    return subprocess.run(words, capture_output=True, text=True, timeout=HANG, check=False)
