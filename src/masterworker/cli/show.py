"""`task_manager show LABEL`."""

from __future__ import annotations

from masterworker.cli import exit_codes
from masterworker.cli.finding import find
from masterworker.status import text


def run(label: str, master: str | None, *, wait: bool, verbose: bool, as_json: bool) -> int:
    """Print how a job stands."""
    client = find(label, master, wait=wait)
    census = client.census()
    client.disconnect()
    print(text.as_json(label, census) if as_json else text.describe(label, census, verbose=verbose))
    return exit_codes.OK
