"""A real OpenSSH server for one test, with its own keys, and the client that knows it."""

from __future__ import annotations

import contextlib
import os
import pwd
import shlex
import shutil
import socket
import subprocess
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from e2e.desk import Running
from support import HANG, wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping

    from security.hosts.network import Host

#: What marks all that is started by logging in.
MARK = "MASTERWORKER_TEST_SSHD"
#: What the server says where nobody can log in, and no setting of ours helps.
HOPELESS = ("account is locked", "setgroups: Operation not permitted")
#: The server's own port is taken by somebody else meanwhile: try so often.
TRIES = 3

SERVER = """\
Port {port}
ListenAddress {address}
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/authorized_keys
PidFile none
StrictModes no
UsePAM no
UseDNS no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
AllowTcpForwarding yes
AllowStreamLocalForwarding yes
GatewayPorts no
PermitUserRC no
PrintMotd no
LogLevel VERBOSE
Subsystem sftp internal-sftp
SetEnv {environment}
"""

CLIENT = """\
Host {name}
  HostName {address}
  HostKeyAlias {name}
  Port {port}
  User {user}
  IdentityFile {folder}/user_key
  IdentitiesOnly yes
  IdentityAgent none
  UserKnownHostsFile {folder}/known_hosts
  GlobalKnownHostsFile /dev/null
  StrictHostKeyChecking yes
  BatchMode yes
  ConnectTimeout 10
"""


class LackingError(Exception):
    """Nobody can log in on this machine, for this reason."""


def lacking() -> str:
    """Return why no server can be started here; nothing if one can."""
    if not (server_program() and shutil.which("ssh") and shutil.which("ssh-keygen")):
        return "OpenSSH is not installed: openssh-server, openssh-client"
    try:
        pwd.getpwuid(os.geteuid())
    except KeyError:
        return "SSH wants a user who has a name"
    return ""


def server_program() -> str | None:
    return shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


class Sshd:
    """A server, on this machine's loopback or on one of the hosts.

    Attributes:
        name: What the client calls it: `ssh NAME`.
        port: Where it listens.
        config: The client's configuration, for `ssh -F`.
        path: A folder with a command `ssh` that uses it, to go first in PATH.
    """

    def __init__(self, folder: Path, host: Host | None = None) -> None:
        folder.mkdir(mode=0o700)
        self.folder = folder
        self.name = host.name if host else "mwhost"
        self.address = host.address if host else "127.0.0.1"
        self.config = folder / "ssh_config"
        self.path = folder / "bin"
        self.port = 0
        self._host = host
        self._mark = uuid.uuid4().hex
        self._environment = self._for_logins()
        self._server: Running | None = None

    def command(self, *words: str, options: tuple[str, ...] = ()) -> list[str]:
        """Return `ssh OPTIONS HOST WORDS`; the words are quoted for the shell over there."""
        remote = [shlex.join(words)] if words else []
        return ["ssh", "-F", str(self.config), *options, self.name, *remote]

    def start(
        self,
        *words: str,
        options: tuple[str, ...] = (),
        at: Host | None = None,
        env: Mapping[str, str] | None = None,
        **settings: Any,
    ) -> Running:
        """Start a command over there.

        Args:
            words: The command; without it, options should have `-N`.
            options: For ssh.
            at: Where ssh itself is executed; on this machine unless told.
            env: Further environment of ssh itself.
            settings: For `subprocess.Popen`.
        """
        command = self.command(*words, options=options)
        if at is not None:
            return at.start(command, env=env, **settings)
        return Running(command, self.folder, {**os.environ, **(env or {})}, **settings)

    def run(self, *words: str, timeout: float = HANG, **settings: Any) -> Running:
        """The same, and wait for its end."""
        started = self.start(*words, **settings)
        started.status(timeout)
        return started

    def open(self) -> None:
        """Make the keys, and start it.

        Raises:
            LackingError: Here nobody can log in as the user of the tests.
        """
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # a service manager would do it
        for key in ("host_key", "user_key"):
            make = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", key]
            subprocess.run([*make, "-f", str(self.folder / key)], check=True, timeout=HANG)
        shutil.copy(self.folder / "user_key.pub", self.folder / "authorized_keys")
        self._write_wrapper()
        for _ in range(TRIES):
            self.port = 22 if self._host else _free_port()
            if self._listens():
                return self._try()
        raise AssertionError(f"sshd does not start: {self.log()}")

    def close(self) -> None:
        """End it, and all that was started by logging in."""
        if self._server is not None:
            self._end(self._server)
        for process in self.processes():
            with contextlib.suppress(psutil.Error):
                process.kill()

    def processes(self) -> list[psutil.Process]:
        """Return all that was started by logging in, and still runs."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.environ().get(MARK) == self._mark:
                    found.append(process)
        return found

    def log(self) -> str:
        """What the server tells."""
        return self._server.err if self._server else ""

    def _listens(self) -> bool:
        """Start the server at the port; does it get it?"""
        self._configure()
        program = server_program()
        assert program is not None
        command = [program, "-D", "-e", "-f", str(self.folder / "sshd_config")]
        if self._host:
            server = self._host.start(command)
        else:
            server = Running(command, self.folder, {**os.environ})
        self._server = server
        wait_until(
            lambda: "Server listening" in server.err or server.process.poll() is not None,
            what=f"sshd listens: {server.err}",
        )
        return server.process.poll() is None

    def _try(self) -> None:
        if self.run("true", at=self._host).process.returncode == 0:
            return
        for reason in HOPELESS:
            if reason in self.log():
                raise LackingError(f"sshd lets nobody in: {reason}")
        raise AssertionError(f"sshd lets nobody in: {self.log()}")

    def _end(self, server: Running) -> None:
        """End the server and those of its processes that serve a login."""
        below: list[psutil.Process] = []
        with contextlib.suppress(psutil.Error):
            below = psutil.Process(server.pid).children(recursive=True)
        server.process.terminate()
        server.status()
        for process in below:
            with contextlib.suppress(psutil.Error):
                process.kill()

    def _for_logins(self) -> dict[str, str]:
        """Logins do not see the user's own folders either."""
        found = {MARK: self._mark}
        if self._host:
            return {**self._host.environment, **found}
        home = self.folder / "home"
        home.mkdir(mode=0o700)
        return {"HOME": str(home), "PATH": os.environ.get("PATH", os.defpath), **found}

    def _configure(self) -> None:
        known = {"folder": self.folder, "address": self.address, "port": self.port}
        quoted = " ".join(f'"{name}={value}"' for name, value in self._environment.items())
        server = SERVER.format(environment=quoted, **known)
        (self.folder / "sshd_config").write_text(server)
        self.config.write_text(
            CLIENT.format(name=self.name, user=pwd.getpwuid(os.geteuid()).pw_name, **known)
        )
        key = (self.folder / "host_key.pub").read_text()
        (self.folder / "known_hosts").write_text(f"{self.name} {key}")

    def _write_wrapper(self) -> None:
        self.path.mkdir()
        wrapper = self.path / "ssh"
        real = shlex.quote(str(shutil.which("ssh")))
        config = shlex.quote(str(self.config))
        wrapper.write_text(f'#!/bin/sh\nexec {real} -F {config} "$@"\n')
        wrapper.chmod(0o755)


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
