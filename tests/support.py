"""What tests of every folder share: waiting with a bound, and running Python programs."""

from __future__ import annotations

import contextlib
import itertools
import os
import subprocess
import sys
import textwrap
import threading
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import psutil
from msgspec.structs import astuple, replace

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

#: Nothing in a test takes so long, unless it hangs (seconds).
HANG = 30.0

#: Labels of jobs that last longer than a test: their workers may come and go.
lasting: set[str] = set()

_numbers = itertools.count(1)


def wait_until(condition: Callable[[], Any], timeout: float = 20.0, what: str = "") -> Any:
    """Wait until something holds, and return it; fail when the time is up."""
    end = time.monotonic() + timeout
    pause = threading.Event()
    while not (found := condition()):
        assert time.monotonic() < end, f"not within {timeout} s: {what or condition}"
        pause.wait(0.01)
    return found


def descriptors() -> set[str]:
    """The open files of this process."""
    return {path.name for path in Path("/proc/self/fd").iterdir()}


def unique_label(stem: str = "test") -> str:
    """A label that no other test has."""
    return f"{stem} {next(_numbers)} {uuid.uuid4().hex[:8]}"


def python_script(tmp_path: Path, name: str, source: str) -> Path:
    """Write a Python program; the source may be indented."""
    path = tmp_path / name
    path.write_text(textwrap.dedent(source).lstrip("\n"), encoding="utf-8")
    return path


def workers_of(pid: int) -> list[psutil.Process]:
    """The worker processes that a process has launched."""
    found = []
    for child in psutil.Process(pid).children():
        with contextlib.suppress(psutil.Error):  # it has ended meanwhile
            if "--supervised" in " ".join(child.cmdline()):
                found.append(child)
    return found


def without_slowness(said: str) -> str:
    """Leave out lines which say that workers take long to start."""
    slow = (
        "not ready after",
        "been starting for",
        "there are no workers",
        "waiting for a result: ",
    )
    return "".join(
        line for line in said.splitlines(keepends=True) if not any(each in line for each in slow)
    )


class Script:
    """A Python program that was started. Its output goes to files, so it never blocks."""

    def __init__(self, path: Path, *arguments: str, env: Mapping[str, str] | None = None) -> None:
        stem = path.with_name(f"{path.stem}-{next(_numbers)}")
        self._out, self._err = stem.with_suffix(".out"), stem.with_suffix(".err")
        environment = {**os.environ, "PYTHONUNBUFFERED": "1", **(env or {})}
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self.process = subprocess.Popen(
                [sys.executable, str(path), *arguments],
                cwd=path.parent,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
            )
        self.pid = self.process.pid

    @property
    def out(self) -> str:
        """What it has written to stdout so far."""
        return self._out.read_text(encoding="utf-8", errors="replace")

    @property
    def err(self) -> str:
        """What it has written to stderr so far."""
        return self._err.read_text(encoding="utf-8", errors="replace")

    @property
    def complaints(self) -> str:
        """The same, without what is said where a machine is slow."""
        return without_slowness(self.err)

    @property
    def told(self) -> str:
        """Everything about it, for the message of a failed test."""
        return f"status {self.process.poll()}\n--- stdout\n{self.out}\n--- stderr\n{self.err}"

    def wait(self, timeout: float = HANG) -> int:
        """Wait for the end and return the status; one that hangs is killed, and the test fails."""
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"hangs after {timeout} s: {self.told}") from None

    def says(self, text: str, timeout: float = HANG) -> None:
        """Wait until it has written something to stdout."""

        def holds() -> bool:
            ended = self.process.poll() is not None
            found = text in self.out
            assert found or not ended, f"never said {text!r}: {self.told}"
            return found

        wait_until(holds, timeout, f"it says {text!r}: {self.told}")

    def kill(self) -> None:
        """End it at once, as `kill -9` does."""
        self.process.kill()
        self.process.wait(HANG)


def start_script(path: Path, *arguments: str, env: Mapping[str, str] | None = None) -> Script:
    """Start a program. Whoever calls this ends it, or waits for its end."""
    return Script(path, *arguments, env=env)


def run_script(
    path: Path,
    *arguments: str,
    env: Mapping[str, str] | None = None,
    timeout: float = HANG,
    status: int | None = 0,
) -> Script:
    """Run a program to its end, which must have the given status (None: any)."""
    script = Script(path, *arguments, env=env)
    ended = script.wait(timeout)
    assert status is None or ended == status, script.told
    return script


def packed(args: Any) -> msgspec.Raw:
    """Arguments as they arrive."""
    return msgspec.Raw(msgspec.msgpack.encode(args))


def as_sent(value: Any) -> Any:
    """Plain values in the place of records, as they are in a message."""
    return msgspec.msgpack.decode(msgspec.msgpack.encode(value))


def fields(record: Any, **changes: Any) -> list[Any]:
    """The fields of a record, some of them changed, as a caller may send them one by one."""
    return list(astuple(replace(record, **changes)))
