"""Ctrl-C while a job ends."""

from __future__ import annotations

import contextlib
import signal
import threading

from masterworker import Master
from masterworker.master import engine_of
from support import wait_until


def sleep_on(seconds: float) -> None:
    threading.Event().wait(seconds)


def test_two_of_them_end_everything_at_once() -> None:
    """The worker is busy for longer than this may take; no process is left."""
    master = Master(workers=1)
    future = master.submit(sleep_on, 100.0)
    wait_until(
        lambda: any(
            task.holder is not None for task in list(engine_of(master).manager.core.tasks.values())
        )
    )
    main = threading.main_thread().ident or 0
    over = threading.Event()

    def strike() -> None:
        while not over.wait(0.3):
            signal.pthread_kill(main, signal.SIGINT)

    caught = 0
    try:
        thread = threading.Thread(target=strike)
        thread.start()
        master.shutdown(60.0)
    except KeyboardInterrupt:
        caught += 1
    for _ in range(3):  # one may be on its way
        with contextlib.suppress(KeyboardInterrupt):
            over.set()
            thread.join()
    assert caught
    master.shutdown()
    assert not future.done() or future.exception()
