"""What is given to an executor that cannot work, and what goes wrong with what could."""

from __future__ import annotations

import concurrent.futures
import gc
import logging
import os
import subprocess
import sys
import textwrap
import threading
import weakref
from concurrent.futures import BrokenExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from masterworker import Executor, LabelTakenError
from masterworker.master import callbacks
from support import HANG, unique_label, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

_begun: list[int] = []


def double(number: int) -> int:
    return 2 * number


def say(path: str) -> str:
    Path(path).touch()
    return path


def leave() -> None:
    raise SystemExit(3)


def end() -> None:
    os._exit(3)


def fork() -> None:
    """Let a child live on for a moment, which is none of the workers."""
    if not os.fork():
        os._exit(0)
    _begun.append(os.getpid())


def print_much() -> None:
    """More than a pipe holds."""
    sys.stdout.write("x" * (1 << 20) + "\n")
    sys.stderr.write("y" * (1 << 20) + "\n")
    _begun.append(os.getpid())


def beginnings() -> tuple[list[int], int]:
    return _begun, os.getpid()


@pytest.mark.parametrize("initializer", [leave, end])
def test_an_initializer_that_ends_its_process_breaks_the_executor(
    initializer: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Futures learn of it also where no thread waits for a result of ours; with the reason."""
    monkeypatch.setattr("masterworker.launch.slot.TRIES", 2)
    with Executor(1, initializer=initializer) as executor:
        futures = [executor.submit(double, n) for n in range(3)]
        seen: list[object] = []
        futures[0].add_done_callback(seen.append)
        done, _ = concurrent.futures.wait(futures, timeout=HANG)
        assert done == set(futures)
        wait_until(lambda: seen == futures[:1])
        for future in futures:
            error = future.exception(0)
            assert isinstance(error, BrokenExecutor)
            assert "no worker could start" in str(error)
        with pytest.raises(BrokenExecutor):
            executor.submit(double, 1)


@pytest.mark.parametrize("initializer", [fork, print_much])
def test_an_initializer_that_forks_or_prints_much_is_called_once(
    initializer: Callable[[], None],
) -> None:
    """And nothing waits for its children, or for what it prints."""
    with Executor(1, initializer=initializer, output="none") as executor:
        begun, pid = executor.submit(beginnings).result(HANG)
        assert begun == [pid]
        assert list(executor.map(double, range(100))) == [2 * n for n in range(100)]


def test_a_callback_that_does_not_return_is_named_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The results of other futures come all the same."""
    monkeypatch.setattr(callbacks, "SAID_AFTER", 0.05)
    gate = threading.Event()

    def said() -> list[str]:
        return [m for m in caplog.messages if "has not returned" in m]

    with caplog.at_level(logging.WARNING), Executor(1) as executor:
        stuck = executor.submit(double, 4)
        stuck.add_done_callback(lambda _: gate.wait(HANG))
        wait_until(said)
        assert executor.submit(double, 5).result(HANG) == 10
        assert len(said()) == 1
        gate.set()
    wait_until(lambda: not [t for t in threading.enumerate() if t.name == "masterworker-watch"])


def test_a_future_that_is_collected_loses_no_call(tmp_path: Path) -> None:
    """It is executed, and keeps nothing alive."""
    with Executor(1) as executor:
        future = executor.submit(say, str(tmp_path / "done"))
        gone = weakref.ref(future)
        del future
        wait_until((tmp_path / "done").exists)
        assert executor.submit(double, 1).result(HANG) == 2
        gc.collect()
        assert gone() is None


def test_two_executors_with_one_label() -> None:
    """The second is refused, and the first goes on."""
    label = unique_label("twins")
    with Executor(1, label=label) as executor:
        with pytest.raises(LabelTakenError):
            Executor(1, label=label)
        assert executor.submit(double, 4).result(HANG) == 8


def test_submit_as_the_interpreter_ends(tmp_path: Path) -> None:
    """It is refused with the text of the standard library."""
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent(
            """
            import atexit
            from masterworker import Executor
            executor = Executor(1)

            @atexit.register
            def late():
                for ask in (executor.submit, executor.map):
                    try:
                        ask(abs, *([[1]] if ask == executor.map else [1]))
                    except RuntimeError as error:
                        print(error, flush=True)

            print(executor.submit(abs, -1).result())
            """
        )
    )
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, timeout=HANG, check=False
    )
    refused = "cannot schedule new futures after interpreter shutdown"
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == ["1", refused, refused]
