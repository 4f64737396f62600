"""Carrying out command lines of `task_manager`, here or as programs, and what has to be said."""

from __future__ import annotations

import contextlib
import logging
import os
import subprocess
import sys
from typing import TYPE_CHECKING, NamedTuple

from masterworker.cli import exit_codes
from masterworker.cli.main import main
from masterworker.security import ticket
from support import HANG

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import pytest

USAGE, NOT_FOUND, NOT_TRUSTED = exit_codes.USAGE, exit_codes.NOT_FOUND, exit_codes.NOT_TRUSTED


class Said(NamedTuple):
    status: int
    out: str
    err: str


@contextlib.contextmanager
def terminal(capfd: pytest.CaptureFixture[str]) -> Iterator[Callable[..., Said]]:
    """Carries out command lines in this process; what they set here is set back."""
    log = logging.getLogger("masterworker")
    before = log.handlers[:], log.level, log.propagate

    def set_back() -> None:
        log.handlers, log.propagate = before[0][:], before[2]
        log.setLevel(before[1])
        ticket.hold(None)

    def carry_out(*words: str) -> Said:
        capfd.readouterr()
        try:
            status = main(list(words))
        except SystemExit as ended:  # argparse's way
            status = int(str(ended.code))
        set_back()
        return Said(status, *capfd.readouterr())

    yield carry_out
    set_back()


def task_manager(*words: str, **env: str) -> Said:
    """Carries out a command line as a program of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "masterworker.cli", *words],
        capture_output=True, text=True, timeout=HANG, env={**os.environ, **env}, check=False,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    return Said(done.returncode, done.stdout, done.stderr)


def wrong(said: Said, status: int) -> str:
    """It says in one line on stderr what is wrong, and ends with this status."""
    assert said.status == status, said
    assert said.out == ""
    assert len(said.err.splitlines()) == 1, said.err
    assert said.err.startswith("task_manager: "), said.err
    assert "Traceback" not in said.err
    assert len(said.err) < 600, said.err
    assert all(c.isprintable() for c in said.err.rstrip("\n")), repr(said.err)
    return said.err


def file_with(path: Path, content: str | bytes, mode: int = 0o600) -> str:
    """A file with this in it, and these permissions. Returns its path."""
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    path.chmod(mode)
    return str(path)
