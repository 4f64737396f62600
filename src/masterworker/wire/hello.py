"""How a process introduces itself, and which ones are refused."""

from __future__ import annotations

import sys

from masterworker.errors import RejectedError
from masterworker.version import __version__
from masterworker.wire.operations import other_protocol
from masterworker.wire.records import Hello
from masterworker.wire.vocabulary import PROTOCOL


def introduce(
    info: str,
    tags: list[str] | None,
    heartbeat: float | None,
    client: str,
    program: str = "",
    supervisor: str = "",
    *,
    waits: bool = False,
) -> Hello:
    """Fill in a `Hello` for this process."""
    python = python_version()
    what = program, info, tags, heartbeat, client, supervisor, waits
    return Hello(PROTOCOL, python, __version__, *what)


def python_version() -> str:
    """Return what must be equal for pickled code to be understood."""
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def judge(hello: Hello, program: str) -> None:
    """Refuse a process that would misunderstand, or be misunderstood.

    Args:
        hello: What it says.
        program: Digest of the slave program that the master has stored; "" for none.

    Raises:
        RejectedError: Names both sides of the difference.
    """
    if hello.protocol != PROTOCOL:
        raise other_protocol(hello.protocol, hello.version)
    if hello.python != python_version():
        raise RejectedError(
            f"this worker runs Python {hello.python}, the master runs {python_version()}: pickled "
            "code is not understood across versions, so start it with the same Python"
        )
    if hello.program and program and hello.program != program:
        raise RejectedError(
            f"this worker runs slave code {hello.program[:12]}, the master now has {program[:12]}: "
            "start a new worker, which gets the new code"
        )
