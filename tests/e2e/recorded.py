"""A job whose record is kept, while it runs and when it is gone."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from e2e.desk import Desk, Running

PROGRAM = """
import sys, threading
import masterworker
from masterworker.master import record_keeper

record_keeper.EVERY = 0.1

if __name__ == "__main__":
    with masterworker.Master(LABEL, workers=1) as master:
        futures = [master.submit(divmod, 7, n % 4) for n in range(40)]
        assert sum(each.exception(60) is None for each in futures) == 30
        print("done", flush=True)
        if sys.argv[1:]:
            threading.Event().wait(120)
"""


class Recorded:
    """A job of 40 tasks, and what is said of it, with a state folder of their own."""

    def __init__(self, desk: Desk, folder: Path) -> None:
        self.desk, self.state = desk, folder / "state"

    def job(self, *arguments: str) -> Running:
        script = self.desk.write("job.py", PROGRAM)
        return self.desk.start(script, *arguments, MASTERWORKER_STATE=str(self.state))

    def asked(self, *words: str, status: int = 0, **env: str) -> Running:
        asked = self.desk.command(*words, MASTERWORKER_STATE=str(self.state), **env)
        assert asked.status() == status, asked.err
        return asked

    def saved(self) -> bytes:
        paths = list(self.state.glob("records/*.record"))
        return paths[0].read_bytes() if paths else b""
