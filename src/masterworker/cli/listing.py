"""`task_manager list`."""

from __future__ import annotations

import json
from typing import Any

from masterworker.cli import exit_codes
from masterworker.client import Client
from masterworker.errors import TransportError
from masterworker.status.text import counted
from masterworker.transport.discovery import labels
from masterworker.transport.pyro import connect


def run(*, verbose: bool, as_json: bool) -> int:
    """Print the labels of all masters that can be found."""
    found = labels()
    entries: list[dict[str, Any]] = []
    for label, address in sorted(found.items()):
        entry: dict[str, Any] = {"label": label, "address": str(address)}
        if verbose or as_json:
            client = Client(lambda a=address, name=label: connect(a, name))  # type: ignore[misc]
            try:
                entry["processes"] = len(client.census().processes)
            except TransportError:
                entry["processes"] = None  # left behind in the name server
            client.disconnect()
        entries.append(entry)
    if as_json:
        print(json.dumps(entries, indent=2))
        return exit_codes.OK
    if not entries:
        print("no active task managers found")
    for entry in entries:
        told = entry["label"]
        if verbose:
            number = entry["processes"]
            told += "  no answer" if number is None else "  " + counted(number, "active process")
            told += f"  at {entry['address']}"
        print(told)
    return exit_codes.OK
