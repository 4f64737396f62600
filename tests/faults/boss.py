"""A master in a process of its own: PYTHONPATH=tests python -m faults.boss FOLDER LABEL ...

Asks for tasks, waits for a file `collect` in the folder if told to, collects, and says `done`.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from faults.driver import BY_TAG, Driver
from faults.work import hold
from masterworker import Master
from masterworker.master import engine_of
from support import HANG


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("label")
    parser.add_argument("--tasks", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=0.01)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--held", type=int, default=0, help="tasks that wait for a file `open`")
    parser.add_argument("--deed", nargs=2, metavar=("NAME", "NUMBER"), help="one task more")
    parser.add_argument("--wait", action="store_true", help="for a file `collect`, to go on")
    parser.add_argument("--bound", type=float, default=2 * HANG)
    options = parser.parse_args()
    with Master(
        options.label, workers=options.workers, host=options.host, ports=(options.port,)
    ) as master:
        assert engine_of(master).server is not None
        driver = Driver(options.folder, master)
        driver.submit("hold", str(options.folder / "open"), number=options.held)
        if options.deed:
            driver.submit(options.deed[0], int(options.deed[1]))
        driver.submit("pause", options.seconds, number=options.tasks // 2)
        if not options.workers:  # those that it starts itself know no tags
            driver.submit("pause", options.seconds, number=options.tasks // 2, way=BY_TAG)
        say(f"port {engine_of(master).server.port}")
        if options.wait:
            hold(str(options.folder / "collect"))
        driver.collect(options.bound)
        verdict = driver.verdict()
        engine_of(master).manager.check()
        tally = engine_of(master).manager.core.tally
        say(f"lost members {tally.lost_members}")
        say(f"requeued {tally.requeued}")
        say(f"done: {verdict}")
    return 0 if verdict.sound else 1


if __name__ == "__main__":
    sys.exit(main())
