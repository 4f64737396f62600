"""A child process that carries out bundles, so that a task which ends its process ends only that.

Bundles and answers travel through two pipes, as plain data: a length of 8 bytes, then MessagePack.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from typing import IO, TYPE_CHECKING, Any, Final

import msgspec

from masterworker.launch.process_context import ProcessContext

if TYPE_CHECKING:
    from collections.abc import Sequence

#: What the child executes.
_CODE: Final = "from masterworker.engine.child import main; main()"
#: Variables that say to a process that it is a rank of an MPI job, which a child is not.
_OF_RANKS: Final = ("PMI", "PMIX", "OMPI", "MPI", "HYDI", "MASTERWORKER_ENGINE")
_LENGTH: Final = 8
#: A child in a process of another engine ends when it has had no bundle for this time (seconds).
_IDLE: Final = 30.0


class ChildEnded(Exception):
    """The child has ended in the middle of a bundle."""


class Child:
    """One child process, which is started when it is needed, and anew when it has ended.

    For one thread at a time, which must live as long as the child is of use.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def call(self, args: list[Any]) -> Any:
        """Carry out a bundle.

        Raises:
            ChildEnded: Says how.
        """
        process = self._process
        if process is None or process.poll() is not None:
            process = self._process = _start()
        try:
            _write(process.stdin, msgspec.msgpack.encode(args))
            answer = _read(process.stdout)
        except OSError:
            answer = None
        if answer is not None:
            return msgspec.msgpack.decode(answer)
        status, self._process = process.wait(), None
        how = f"signal {-status}" if status < 0 else f"exit status {status}"
        raise ChildEnded(f"process {process.pid} ended with {how}")

    def end(self) -> None:
        """End it, and wait for that."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


class IdleChild:
    """A child that ends when it has had nothing to do for a while. For one thread, as `Child`."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self._child = Child()
        self._lock = threading.Lock()
        self._calls = 0
        self._is_watched = False

    def call(self, args: list[Any]) -> Any:
        """Carry out a bundle, as `Child.call`."""
        with self._lock:
            self._calls += 1
            if not self._is_watched:
                self._watch()
            return self._child.call(args)

    def _watch(self) -> None:
        self._is_watched = True
        timer = threading.Timer(_IDLE, self._look, (self._calls,))
        timer.daemon = True
        timer.start()

    def _look(self, calls: int) -> None:
        with self._lock:
            self._is_watched = False
            if self._calls == calls:
                self._child.end()
            else:
                self._watch()


class _OfThread(threading.local):
    child: IdleChild | None = None


_of_thread: Final = _OfThread()


def carry_out_apart(
    versions: Sequence[Any], head: Any, large: Sequence[bytes], *values: Any
) -> Any:
    """Carry out a bundle as `bundle.carry_out`, in a child of this process.

    Returns:
        The same; or an empty text, and one that says how the child has ended.
    """
    child = _of_thread.child
    if child is None or child.pid != os.getpid():
        child = _of_thread.child = IdleChild()
    try:
        return child.call([versions, head, large, *map(_as_bytes, values)])
    except ChildEnded as error:
        return ["", str(error)]


def _as_bytes(value: Any) -> bytes:
    """Return a stored value as bytes: engines may bring it in another class."""
    return value if isinstance(value, bytes) else bytes(memoryview(value))


def _start() -> subprocess.Popen[bytes]:
    theirs = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(tuple(f"{each}_" for each in _OF_RANKS)) and name not in _OF_RANKS
    }
    command = [sys.executable, "-c", _CODE, str(os.getpid())]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=theirs)


def main() -> None:
    """Be such a child, until the pipe is closed."""
    ProcessContext(int(sys.argv[1])).end_with_launcher()
    from masterworker.engine.bundle import carry_out

    # Tasks write where this process's messages go: the pipes are for bundles alone.
    source, target = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    with open(os.devnull, "rb") as nothing:  # noqa: PTH123  a descriptor is wanted
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
    sys.argv = [""]
    with contextlib.suppress(OSError, KeyboardInterrupt):
        while (order := _read(source)) is not None:
            answer = carry_out(*msgspec.msgpack.decode(order))
            _write(target, msgspec.msgpack.encode(answer))


def _write(pipe: IO[bytes] | None, data: bytes) -> None:
    assert pipe is not None  # noqa: S101  for the type checker
    pipe.write(len(data).to_bytes(_LENGTH, "big"))
    pipe.write(data)
    pipe.flush()


def _read(pipe: IO[bytes] | None) -> bytes | None:
    """Return what comes next; None: nothing more does."""
    assert pipe is not None  # noqa: S101  for the type checker
    head = pipe.read(_LENGTH)
    if len(head) < _LENGTH:
        return None
    size = int.from_bytes(head, "big")
    data = pipe.read(size)
    return data if len(data) == size else None
