"""Those who pretend to be a master: they learn nothing, and whoever asks is told why."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from masterworker.cli import exit_codes
from masterworker.errors import MasterNotFoundError, NotTrustedError, TransportError
from masterworker.security import certificates, ticket, tls
from masterworker.security.credentials import authority, user_credential
from masterworker.security.peer import Role
from masterworker.transport.address import Address
from masterworker.transport.pyro.connection import connect
from security.attackers import HOST, Records, Target, frame, of_time
from security.commands import task_manager
from security.handshakes import credential
from security.impostors import (
    PAST,
    SECRET,
    Impostor,
    learned_nothing,
    other_authority,
    trusts_anybody,
)
from support import HANG, wait_until

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Callable, Iterator
    from pathlib import Path


# -- C9: what is told to somebody who is no master ---------------------------------------------


IMPOSTORS: dict[str, tuple[Callable[[], ssl.SSLContext], str]] = {
    "another authority": (other_authority, "belongs to another user or has another authority.pem"),
    "another authority, and it asks for no proof": (
        lambda: trusts_anybody(credential(certificates.make_authority(PAST), Role.MASTER)),
        "belongs to another user or has another authority.pem",
    ),
    "a worker of ours": (
        lambda: trusts_anybody(user_credential(Role.WORKER)),
        "a worker's certificate cannot act as a master",
    ),
    "an observer of ours": (
        lambda: trusts_anybody(user_credential(Role.OBSERVER)),
        "a worker's certificate cannot act as a master",
    ),
    "a ticket of ours": (
        lambda: trusts_anybody(credential(authority(), Role.WORKER, "00c0ffee")),
        "a worker's certificate cannot act as a master",
    ),
    "a master of ours that has expired": (
        lambda: trusts_anybody(of_time(Role.MASTER, PAST)),
        "the certificate of the other side has expired",
    ),
}  # fmt: skip


def calls(connection: Any) -> None:
    connection.call("put", "data", "name", SECRET)


@pytest.mark.parametrize("who", IMPOSTORS)
def test_an_impostor_with_tls_learns_nothing(who: str) -> None:
    make, sentence = IMPOSTORS[who]
    with Impostor() as impostor:
        impostor.as_tls(make())
        with pytest.raises(NotTrustedError) as caught:
            calls(connect(Address(HOST, impostor.port), "demo"))
        assert sentence in str(caught.value)
        assert str(impostor.port) in str(caught.value)
        wait_until(lambda: impostor.heard and impostor.heard[0])
    learned_nothing(impostor)


ANSWERS: dict[str, bytes] = {
    "HTTP": b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "SSH": b"SSH-2.0-OpenSSH_9.6\r\n",
    "Pyro5": b"PYRO\x01\xf6\x02\x02" + b"\0" * 32,
    "zeros": b"\0" * 4096,
    "the greeting of a gate, without TLS": b"\0",
    "an alert": b"\x15\x03\x03\x00\x02\x02\x28",
    "its own hello": b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00",
}


@pytest.mark.parametrize("answer", ANSWERS)
def test_another_program_learns_nothing(answer: str) -> None:
    """A TCP server that records everything, and answers something else than a master."""

    def reply(impostor: Impostor, sock: socket.socket) -> None:
        impostor.heard[-1] += sock.recv(65536)
        sock.sendall(ANSWERS[answer])
        while data := sock.recv(65536):
            impostor.heard[-1] += data

    with Impostor(reply) as impostor:
        with pytest.raises(TransportError) as caught:
            calls(connect(Address(HOST, impostor.port), "demo", timeout=0.5))
        assert isinstance(caught.value, NotTrustedError | MasterNotFoundError)
    learned_nothing(impostor)


def test_a_server_that_stays_silent_is_given_up() -> None:
    with Impostor() as impostor, pytest.raises(TransportError):
        calls(connect(Address(HOST, impostor.port), "demo", timeout=0.3))
    learned_nothing(impostor)


def test_a_server_that_hangs_up_learns_nothing() -> None:
    def leave(impostor: Impostor, sock: socket.socket) -> None:
        impostor.heard[-1] += sock.recv(65536)

    with Impostor(leave) as impostor, pytest.raises(MasterNotFoundError, match="busy with strang"):
        calls(connect(Address(HOST, impostor.port), "demo"))
    learned_nothing(impostor)


def test_an_impostor_cannot_pass_the_conversation_on() -> None:
    """Somebody in between, with a worker's certificate of ours, towards a real master."""
    with Target() as target, Impostor() as impostor:
        impostor.as_tls(trusts_anybody(user_credential(Role.WORKER)))
        with pytest.raises(NotTrustedError):
            calls(connect(Address(HOST, impostor.port), target.label))
        assert target.opened == []


