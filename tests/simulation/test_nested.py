"""Tasks that wait for further tasks, with fewer workers than tasks that wait."""

from __future__ import annotations

import threading

from masterworker.data.pickling import dumps_call
from masterworker.testing import connection, memory_manager
from masterworker.worker import Worker
from support import wait_until

PARENTS = 40


class Nesting(Worker):
    """Each parent asks for a child, and waits for the outcome of one."""

    def do_parent(self, number: int) -> int:
        self.request_task("child", number)
        return int(self.retrieve_result("child")[2])

    def do_child(self, number: int) -> int:
        return number * number


def test_one_worker_is_enough_for_many_tasks_that_wait() -> None:
    """What a task waits for gets its turn, however many others wait as well.

    More parents than are executed inside of each other; seed 15788 showed it.
    """
    manager, _ = memory_manager()
    manager.request("parent", [dumps_call("a parent", (i,)) for i in range(PARENTS)])
    worker = Nesting("any", connect=lambda: connection(manager))
    thread = threading.Thread(target=worker.run, daemon=True)
    thread.start()
    try:
        done = lambda: manager.census().finished.get("parent") == PARENTS  # noqa: E731
        wait_until(done, 10.0, "every parent is done")
    finally:
        manager.terminate()
        thread.join(10.0)
