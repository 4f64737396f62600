"""A master that nothing refers to any more, as when a cell of a notebook is run again."""

from __future__ import annotations

import gc
import os
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest

from masterworker import LabelTakenError, Master
from masterworker.master import forgotten
from support import unique_label, wait_until

HANG = 30.0


def runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_cell_that_is_run_again_ends_the_workers_of_before() -> None:
    """Whatever the name is bound to next."""
    pids: list[int] = []
    for _ in range(3):
        master = Master(workers=1)
        pids.append(master.submit(os.getpid).result(HANG))
        gc.collect()
    for pid in pids[:-1]:
        wait_until(lambda pid=pid: not runs(pid), HANG)
    assert runs(pids[-1])
    assert master.submit(abs, -1).result(HANG) == 1
    master.shutdown()


@pytest.mark.parametrize("kept", ["future", "map", "options", "results", "share"])
def test_what_was_made_by_a_master_keeps_it(kept: str) -> None:
    """As long as somebody can ask for something, the job goes on."""
    master = Master(workers=1)
    pid = master.submit(os.getpid).result(HANG)
    rest: object = {
        "future": lambda m: m.submit(abs, -1),
        "map": lambda m: m.map(abs, range(50)),
        "options": lambda m: m.options(retries=1),
        "results": lambda m: m.results(),
        "share": lambda m: m.share(a=1),
    }[kept](master)
    del master
    gc.collect()
    assert runs(pid)
    if kept == "future":
        assert rest.result(HANG) == 1  # type: ignore[attr-defined]
    if kept == "map":
        assert list(rest) == list(range(50))  # type: ignore[call-overload]
    assert runs(pid)
    del rest
    gc.collect()
    wait_until(lambda: not runs(pid), HANG)


def test_its_label_is_free_again() -> None:
    """While somebody refers to it, the label is taken; afterwards it is not."""
    label = unique_label("forgotten")
    master = Master(label, workers=1)
    with pytest.raises(LabelTakenError, match="this program itself"):
        Master(label)
    del master

    def again() -> Master | None:
        gc.collect()
        try:
            return Master(label)
        except LabelTakenError:
            return None

    wait_until(again, HANG).shutdown()


def test_one_that_was_shut_down_is_not_ended_again(caplog: pytest.LogCaptureFixture) -> None:
    """Nothing is left to be done."""
    caplog.set_level("INFO", "masterworker")
    master = Master(workers=1)
    master.shutdown()
    del master
    gc.collect()
    with Master(workers=1) as other:
        assert other.submit(abs, -1).result(HANG) == 1
    assert "nothing refers" not in caplog.text


def test_the_end_of_one_that_was_shut_down_wakes_no_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It would run while the program ends; `trace` counts its lines until it has stumbled."""
    waiting: SimpleQueue[Any] = SimpleQueue()
    monkeypatch.setattr(forgotten, "_waiting", waiting)
    over, other = Master(workers=1), Master(workers=1)
    over.shutdown()
    last = other.label
    del over, other
    gc.collect()
    label, end = waiting.get(timeout=HANG)
    end.shutdown(0.0)
    assert (label, waiting.empty()) == (last, True)
