"""The SSH server is a real one, and forwards ports."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

from support import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from e2e.desk import Running
    from security.hosts.network import Host, Net
    from security.hosts.ssh import Sshd

SEND = """
import socket, sys
with socket.create_connection((sys.argv[1], int(sys.argv[2])), 20) as line:
    line.sendall(b"hello")
"""
HEAR = """
import socket
with socket.create_server(("127.0.0.1", 0)) as listener:
    print(listener.getsockname()[1], flush=True)
    line, _ = listener.accept()
    print("got", line.makefile().read(), flush=True)
"""


def test_a_command_is_executed_with_its_words(sshd: Sshd) -> None:
    told = sshd.run("printf", "%s|", "two words", "$HOME", "it's").good()
    assert told.out == "two words|$HOME|it's|"


def test_a_login_sees_a_home_of_its_own(sshd: Sshd) -> None:
    assert sshd.run("sh", "-c", "echo $HOME").good().out.strip() == str(sshd.folder / "home")


def test_any_program_that_calls_ssh_gets_there(sshd: Sshd) -> None:
    command = [str(sshd.path / "ssh"), sshd.name, "echo", "here"]
    assert subprocess.run(command, capture_output=True, check=True, timeout=20).stdout == b"here\n"


def test_nobody_gets_in_without_the_key(sshd: Sshd) -> None:
    (sshd.folder / "authorized_keys").write_text("")
    refused = sshd.run("true")
    assert refused.process.returncode == 255
    assert "Permission denied" in refused.err


def forwarded_port(tunnel: Running) -> str:
    """Wait until the server has opened the port, and return it."""
    pattern = re.compile(r"Allocated port (\d+) for remote forward")
    found = wait_until(lambda: pattern.search(tunnel.err), what="the port is forwarded")
    return str(found[1])


def tunnel_options(port: str | int) -> tuple[str, ...]:
    return ("-N", "-o", "ExitOnForwardFailure=yes", "-R", f"127.0.0.1:0:127.0.0.1:{port}")


def test_a_port_is_forwarded_back(sshd: Sshd) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(20.0)
        tunnel = sshd.start(options=tunnel_options(listener.getsockname()[1]))
        try:
            port = forwarded_port(tunnel)
            sshd.run(sys.executable, "-c", SEND, "127.0.0.1", port).good()
            with listener.accept()[0] as line:
                assert line.makefile().read() == "hello"
        finally:
            tunnel.kill()


def test_a_port_is_forwarded_between_hosts(
    net: Net, start_sshd: Callable[[Host | None], Sshd]
) -> None:
    """Who listens at A's loopback can be reached at B's, and only so."""
    there = start_sshd(net.b)
    listener = net.a.start([sys.executable, "-c", HEAR])
    port = listener.first_line()
    direct = net.b.run([sys.executable, "-c", SEND, net.a.address, port])
    assert "ConnectionRefusedError" in direct.err
    tunnel = there.start(options=tunnel_options(port), at=net.a)
    try:
        net.b.run([sys.executable, "-c", SEND, "127.0.0.1", forwarded_port(tunnel)]).good()
        listener.says("got hello")
        listener.good()
    finally:
        tunnel.kill()
        listener.kill()


def test_a_login_arrives_at_the_host(net: Net, start_sshd: Callable[[Host | None], Sshd]) -> None:
    there = start_sshd(net.b)
    told = there.run("sh", "-c", 'cat /proc/sys/kernel/hostname; echo "$HOME"', at=net.a).good()
    assert told.lines == ["hostB", net.b.environment["HOME"]]
