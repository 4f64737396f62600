"""A program with several workers, in its main thread and in others: none is hit for another one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support import HANG, python_script, start_script, unique_label

if TYPE_CHECKING:
    from pathlib import Path

SCRIPT = """
    import sys
    import threading
    from masterworker import Master, TaskCancelled, Worker

    label, what = sys.argv[1:]
    main_begun, other_begun, go = threading.Event(), threading.Event(), threading.Event()

    class InMain(Worker):
        def do_main(self):
            main_begun.set()
            go.wait()
            return "whole"

    class InThread(Worker):
        def do_other(self):
            other_begun.set()
            threading.Event().wait(1.5)
            return "late"

    def ask():
        main_task = master.request_task("main")
        main_begun.wait()
        thread = threading.Thread(target=InThread(label).run)
        thread.start()
        limited = master.options(timeout=0.3) if what == "limit" else master
        other_task = limited.request_task("other")
        other_begun.wait()
        if what == "cancel":
            assert master.cancel(other_task)
            try:
                master.retrieve_result("other")
            except TaskCancelled:
                pass
        else:  # no signal reaches a thread: it is late, and nothing else knows better by now
            assert master.retrieve_result("other")[2] == "late"
        go.set()
        print("found:", master.retrieve_result("main")[2])
        master.shutdown(2)
        thread.join()

    master = Master(label)
    asking = threading.Thread(target=ask)
    asking.start()
    InMain(label, heartbeat=0.2).run()
    asking.join()
"""


@pytest.mark.parametrize("what", ["limit", "cancel"])
def test_the_task_of_another_thread_ends(tmp_path: Path, what: str) -> None:
    """It is over its time, or cancelled: what the main thread executes goes on."""
    script = python_script(tmp_path, "threads.py", SCRIPT)
    running = start_script(script, unique_label(), what)
    assert running.wait(HANG) == 0, running.told
    assert "found: whole" in running.out
