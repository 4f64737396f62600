"""`task_manager metrics LABEL`: a job in Prometheus' text format."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING

from masterworker.cli import exit_codes
from masterworker.cli.knowing import known
from masterworker.errors import UsageError
from masterworker.views.files import written

if TYPE_CHECKING:
    import argparse


def run(label: str, options: argparse.Namespace) -> int:
    """Print the metrics, or write them into a file for a text file collector."""
    if find_spec("prometheus_client") is None:
        raise UsageError("metrics need prometheus_client: pip install 'masterworker[views]'")
    from masterworker.views.metrics import exposition

    found = known(label, options)
    text = exposition(label, found.snapshot, is_over=found.saved is not None)
    if options.out in {None, "-"}:
        sys.stdout.write(text.decode())
    else:
        with written(options.out) as file:
            file.write(text)
    return exit_codes.OK
