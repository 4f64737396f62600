"""`task_manager trace LABEL --out FILE`: a job as trace events, for Perfetto."""

from __future__ import annotations

from typing import TYPE_CHECKING

from masterworker.cli import exit_codes
from masterworker.cli.knowing import known
from masterworker.data.record import printable
from masterworker.errors import UsageError
from masterworker.status.text import counted
from masterworker.views import trace
from masterworker.views.files import written

if TYPE_CHECKING:
    import argparse


def run(label: str, options: argparse.Namespace) -> int:
    """Write the trace, and say where it can be looked at."""
    if not options.out:
        raise UsageError("say where the trace is to go: trace LABEL --out run.json")
    found = known(label, options)
    with written(options.out) as file:
        number = trace.write(found, file)
    text = f"{printable(options.out)}: {counted(number, 'event')}"
    print(f"{text}; open it at https://ui.perfetto.dev")
    return exit_codes.OK
