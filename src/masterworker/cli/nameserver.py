"""`task_manager nameserver`: be a Pyro name server, for a few machines or other programs."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from masterworker.cli import exit_codes
from masterworker.errors import UsageError
from masterworker.transport.hosts import LOCAL

if TYPE_CHECKING:
    import argparse


def run(_: str, options: argparse.Namespace) -> int:
    """Serve until Ctrl-C.

    Raises:
        UsageError: The address or the port cannot be used.
    """
    from masterworker.transport.pyro import nameserver

    host = options.host or "localhost"
    if options.port is not None and not 0 <= options.port < 65536:
        raise UsageError(f"--port is a number from 0 to 65535, not {options.port}")

    def ready(where: str) -> None:
        print(f"name server at {where} (Ctrl-C ends it)", file=sys.stderr, flush=True)
        if host not in LOCAL:
            print(
                "every host that reaches it can change it; a master that is found through it "
                "still has to prove its identity",
                file=sys.stderr,
                flush=True,
            )

    try:
        nameserver.serve(host, options.port, ready)
    except (OSError, ValueError) as error:  # the latter: no host can have this name
        raise UsageError(f"no name server can be at {host}: {error}") from None
    return exit_codes.INTERRUPTED