def test_the_master_of_another_run_is_told_by_the_ticket() -> None:
    """A worker with a ticket of one run is refused by the next one at the same place."""
    with Target() as target:
        stale = credential(authority(), Role.WORKER, "00c0ffee")
        with pytest.raises(NotTrustedError, match="an earlier run of this one"):
            target.dial(stale)
        assert target.opened == []


def test_a_long_refusal_of_a_gate_is_bounded() -> None:
    """Even a master of ours says no more than 255 bytes before we know each other."""
    with Impostor() as impostor:
        impostor.as_tls(tls.server_context(user_credential(Role.MASTER)), b"\xff" + b"n" * 5000)
        with pytest.raises(NotTrustedError) as caught:
            connect(Address(HOST, impostor.port), "demo")
    assert len(str(caught.value)) < 400


# -- C9, C11: a real worker --------------------------------------------------------------------


def test_a_real_worker_told_to_go_to_an_impostor() -> None:
    with Impostor() as impostor:
        impostor.as_tls(other_authority())
        status, out, err = task_manager("worker", "demo", "-m", f"{HOST}:{impostor.port}")
    assert status == exit_codes.NOT_TRUSTED
    assert out == ""
    assert len(err.splitlines()) == 1
    assert "no trust between us and" in err
    learned_nothing(impostor)


def test_a_real_worker_whose_ticket_leads_to_an_impostor(tmp_path: Path) -> None:
    """Its address is taken by somebody else by now."""
    with Impostor() as impostor:
        impostor.as_tls(other_authority())
        made = ticket.issue("demo", "00c0ffee", [(HOST, impostor.port)], valid=dt.timedelta(days=1))
        file = tmp_path / "ticket"
        file.touch(0o600)
        file.write_text(made.text())
        status, _, err = task_manager("worker", "--ticket", str(file))
    assert status == exit_codes.NOT_TRUSTED
    assert len(err.splitlines()) == 1
    assert made.text() not in err
    learned_nothing(impostor)


# -- the private socket ------------------------------------------------------------------------

AS_NOBODY = """
import os, socket, sys
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
"""
SERVER = (
    AS_NOBODY
    + """
server = socket.socket(socket.AF_UNIX)
server.bind(sys.argv[1])
os.chmod(sys.argv[1], 0o777)
server.listen()
print("ready", flush=True)
sock, _ = server.accept()
sock.settimeout(20)
print("heard", sock.recv(65536), flush=True)
"""
)
CLIENT = (
    AS_NOBODY
    + """
sock = socket.socket(socket.AF_UNIX)
sock.connect(sys.argv[1])
sock.settimeout(20)
try:
    sock.sendall(bytes.fromhex(sys.argv[2]))
    print("heard", sock.recv(65536), flush=True)
except ConnectionError:
    print("heard", b"", flush=True)
"""
)
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")


@pytest.fixture
def anybodys(tmp_path: Path) -> Iterator[Path]:
    """A folder in which anybody can do anything; its path is short, as those of sockets are."""
    import shutil
    import tempfile
    from pathlib import Path

    folder = Path(tempfile.mkdtemp(prefix="mw"))
    folder.chmod(0o777)
    yield folder
    shutil.rmtree(folder)


@needs_root
def test_a_socket_of_another_user_is_refused(anybodys: Path) -> None:
    path = str(anybodys / "s")
    command = [sys.executable, "-c", SERVER, path]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        assert server.stdout.readline() == "ready\n"
        with pytest.raises(NotTrustedError, match=r"belongs to another user \(id 65534\)"):
            calls(connect(Address(socket=path), "demo"))
        assert server.stdout.read() == "heard b''\n"


@needs_root
def test_another_user_at_the_private_socket_is_refused(anybodys: Path) -> None:
    """Even where the folder lets him through."""
    path = anybodys / "s"
    with Records() as log, Target(str(path)) as target:
        path.chmod(0o777)
        done = subprocess.run(
            [sys.executable, "-c", CLIENT, str(path), frame(b"\x90").hex()],
            capture_output=True, text=True, timeout=HANG, check=True,
        )  # fmt: skip
        assert done.stdout == "heard b''\n"
        assert target.opened == []
        wait_until(lambda: log.texts)
        assert log.texts == ["a connection of another user (id 65534) was refused"]
        with contextlib.closing(connect(Address(socket=str(path)), target.label)) as own:
            assert own.call("instance", "")[0]
