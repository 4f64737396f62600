"""A name server says where a master may be; whoever has filled it, it is not believed."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING

import pytest
from Pyro5.api import Proxy

from masterworker import Master
from masterworker.cli import exit_codes
from masterworker.master import engine_of
from masterworker.transport.address import object_name
from masterworker.transport.discovery import reach
from masterworker.transport.pyro.names import NameServer
from security.attackers import HOST, Records
from security.commands import task_manager
from security.handshakes import NOW
from security.impostors import Impostor, learned_nothing, other_authority
from support import HANG, unique_label

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator
    from pathlib import Path

PAST = NOW - dt.timedelta(days=30)
SECRET = b"a parameter that nobody else may know"


@pytest.fixture
def hijacked(name_server: int) -> Iterator[tuple[str, Impostor]]:
    """A label that is entered in a real name server by somebody else."""
    label = unique_label("hijacked")
    with Impostor() as impostor:
        impostor.as_tls(other_authority())
        names = NameServer()
        names.register(label, f"PYRO:{object_name(label)}@{HOST}:{impostor.port}")
        yield label, impostor


def test_a_hijacked_name_server_is_named(hijacked: tuple[str, Impostor], name_server: int) -> None:
    label, impostor = hijacked
    status, _, err = task_manager("worker", label)
    assert status == exit_codes.NOT_TRUSTED
    assert len(err.splitlines()) == 1, err
    assert f"the address comes from the name server at localhost:{name_server}" in err
    for command in ("show", "explain"):
        words = [command, label, *(["1"] if command == "explain" else [])]
        status, out, err = task_manager(*words)
        assert (status, out) == (exit_codes.NOT_TRUSTED, "")
        assert "name server" in err
    learned_nothing(impostor)


def test_a_name_server_is_asked_only_where_nothing_else_is_known(
    hijacked: tuple[str, Impostor],
) -> None:
    """A master of this user here is known by its notice, whatever the name server says."""
    label, impostor = hijacked
    with Master(label):
        reach(label).close()
    assert impostor.heard == []


def test_a_hijacked_label_does_not_keep_a_master_from_starting(
    hijacked: tuple[str, Impostor],
) -> None:
    """It may be another user's: his entry stays, and the job is found without one."""
    label, impostor = hijacked
    with Records() as log:
        with Master(label, name_server=True) as master:
            assert engine_of(master).endpoint.registered is None
            reach(label).close()
        found = NameServer().lookup(label)
        assert found is not None
        assert found.port == impostor.port
    told = [text for text in log.texts if "name server" in text]
    assert len(told) == 1, told
    assert f"at {HOST}:{impostor.port} is no master of yours" in told[0]
    assert told[0].isprintable()
    learned_nothing(impostor)


def test_an_entry_that_leads_to_another_program_is_replaced(name_server: int) -> None:
    """A port that was left behind, and has got another user meanwhile: it is nobody's master."""

    def as_web_server(_: Impostor, sock: socket.socket) -> None:
        sock.recv(1)
        sock.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    label = unique_label("reused")
    with Impostor(as_web_server) as other:
        NameServer().register(label, f"PYRO:{object_name(label)}@{HOST}:{other.port}")
        with Master(label, name_server=True) as master:
            assert engine_of(master).endpoint.registered is not None
            assert engine_of(master).server is not None
            found = NameServer().lookup(label)
            assert found is not None
            assert found.port == engine_of(master).server.port


def test_list_tells_whose_a_hijacked_label_is(hijacked: tuple[str, Impostor]) -> None:
    label, impostor = hijacked
    status, out, err = task_manager("list", "-v")
    assert status == exit_codes.OK, err
    assert f"{label}  of another user" in out
    learned_nothing(impostor)


def test_entries_that_play_tricks_on_a_terminal_are_not_shown(name_server: int) -> None:
    """Anybody can enter anything."""
    names = NameServer()
    good = unique_label("good")
    names.register(good, f"PYRO:{object_name(good)}@{HOST}:1")
    with Proxy(f"PYRO:Pyro.NameServer@localhost:{name_server}") as proxy:
        proxy.register("TaskManager.%1B[2Jevil", f"PYRO:x@{HOST}:1", safe=False)
        proxy.register("TaskManager.two%0Alines", f"PYRO:x@{HOST}:1", safe=False)
        proxy.register("TaskManager.", f"PYRO:x@{HOST}:1", safe=False)
        proxy.register("TaskManager.host", "PYRO:x@h\x1b[2Jx:1", safe=False)
        proxy.register("TaskManager.nul", "PYRO:x@h\0x:1", safe=False)
        proxy.register("TaskManager.long", f"PYRO:x@{'h' * 5000}:1", safe=False)
    for words in (["list"], ["list", "-v"], ["list", "--json"]):
        status, out, err = task_manager(*words)
        assert status == exit_codes.OK, err
        assert good in out
        assert err == ""
        assert all(c.isprintable() for c in out.replace("\n", "")), repr(out)
        assert "lines" not in out.splitlines(), out
    status, _, err = task_manager("show", "nul")
    assert status == exit_codes.NOT_FOUND
    assert len(err.splitlines()) == 1, err


