"""The fixtures; a conftest.py that imports them has them."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from security.hosts import other_python as others
from security.hosts import ssh
from security.hosts.network import Net

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from security.hosts.network import Host

__all__ = ["net", "other_python", "sshd", "start_sshd"]


@pytest.fixture
def net(tmp_path: Path) -> Iterator[Net]:
    """Three hosts, if this machine lets us make them."""
    if os.geteuid() != 0 or shutil.which("ip") is None or shutil.which("unshare") is None:
        pytest.skip("hosts need root and the commands `ip` and `unshare`")
    made = Net(tmp_path)
    try:
        try:
            made.open()
        except (subprocess.SubprocessError, OSError) as error:
            told = getattr(error, "stderr", b"") or b""
            pytest.skip(f"this machine makes no network namespaces: {error} {told.decode()}")
        yield made
    finally:
        made.close()


@pytest.fixture
def start_sshd(tmp_path: Path) -> Iterator[Callable[[Host | None], ssh.Sshd]]:
    """Start SSH servers: on a host, or with None on this machine's loopback."""
    if reason := ssh.lacking():
        pytest.skip(reason)
    with contextlib.ExitStack() as started:

        def start(host: Host | None = None) -> ssh.Sshd:
            name = f"sshd-{host.name if host else 'here'}"
            made = ssh.Sshd(tmp_path / name, host)
            started.callback(made.close)
            try:
                made.open()
            except ssh.LackingError as error:
                pytest.skip(str(error))
            return made

        yield start


@pytest.fixture
def sshd(start_sshd: Callable[[Host | None], ssh.Sshd]) -> ssh.Sshd:
    """An SSH server on this machine's loopback."""
    return start_sshd(None)


@pytest.fixture(scope="session")
def other_python() -> Path:
    """The command of a Python of another version that can import masterworker."""
    folder = others.usual_folder()
    if not others.is_made(folder):
        script = "tests/security/hosts/other_python.py"
        pytest.skip(
            f"no other Python, or not as needed now; to make one: .venv/bin/python {script}"
        )
    return others.command(folder)
