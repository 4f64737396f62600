"""Two hosts on one machine: network namespaces that are joined by a pair of virtual cables.

Needs root and `ip`; where that is not possible, trials are skipped with the reason.
"""

from __future__ import annotations

import contextlib
import subprocess
import uuid

#: Addresses of the two; nobody outside of the namespaces sees them.
HERE, THERE = "10.213.7.1", "10.213.7.2"


def ip(*words: str) -> None:
    """Execute one `ip` command."""
    subprocess.run(["ip", *words], check=True, capture_output=True, timeout=20.0)


class Network:
    """Two namespaces; commands are executed inside one with the prefix `near` or `far`."""

    def __init__(self) -> None:
        stem = f"mw{uuid.uuid4().hex[:6]}"
        self._names = {HERE: f"{stem}a", THERE: f"{stem}b"}
        self._wires = {HERE: f"{stem}x", THERE: f"{stem}y"}

    def open(self) -> None:
        """Make them, and the cable.

        Raises:
            OSError, SubprocessError: This machine does not let us.
        """
        for name in self._names.values():
            ip("netns", "add", name)
            ip("-n", name, "link", "set", "lo", "up")
        near, far = self._names.values()
        wire, other = self._wires.values()
        ip("-n", near, "link", "add", wire, "type", "veth", "peer", "name", other, "netns", far)
        for host in (HERE, THERE):
            self._in(host, "addr", "add", f"{host}/24", "dev", self._wires[host])
            self._in(host, "link", "set", self._wires[host], "up")

    def prefix(self, host: str) -> tuple[str, ...]:
        """What comes before a command that is to be executed on a host."""
        return ("ip", "netns", "exec", self._names[host])

    def deafen(self, host: str) -> None:
        """What this host sends does not leave it; what the other one sends arrives."""
        other = THERE if host == HERE else HERE
        self._in(host, "route", "add", "blackhole", f"{other}/32")

    def hear(self, host: str) -> None:
        """Undo that."""
        other = THERE if host == HERE else HERE
        self._in(host, "route", "del", "blackhole", f"{other}/32")

    def unplug(self, host: str) -> None:
        """Take the cable out: nobody is told."""
        self._in(host, "link", "set", self._wires[host], "down")

    def delete(self, host: str) -> None:
        """This host is no more."""
        name = self._names.pop(host)
        ip("netns", "del", name)

    def close(self) -> None:
        for host in list(self._names):
            with contextlib.suppress(subprocess.SubprocessError):
                self.delete(host)

    def _in(self, host: str, *words: str) -> None:
        ip("-n", self._names[host], *words)
