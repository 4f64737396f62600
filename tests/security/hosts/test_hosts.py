"""The hosts are what tests take them for."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

from support import unique_label, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from e2e.desk import Running
    from security.hosts.network import Net

#: Repeats lines from stdin to one peer, and lines from the peer to stdout.
PEER = """
import socket, sys, threading
role, address, port = sys.argv[1:]
family = socket.AF_INET6 if ":" in address else socket.AF_INET
if role == "server":
    listener = socket.create_server((address, int(port)), family=family)
    print("listens", flush=True)
    line, _ = listener.accept()
else:
    line = socket.create_connection((address, int(port)), 20)
    line.settimeout(None)
print("connected", flush=True)
def show():
    for text in line.makefile():
        print("got", text, end="", flush=True)
    print("ended", flush=True)
threading.Thread(target=show, daemon=True).start()
for text in sys.stdin:
    line.sendall(text.encode())
"""

TELL = """
import json, os, socket
from masterworker.failed import state_folder
from masterworker.transport.runtime import runtime_folder
folders = [os.path.expanduser("~"), os.environ["XDG_CONFIG_HOME"], os.environ["TMPDIR"]]
print(json.dumps({
    "name": socket.gethostname(),
    "folders": folders + [str(runtime_folder()), str(state_folder())],
    "settings": [name for name in os.environ if name.startswith(("MASTERWORKER", "PYRO", "SSH"))],
}))
"""


def pair(net: Net, *, six: bool = False) -> tuple[Running, Running]:
    """A process on host A and one on host B, with a connection."""
    address = net.a.address6 if six else net.a.address
    server = net.a.start(
        [sys.executable, "-c", PEER, "server", address, "7000"], stdin=subprocess.PIPE
    )
    server.says("listens")
    client = net.b.start(
        [sys.executable, "-c", PEER, "client", address, "7000"], stdin=subprocess.PIPE
    )
    server.says("connected")
    client.says("connected")
    return server, client


def say(running: Running, text: str) -> None:
    running.process.stdin.write(f"{text}\n".encode())
    running.process.stdin.flush()


def done(*all_running: Running) -> None:
    for running in all_running:
        running.process.stdin.close()
        running.kill()


def stays(condition: Callable[[], bool], seconds: float) -> None:
    """Watch that something holds all the time."""
    end, pause = time.monotonic() + seconds, threading.Event()
    while time.monotonic() < end:
        assert condition()
        pause.wait(0.02)


@pytest.mark.parametrize("six", [False, True], ids=["IPv4", "IPv6"])
def test_a_connection_survives_a_cut(net: Net, six: bool) -> None:
    server, client = pair(net, six=six)
    try:
        say(client, "before")
        server.says("got before")
        net.cut(net.a)
        packets = net.a.received()
        say(client, "from B")
        say(server, "from A")
        stays(lambda: "from B" not in server.out and "from A" not in client.out, 2.0)
        assert net.a.received() == packets
        assert server.process.poll() is None
        assert client.process.poll() is None
        net.heal(net.a)
        server.says("got from B")
        client.says("got from A")
    finally:
        done(server, client)


def test_the_others_still_talk_while_one_is_cut_off(net: Net) -> None:
    server, client = pair(net)
    try:
        net.cut(net.c)
        say(client, "hello")
        server.says("got hello")
    finally:
        done(server, client)


def test_a_host_that_crashes_tells_nobody(net: Net) -> None:
    server, client = pair(net)
    try:
        net.crash(net.a)
        assert server.status() < 0
        assert net.a.processes() == []
        say(client, "anybody?")
        stays(lambda: client.process.poll() is None and "ended" not in client.out, 0.5)
    finally:
        done(server, client)


def test_whoever_is_cut_off_cannot_connect_and_is_not_refused(net: Net) -> None:
    net.cut(net.a)
    code = "import socket, sys; socket.create_connection((sys.argv[1], 9), 1)"
    done = net.b.run([sys.executable, "-c", code, net.a.address])
    assert "TimeoutError" in done.err
    net.heal(net.a)
    done = net.b.run([sys.executable, "-c", code, net.a.address])
    assert "ConnectionRefusedError" in done.err


def test_hosts_share_no_folders_and_know_each_other_by_name(net: Net) -> None:
    told = [json.loads(host.run([sys.executable, "-c", TELL]).good().out) for host in net]
    assert [one["name"] for one in told] == ["hostA", "hostB", "hostC"]
    for host, one in zip(net, told, strict=True):
        assert all(folder.startswith(f"{host.folder}/") for folder in one["folders"])
        assert one["settings"] == []
    found = net.b.run(["getent", "ahosts", "hostA"]).good().out
    assert net.a.address in found
    assert net.a.address6 in found


def test_input_reaches_a_command(net: Net) -> None:
    assert net.c.run(["cat"], input="a line\n").out == "a line\n"


def test_a_command_that_hangs_is_ended(net: Net) -> None:
    with pytest.raises(AssertionError, match="hangs"):
        net.a.run(["sh", "-c", "cat /dev/zero >/dev/null"], timeout=0.3)


def test_two_networks_do_not_collide(net: Net, tmp_path) -> None:
    other = type(net)(tmp_path)
    try:
        other.open()
        assert {host.space for host in other}.isdisjoint(host.space for host in net)
        for host in (net.b, other.b):
            host.run(["ip", "addr", "show", "eth0"]).good()
    finally:
        other.close()


def test_all_that_was_started_ends_also_what_left_its_parent(net: Net) -> None:
    label = unique_label()
    net.a.run(["sh", "-c", f"setsid sh -c ': {label}; exec cat /dev/zero' >/dev/null 2>&1 &"])
    wait_until(net.a.processes, what="it runs")
    net.close()
    assert net.a.processes() == []


def test_a_narrow_line_takes_its_time(net: Net) -> None:
    """Nothing is asserted that a busy machine could break: only that it takes at least so long."""
    server, client = pair(net)
    try:
        net.narrow(net.b, 800)  # 100 kB/s
        begin = time.monotonic()
        say(client, "x" * 100_000)
        wait_until(lambda: len(server.out) > 100_000, what="all arrives")
        assert time.monotonic() - begin > 0.5
        net.narrow(net.b, 0)
        say(client, "done")
        server.says("got done")
    finally:
        done(server, client)
