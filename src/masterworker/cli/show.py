"""`task_manager show LABEL`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from masterworker.cli import exit_codes, pool_lines
from masterworker.cli.finding import find, is_elsewhere
from masterworker.errors import MasterNotFoundError
from masterworker.security.peer import Role
from masterworker.status import text

if TYPE_CHECKING:
    import argparse


def run(label: str, options: argparse.Namespace) -> int:
    """Print how a job stands, or stood last."""
    try:
        client = find(label, options.master, wait=options.wait, role=Role.OBSERVER)
    except MasterNotFoundError as error:
        if is_elsewhere(options):
            raise
        from masterworker.cli import ended
        from masterworker.pools.leftovers import take_back

        take_back(label)
        return ended.show(label, error, as_json=options.json)
    if options.live or options.every is not None:
        from masterworker.cli.watching import watch

        return watch(label, client, live=bool(options.live), every=options.every)
    census = client.census()
    if options.json:
        from masterworker.recorder.shapes import Looked

        snapshot = client.look(Looked())
        client.disconnect()
        print(text.as_json(label, census, snapshot, pools=pool_lines.content(label)))
        return exit_codes.OK
    client.disconnect()
    print(text.describe(label, census, verbose=options.verbose))
    for line in pool_lines.lines(label, verbose=options.verbose):
        print(line)
    return exit_codes.OK
