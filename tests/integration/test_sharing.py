"""Values that are shared: read-only, mapped once on each machine, gone when deleted."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from masterworker import Master, UsageError
from masterworker.errors import UnpicklableError
from masterworker.master import engine_of
from support import HANG, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

N = 1_000_000


def element(table: Any, index: int) -> float:
    return float(table[index])


def nested(values: Any) -> Any:
    first, (second, third) = values["a"][0], values["b"]
    return float(first.sum()), second, third


def write(table: Any) -> None:
    table[0] = 1.0


def mapped(_: Any) -> tuple[int, list[str]]:
    """Which files in memory this process has mapped, as device and inode."""
    lines = Path("/proc/self/maps").read_text(encoding="utf-8").splitlines()
    return os.getpid(), sorted({line.split()[4] for line in lines if "memfd:masterworker " in line})


def test_shared_arrays_are_the_same_memory_in_all_workers(two_workers: Master) -> None:
    """One file in memory, that both have mapped, and nobody can write to."""
    table = np.arange(N, dtype=float)
    shared = two_workers.share(table=table, small=np.arange(3), label="x")
    table[:] = -1.0
    keys = range(0, N, 10_000)
    found = list(two_workers.map(element, itertools.repeat(shared.table), keys))
    assert found == [float(key) for key in keys]

    def both_have_it() -> dict[int, tuple[str, ...]]:
        seen = {pid: tuple(files) for pid, files in two_workers.map(mapped, [shared.table] * 20)}
        return seen if len(seen) == 2 else {}

    seen = wait_until(both_have_it, HANG, "both have mapped it")
    assert len(set(seen.values())) == 1
    for value in (shared.table, shared.small):
        with pytest.raises(ValueError, match="read-only"):
            two_workers.submit(write, value).result(HANG)
    assert two_workers.submit(len, shared.label).result(HANG) == 1
    shared.delete()


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[tuple[Master, list[str]]]:
    """Three workers that have come with a ticket, as from another machine; and what is sent."""
    sent: list[str] = []
    with Master(accept="any") as master:
        get = engine_of(master).manager.get

        def noted(space: str, name: str) -> Any:
            sent.append(name)
            return get(space, name)

        engine_of(master).manager.get = noted  # type: ignore[method-assign]
        ticket = tmp_path / "ticket"
        ticket.touch(mode=0o600)
        ticket.write_text(master.ticket(), encoding="utf-8")
        command = [sys.executable, "-m", "masterworker.cli", "worker", "--ticket", str(ticket)]
        workers = subprocess.Popen([*command, "-n", "3"])
        try:
            wait_until(lambda: master.number_of_workers == 3, HANG, "three have joined")
            yield master, sent
        finally:
            master.shutdown()
            assert workers.wait(HANG) == 0


def test_they_are_sent_once_to_each_machine(elsewhere: tuple[Master, list[str]]) -> None:
    """Whichever worker fetches it has it for the others, too, and for those that come later."""
    master, sent = elsewhere
    shared = master.share(table=np.arange(N, dtype=float))

    def all_have_it() -> list[int]:
        seen = dict(master.map(mapped, [shared.table] * 20))
        files = {tuple(files) for files in seen.values()}
        return list(seen) if len(seen) == 3 and len(files) == 1 else []

    pids = wait_until(all_have_it, HANG, "all three have mapped it")
    assert sent.count("1/table") == 1
    os.kill(pids[0], signal.SIGKILL)
    wait_until(lambda: (found := all_have_it()) and pids[0] not in found, HANG, "three again")
    assert sent.count("1/table") == 1
    shared.delete()
    wait_until(lambda: not any(dict(master.map(mapped, [0] * 20)).values()), HANG, "all let go")


def test_they_can_be_nested(two_workers: Master) -> None:
    """In lists, tuples and dictionaries; two of one state, and the same twice."""
    with two_workers.share(big=np.ones(N), text="t", number=7) as shared:
        values = {"a": [shared.big, shared.big], "b": (shared.text, shared.number)}
        assert two_workers.submit(nested, values).result(HANG) == (N, "t", 7)
    with pytest.raises(UsageError, match="never stored, or deleted"):
        two_workers.submit(element, shared.big, 1).result(HANG)
    shared.delete()  # a second time is no error


def test_workers_let_go_of_what_is_deleted(two_workers: Master) -> None:
    shared = two_workers.share(table=np.ones(N))
    list(two_workers.map(element, [shared.table] * 20, range(20)))
    shared.delete()

    def all_gone() -> bool:
        seen = dict(two_workers.map(mapped, range(20)))
        return len(seen) == 2 and not any(seen.values())

    wait_until(all_gone, HANG, "no worker has it mapped any more")


def test_what_cannot_be_shared_is_named(two_workers: Master) -> None:
    with pytest.raises(UnpicklableError, match=r"value 'bad' .*lock"):
        two_workers.share(good=1, bad=threading.Lock())
    with pytest.raises(UsageError, match="named values"):
        two_workers.share()
    with pytest.raises(AttributeError, match=r"no value 'other' is shared here, only table"):
        _ = two_workers.share(table=1).other


def test_in_one_process() -> None:
    """Where there are no workers, it is the same."""
    with Master(serial=True) as master, master.share(table=np.arange(N)) as shared:
        assert master.submit(element, shared.table, 5).result() == 5.0
        with pytest.raises(ValueError, match="read-only"):
            master.submit(write, shared.table).result()
