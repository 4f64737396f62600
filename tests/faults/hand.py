"""A worker program for fault trials: PYTHONPATH=tests python -m faults.hand LABEL ..."""

from __future__ import annotations

import argparse
import logging
import sys

from faults.work import recorded
from masterworker import Worker
from masterworker.errors import TransportError
from masterworker.transport.pyro import connection


class Hand(Worker):
    """Executes calls of functions, and recorded actions by tag."""

    def do_recorded(self, *args: object) -> object:
        return recorded(*args)  # type: ignore[arg-type]


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("label")
    parser.add_argument("--master")
    parser.add_argument("--heartbeat", type=float, default=5.0)
    parser.add_argument("--reconnect", type=float, default=20.0)
    parser.add_argument("--answer", type=float, help="wait so long for an answer, not 25 s")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if options.answer is not None:
        connection.LONGEST_WAIT, connection.STALL = options.answer, 0.0
    try:
        Hand(
            options.label,
            options.master,
            heartbeat=options.heartbeat,
            reconnect=options.reconnect,
        ).run()
    except TransportError as error:
        sys.stderr.write(f"{error}\n")
        return 4
    return 0


if __name__ == "__main__":
    sys.exit(main())