ROGUE = """
import sys
import Pyro5.api, Pyro5.core, Pyro5.nameserver
import Pyro5.server


class Forged(Exception):
    pass

END = {"__class__": "builtins.SystemExit", "__exception__": True, "args": [0], "attributes": {}}
Pyro5.api.register_class_to_dict(Forged, lambda _: END)

what = {"lookup": eval(sys.argv[1]), "list": eval(sys.argv[2])}

@Pyro5.server.expose
class Names:
    def answer(self, name):
        value = what[name]
        if isinstance(value, BaseException):
            raise value
        return value
    def lookup(self, *args, **named):
        return self.answer("lookup")
    def list(self, *args, **named):
        return self.answer("list")
    def register(self, *args, **named):
        return self.answer("lookup")
    def remove(self, *args, **named):
        return 1

daemon = Pyro5.server.Daemon("localhost", 0)
daemon.register(Names(), "Pyro.NameServer")
print(daemon.locationStr.rpartition(":")[2], flush=True)
daemon.requestLoop()
"""

NONSENSE = {
    "a strange error": ("ValueError('x')", "ValueError('x')"),
    "the end of the program": ("Forged()", "Forged()"),
    "a proxy to elsewhere": (
        "Pyro5.api.Proxy('PYRO:x@localhost:1')",
        "Pyro5.api.Proxy('PYRO:x@localhost:1')",
    ),
    "numbers": ("1", "1"),
    "nothing": ("None", "None"),
    "lists": ("[1, 2]", "[1, 2]"),
    "wrong names": ("'PYRO:'", "{1: 2, 'TaskManager.a': 3, 'TaskManager.b': 'PYRO:b@h:99999999'}"),
    "no port": ("'PYRONAME:x'", "{'TaskManager.a': 'PYRO:a@./u:/tmp/socket'}"),
}


@contextlib.contextmanager
def rogue_name_server(nonsense: str, path: Path) -> Iterator[str]:
    """A name server that answers nonsense, in a process of its own. Its port."""
    path.write_text(textwrap.dedent(ROGUE))
    command = [sys.executable, str(path), *NONSENSE[nonsense]]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            yield server.stdout.readline().strip()
        finally:
            server.kill()


@pytest.mark.parametrize("nonsense", NONSENSE)
def test_a_name_server_that_answers_nonsense(nonsense: str, tmp_path: Path) -> None:
    """It may lead nowhere; it must not break, or end, those who ask."""
    with rogue_name_server(nonsense, tmp_path / "rogue.py") as port:
        env = {"PYRO_NS_HOST": "localhost", "PYRO_NS_PORT": port}
        status, out, err = task_manager("show", "somebody", **env)
        assert (status, out) == (exit_codes.NOT_FOUND, ""), err
        assert len(err.splitlines()) == 1, err
        status, out, err = task_manager("list", **env)
        assert status == exit_codes.OK, err
        assert err == ""
        status, out, err = task_manager("list", "-v", **env)
        assert status == exit_codes.OK, err
        assert err == ""


def test_a_master_lives_with_a_name_server_that_answers_nonsense(tmp_path: Path) -> None:
    """Entering a label is a service to others, and never the end of a job."""
    path = tmp_path / "master.py"
    path.write_text(
        "from masterworker import Master\n"
        "with Master('of its own', name_server=True) as master:\n"
        "    print(master.label)\n"
    )
    for nonsense in ("a strange error", "the end of the program"):
        with rogue_name_server(nonsense, tmp_path / "rogue.py") as port:
            done = subprocess.run(
                [sys.executable, str(path)], capture_output=True, text=True, timeout=HANG,
                env={**os.environ, "PYRO_NS_HOST": "localhost", "PYRO_NS_PORT": port}, check=False,
            )  # fmt: skip
        assert done.stdout == "of its own\n", done.stderr
        assert done.returncode == 0, done.stderr
        assert "Traceback" not in done.stderr
