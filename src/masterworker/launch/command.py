"""The command that starts a worker: built here, and nowhere else."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from masterworker.launch.options import Spec


def worker_command(
    python: str, spec: Spec, slot_fd: int, ticket_fd: int | None = None
) -> list[str]:
    """Build the command of a worker on this machine.

    Args:
        python: Path of the Python interpreter.
        spec: What kind of worker.
        slot_fd: File descriptor of what it shares with its supervisor, which is in this process;
            the worker ends with it.
        ticket_fd: File descriptor from which it reads its ticket, which is a secret.
    """
    command = [
        python,
        "-P",  # the folder of the moment is not to be imported from: the master says from where
        "-m",
        "masterworker.cli",
        "worker",
        f"--launched-by={os.getpid()}",
        f"--supervised={slot_fd}",
    ]
    limits = spec.limits
    for name, value in (
        ("--master", spec.master),
        ("--ticket-fd", ticket_fd),
        ("--max-tasks", limits.max_tasks),
        ("--idle-timeout", limits.idle_timeout),
        ("--deadline", limits.deadline),
        ("--initializer", limits.initializer or None),
    ):
        if value is not None:
            command.append(f"{name}={value}")
    if spec.verbose:
        command.append("--verbose")
    return [*command, "--", spec.label]
