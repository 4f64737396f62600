"""`task_manager list`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from masterworker.cli import exit_codes
from masterworker.client import Client
from masterworker.errors import NotTrustedError, TransportError
from masterworker.security.credentials import user_credential
from masterworker.security.peer import Role
from masterworker.status.text import counted
from masterworker.transport.discovery import labels
from masterworker.transport.pyro.connection import connect

if TYPE_CHECKING:
    import argparse

    from masterworker.transport.address import Address


def run(_: str, options: argparse.Namespace) -> int:
    """Print the labels of all masters that can be found."""
    if options.ended:
        from masterworker.cli import ended

        return ended.show_all(as_json=options.json)
    found = labels()
    entries: list[dict[str, Any]] = []
    for label, address in sorted(found.items()):
        entry: dict[str, Any] = {"label": label, "address": str(address)}
        if options.verbose or options.json:
            entry["processes"], entry["note"] = _look_at(label, address)
        entries.append(entry)
    if options.json:
        print(json.dumps(entries, indent=2))
        return exit_codes.OK
    if not entries:
        print("no active task managers found")
    for entry in entries:
        line = entry["label"]
        if options.verbose:
            number = entry["processes"]
            line += f"  {entry['note'] or counted(number, 'active process')}"
            line += f"  at {entry['address']}"
        print(line)
    return exit_codes.OK


def _look_at(label: str, address: Address) -> tuple[int | None, str]:
    """Return how many processes a job has, or why that is not known."""
    client = Client(
        lambda: connect(address, label, credential=lambda: user_credential(Role.OBSERVER))
    )
    try:
        return len(client.census().processes), ""
    except NotTrustedError:
        return None, "of another user"
    except TransportError:
        return None, "no answer"  # left behind in the name server
    finally:
        client.disconnect()
