"""Three hosts on one machine, each with its own network, name and folders, and a switch.

Needs root and `ip`. Processes on different hosts share the file system, but no folder that a
program finds by itself: home, configuration, runtime and temporary folders are a host's own.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from e2e.desk import Running
from faults.network import ip
from support import HANG, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

NAMES = ("hostA", "hostB", "hostC")
#: What processes on a host know of the environment of the tests; everything else stays outside.
KNOWN = ("PATH", "LANG", "LC_", "PYTHON", "OPENBLAS_", "VIRTUAL_ENV")
#: Executed on the host before each command: the host's name, and the names of all hosts.
ENTER = 'mount --bind "$0" /etc/hosts && echo "$1" >/proc/sys/kernel/hostname && shift && exec "$@"'


class Host:
    """One of the hosts.

    Attributes:
        name: Its host name, which the others know, too.
        address: Its IPv4 address.
        address6: Its IPv6 address.
        folder: Where its home and other folders are; deleted at the end.
        environment: What its processes start with.
    """

    def __init__(self, number: int, space: str, folder: Path, notes: Path) -> None:
        self.name = NAMES[number - 1]
        self.address, self.address6 = f"10.77.0.{number}", f"fd77::{number}"
        self.hardware = f"02:77:00:00:00:0{number}"
        self.space = space
        self.folder = folder / self.name
        self.environment = _environment(self.folder)
        self._notes = notes
        self._names = folder / "hosts"

    def prefix(self) -> tuple[str, ...]:
        """What comes before a command that is to be executed on this host."""
        enter = ("sh", "-c", ENTER, str(self._names), self.name)
        return ("ip", "netns", "exec", self.space, "unshare", "--uts", *enter)

    def start(
        self, command: Sequence[str], *, env: Mapping[str, str] | None = None, **options: Any
    ) -> Running:
        """Start a process; what it writes goes to files. It ends with the network, at the latest.

        Args:
            command: The program and its arguments; `sys.executable` for this Python.
            env: Further environment.
            options: For `subprocess.Popen`, such as `stdin`.
        """
        options.setdefault("cwd", self.folder / "home")
        full = [*self.prefix(), *command]
        return Running(full, self._notes, {**self.environment, **(env or {})}, **options)

    def run(
        self,
        command: Sequence[str],
        *,
        input: str = "",  # noqa: A002 - as in `subprocess.run`
        timeout: float = HANG,
        env: Mapping[str, str] | None = None,
    ) -> Running:
        """Execute a command, and wait for its end; see `process.returncode`, `out` and `err`.

        Args:
            command: The program and its arguments.
            input: What it reads from stdin.
            timeout: It is ended, and the test fails, after so many seconds.
            env: Further environment.
        """
        with tempfile.TemporaryFile() as stdin:  # a pipe could block, or be held by its children
            stdin.write(input.encode())
            stdin.seek(0)
            started = self.start(command, env=env, stdin=stdin)
            started.status(timeout)
        return started

    def processes(self) -> list[psutil.Process]:
        """All that run on this host: they were started there, or by such ones."""
        command = ["ip", "netns", "pids", self.space]  # fails if the host is no more: none
        told = subprocess.run(command, capture_output=True, text=True, timeout=HANG, check=False)
        found = []
        for number in told.stdout.split():
            with contextlib.suppress(psutil.Error):
                process = psutil.Process(int(number))
                if process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
        return found

    def kill_all(self) -> None:
        """End all processes on this host at once."""

        def none() -> bool:
            found = self.processes()
            for process in found:
                with contextlib.suppress(psutil.Error):
                    process.kill()
            return not found

        wait_until(none, HANG, f"no process is left on {self.name}")

    def received(self) -> int:
        """How many packets have reached its network card."""
        return int(self.run(["cat", "/sys/class/net/eth0/statistics/rx_packets"]).good().out)


class Net:
    """The hosts `a`, `b` and `c` (also by iteration), and the switch that joins them."""

    def __init__(self, notes: Path) -> None:
        stem = f"mw{uuid.uuid4().hex[:6]}"
        # Short, unlike `notes`: paths of Unix sockets are.
        self._folder = Path(tempfile.mkdtemp(prefix="mwh"))
        self._switch = f"{stem}s"
        self._spaces: list[str] = []
        self.hosts = [Host(n, f"{stem}{n}", self._folder, notes) for n in (1, 2, 3)]
        self.a, self.b, self.c = self.hosts

    def __iter__(self) -> Iterator[Host]:
        return iter(self.hosts)

    def open(self) -> None:
        """Make the hosts and the switch.

        Raises:
            OSError, SubprocessError: This machine does not let us.
        """
        self._write_names()
        for space in (self._switch, *(host.space for host in self.hosts)):
            ip("netns", "add", space)
            self._spaces.append(space)
            ip("-n", space, "link", "set", "lo", "up")
        ip("-n", self._switch, "link", "add", "switch", "type", "bridge")
        ip("-n", self._switch, "link", "set", "switch", "addrgenmode", "none", "up")
        for host in self.hosts:
            self._connect(host)

    def cut(self, host: Host) -> None:
        """Let nothing through, in both directions; nobody is told.

        The host's own cable seems fine, and it knows where the others are: what it sends
        disappears, as behind a dead router, instead of failing as it does at a dead card.
        """
        ip("-n", self._switch, "link", "set", host.name, "nomaster")

    def heal(self, host: Host) -> None:
        """Undo that."""
        ip("-n", self._switch, "link", "set", host.name, "master", "switch")

    def crash(self, host: Host) -> None:
        """Switch a host off: its processes end, and the others are not told."""
        self.cut(host)
        host.kill_all()

    def narrow(self, host: Host, kbit: int) -> None:
        """Limit what a host sends and what it gets, to so many kbit/s each; 0 undoes it.

        Skips the test where the system cannot.
        """
        # The queue holds the data of two seconds, so that hardly anything is dropped.
        limit = ("tbf", "rate", f"{kbit}kbit", "burst", "16kb", "latency", "2s")
        for space, card in ((host.space, "eth0"), (self._switch, host.name)):
            change = (
                ("replace", "dev", card, "root", *limit) if kbit else ("del", "dev", card, "root")
            )
            command = ["tc", "-n", space, "qdisc", *change]
            try:
                subprocess.run(command, check=True, capture_output=True, timeout=HANG)
            except (OSError, subprocess.CalledProcessError) as error:
                pytest.skip(f"this system does not limit the rate of a line: {error}")

    def close(self) -> None:
        """End all that runs on the hosts, and delete them."""
        try:
            for host in self.hosts:
                if host.space in self._spaces:
                    host.kill_all()
        finally:
            for space in self._spaces:
                with contextlib.suppress(subprocess.SubprocessError):
                    ip("netns", "del", space)
            self._spaces.clear()
            shutil.rmtree(self._folder, ignore_errors=True)

    def _connect(self, host: Host) -> None:
        """Lay a cable from a host to the switch."""
        other = ("peer", "name", "eth0", "address", host.hardware, "netns", host.space)
        ip("-n", self._switch, "link", "add", host.name, "type", "veth", *other)
        ip("-n", self._switch, "link", "set", host.name, "master", "switch")
        ip("-n", self._switch, "link", "set", host.name, "addrgenmode", "none", "up")
        at_host = ("-n", host.space)
        ip(*at_host, "addr", "add", f"{host.address}/24", "dev", "eth0")
        ip(*at_host, "addr", "add", f"{host.address6}/64", "dev", "eth0", "nodad")
        ip(*at_host, "link", "set", "eth0", "up")
        for other_host in self.hosts:
            if other_host is not host:
                for address in (other_host.address, other_host.address6):
                    to = ("lladdr", other_host.hardware, "dev", "eth0", "nud", "permanent")
                    ip(*at_host, "neigh", "add", address, *to)

    def _write_names(self) -> None:
        lines = ["127.0.0.1 localhost", "::1 localhost ip6-localhost"]
        for host in self.hosts:
            lines += [f"{host.address} {host.name}", f"{host.address6} {host.name}"]
        (self._folder / "hosts").write_text("".join(f"{line}\n" for line in lines))


def _environment(folder: Path) -> dict[str, str]:
    """Make a host's folders; return the environment in which they are found."""
    places = {
        "HOME": "home",
        "TMPDIR": "tmp",
        "XDG_RUNTIME_DIR": "run",
        "XDG_CONFIG_HOME": "home/.config",
        "XDG_STATE_HOME": "home/.local/state",
        "XDG_DATA_HOME": "home/.local/share",
        "XDG_CACHE_HOME": "home/.cache",
    }
    known = {name: value for name, value in os.environ.items() if name.startswith(KNOWN)}
    for name, place in places.items():
        path = folder / place
        path.mkdir(mode=0o700, parents=True)
        known[name] = str(path)
    return {**known, "PYTHONUNBUFFERED": "1"}
