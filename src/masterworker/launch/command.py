"""The command that starts a worker: built here, and nowhere else."""

from __future__ import annotations


def worker_command(python: str, label: str, launched_by: int) -> list[str]:
    """Build the command of a worker on the master's own machine.

    Args:
        python: Path of the Python interpreter.
        label: The label of the job.
        launched_by: Process id of the master; the worker ends with it.
    """
    return [
        python,
        "-P",  # the folder of the moment is not to be imported from: the master says from where
        "-m",
        "masterworker.cli",
        "worker",
        "--launched-by",
        str(launched_by),
        "--",
        label,
    ]
