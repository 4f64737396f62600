"""`task_manager report LABEL --out FILE`: what a job was, in one file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from masterworker.cli import exit_codes
from masterworker.cli.knowing import known
from masterworker.data.record import printable
from masterworker.errors import UsageError
from masterworker.views import report

if TYPE_CHECKING:
    import argparse


def run(label: str, options: argparse.Namespace) -> int:
    """Write the report."""
    if not options.out:
        raise UsageError(f"say where the report is to go: report LABEL --out FILE{report.ENDINGS}")
    report.check(options.out)
    report.save(known(label, options), options.out)
    print(printable(options.out))
    return exit_codes.OK
