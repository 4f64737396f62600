"""The process that scales the workers of a master of this process: `task_manager scale`, its child.

It hears on its input that the master's process is gone, and says on its output that it has begun.
"""

from __future__ import annotations

import contextlib
import logging
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any, Final

import msgspec

from masterworker.errors import UsageError, WorkerStartError
from masterworker.pools.pool import Pool, ssh_pool

if TYPE_CHECKING:
    from collections.abc import Sequence

logger = logging.getLogger("masterworker.pools")

#: What it says when it has begun, and before what is wrong.
READY: Final = "ready"
WRONG: Final = "wrong: "
#: Longest time until it says so (seconds); what the run before has left may have to end first.
_BOUND: Final = 90.0
_SSH: Final = "ssh:"


def divide(workers: Any) -> tuple[Any, list[Pool]]:
    """Return what is to be started on this machine, and the pools elsewhere.

    Args:
        workers: What `workers=` of `Master` was given.

    Raises:
        UsageError: It cannot be used.
    """
    here: Any = 0
    pools: list[Pool] = []
    for each in workers if isinstance(workers, list | tuple) else [workers]:
        if isinstance(each, Pool):
            pools.append(each)
        elif isinstance(each, str) and each.startswith(_SSH):
            pools.append(ssh_pool(each.removeprefix(_SSH)))
        elif here:
            raise UsageError("workers= says twice how many are to be started on this machine")
        else:
            here = each
    check_names(pools)
    return here, pools


def check_names(pools: Sequence[Pool]) -> None:
    """Check that pools can be told apart.

    Raises:
        UsageError: They cannot.
    """
    names = [pool.name for pool in pools]
    if twice := next((name for name in names if names.count(name) > 1), ""):
        raise UsageError(f"two pools have the name {twice!r}: give each its own (name=)")


class Scaler:
    """The process that scales the pools of one job.

    Args:
        label: Of the job.
        pools: What is asked for.

    Raises:
        UsageError: They cannot be used; says why.
        WorkerStartError: It could not be started.
    """

    def __init__(self, label: str, pools: Sequence[Pool]) -> None:
        command = [sys.executable, "-m", "masterworker.cli", "scale", "--pools-from-stdin"]
        try:
            self._process = subprocess.Popen(
                [*command, "--", label],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                start_new_session=True,  # a Ctrl-C is for the master, and its end is one of the job
            )
        except OSError as error:
            raise WorkerStartError(f"workers cannot be scaled: {error}") from None
        self._said: list[str] = []
        self._begun = threading.Event()
        try:
            self._begin(pools)
        except BaseException:  # Ctrl-C, too
            self.close()
            raise

    def _begin(self, pools: Sequence[Pool]) -> None:
        assert self._process.stdin is not None  # noqa: S101  they are pipes
        threading.Thread(target=self._watch, name="masterworker-pools", daemon=True).start()
        with contextlib.suppress(BrokenPipeError):  # it has ended, and said why
            self._process.stdin.write(msgspec.json.encode(list(pools)) + b"\n")
            self._process.stdin.flush()
        if not self._begun.wait(_BOUND):
            self._process.kill()
            raise WorkerStartError("the process that scales the workers says nothing")
        if self._said[:1] != [READY]:
            raise UsageError("".join(self._said).removeprefix(WRONG) or "workers cannot be scaled")

    def close(self) -> None:
        """Let it know that the master is gone; it ends by itself."""
        if self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()

    def _watch(self) -> None:
        """Hear what it says, and wait until it has ended."""
        assert self._process.stdout is not None  # noqa: S101  it is a pipe
        for raw in self._process.stdout:
            self._said.append(raw.decode("utf-8", "replace").strip())
            self._begun.set()
        self._begun.set()
        if (status := self._process.wait()) and self._said[:1] == [READY]:  # else it is an error
            logger.warning("the process that scales the workers has ended with status %d", status)
