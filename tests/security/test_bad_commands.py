"""Every command of `task_manager` with something wrong: one line, a number, no traceback."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from masterworker import Master
from masterworker.cli import exit_codes
from masterworker.master import engine_of
from masterworker.transport import notice
from masterworker.transport.runtime import runtime_folder
from security.attackers import HOST, Bomb
from security.commands import (
    NOT_FOUND,
    NOT_TRUSTED,
    USAGE,
    Said,
    file_with,
    task_manager,
    terminal,
    wrong,
)
from security.impostors import Impostor
from support import HANG, unique_label

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

FOREVER = ["show", "worker", "slave", "explain", "ticket"]


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Iterator[Callable[..., Said]]:
    with terminal(capfd) as carry_out:
        yield carry_out


# -- wrong words -------------------------------------------------------------------------------

LABELED = ["show", "slave", "worker", "explain", "replay", "ticket"]
COMMAND_LINES: list[list[str]] = [
    [], ["no-such-command", "demo"], ["-x"], ["--no-such-option"], ["show", "demo", "--json=1"],
    *[[command] for command in LABELED],
    *[[command, "a", "1", "--port", "1"] for command in LABELED],
    ["show", "a", "b"], ["slave", "a", "b"], ["ticket", "a", "b"], ["list", "demo"],
    ["explain", "demo"], ["explain", "a", "b", "c"], ["replay", "a", "b", "c"],
    ["nameserver", "demo"],
    ["list", "-n", "2"], ["show", "demo", "-n", "2"], ["ticket", "demo", "-n", "2"],
    ["show", "demo", "--valid", "1d"], ["worker", "demo", "--observer"],
    ["show", "demo", "--address", "h"], ["show", "demo", "--host", "h"],
    ["list", "--ticket", "t"], ["ticket", "d", "--ticket", "t"], ["replay", "d", "--ticket", "t"],
    ["nameserver", "--ticket", "t"], ["show", "demo", "--pdb"], ["worker", "demo", "--break"],
    ["worker", "demo", "--max-tasks", "many"], ["worker", "demo", "--grace", "long"],
    ["nameserver", "--port", "http"], ["worker", "demo", "-n"], ["show", "demo", "-m"],
]  # fmt: skip


@pytest.mark.parametrize("words", COMMAND_LINES, ids=" ".join)
def test_a_wrong_command_line(run, words: list[str]) -> None:
    wrong(run(*words), USAGE)


LABELS = ["", " ", "a\nb", "a\x1b[2Jb", "a\x00b", "\u202eabc", "x" * 201, "x" * 100_000]


@pytest.mark.parametrize("command", LABELED)
@pytest.mark.parametrize("label", LABELS, ids=range(len(LABELS)))
def test_a_wrong_label(run, command: str, label: str) -> None:
    words = ["1"] if command == "explain" else []
    wrong(run(command, label, *words), USAGE)


@pytest.mark.parametrize("label", LABELS[3:], ids=range(len(LABELS[3:])))
def test_a_wrong_command_is_not_printed_as_it_is(run, label: str) -> None:
    wrong(run(label, "demo"), USAGE)


NUMBERS = [
    ["-n", "0"], ["-n", "-1"], ["-n", "many"], ["-n", "1.5"], ["-n", ""], ["-n", "9" * 5000],
    ["--max-tasks", "0"], ["--max-tasks", "-1"],
    *[[option, value] for option in ("--idle-timeout", "--lifetime", "--grace")
      for value in ("-1", "nan", "-inf")],
    ["--until", "soon"], ["--until", "25:00"], ["--until", "2026-02-30T10:00"], ["--until", ""],
    ["--memory-limit", "much"], ["--memory-limit", "-1"], ["--memory-limit", "0"],
    ["--memory-limit", "1e400G"], ["--memory-limit", "nan"],
    ["--initializer", "no_colon"], ["--initializer", ":f"], ["--initializer", "m:"],
]  # fmt: skip


@pytest.mark.parametrize("options", NUMBERS, ids=" ".join)
def test_wrong_options_of_a_worker(run, options: list[str]) -> None:
    wrong(run("worker", "demo", f"{options[0]}={options[1]}"), USAGE)


ADDRESSES = [
    "", " ", ":", ":7766", "host:", "host:0", "host:65536", "host:99999", "host:-1", "host:http",
    "ho st", "[::1", "::1", "a:b:c", "[]:1", "host:7766:7766",
]  # fmt: skip


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize("command", FOREVER)
def test_a_wrong_address(run, address: str, command: str) -> None:
    words = ["1"] if command == "explain" else []
    assert "is not an address" in wrong(run(command, "demo", *words, f"-m={address}"), USAGE)


#: Nobody is called like this, whatever the network: see RFC 6761 and RFC 5737.
NOBODY = ["nobody.invalid", "a..b", ".", "x" * 64, "x" * 300, "h\x00st", "\u20ac" * 70, "h\x1b[2J"]


@pytest.mark.parametrize("host", NOBODY, ids=range(len(NOBODY)))
def test_a_host_that_cannot_be(run, host: str) -> None:
    said = run("show", "demo", "-m", f"{host}:7766")
    wrong(said, said.status if said.status in {USAGE, NOT_FOUND} else NOT_FOUND)


# -- nobody there ------------------------------------------------------------------------------


@pytest.mark.parametrize("command", FOREVER)
def test_no_such_job(run, command: str) -> None:
    words = ["1"] if command == "explain" else []
    said = wrong(run(command, unique_label("nobody"), *words), NOT_FOUND)
    assert "no master with label" in said


@pytest.mark.parametrize("command", FOREVER)
def test_nobody_listens_there(run, command: str) -> None:
    words = ["1"] if command == "explain" else []
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        where = f"{HOST}:{taken.getsockname()[1]}"
        assert "no master answers at" in wrong(run(command, "d", *words, "-m", where), NOT_FOUND)


def test_another_label_is_there(run) -> None:
    with Master(unique_label("here")) as master:
        where = f"{HOST}:{engine_of(master).server.port}"
        said = wrong(run("show", "another", "-m", where), NOT_FOUND)
    assert "no task manager with label 'another' is at this address" in said


def test_another_program_is_there(run) -> None:
    with Impostor(lambda _, sock: sock.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as other:
        said = run("show", "demo", "-m", f"{HOST}:{other.port}")
        wrong(said, said.status if said.status in {NOT_FOUND, NOT_TRUSTED} else NOT_FOUND)


@pytest.mark.parametrize("options", [[], ["-v"], ["--json"]], ids=["plain", "-v", "--json"])
def test_an_empty_list_is_no_error(run, options: list[str]) -> None:
    said = run("list", *options)
    assert (said.status, said.err) == (exit_codes.OK, "")
    assert json.loads(said.out) == [] if options == ["--json"] else said.out.count("\n") == 1


@pytest.mark.parametrize("task", ["", "x", "-1", "1.5", "9" * 30, "9" * 5000, "\u0663", "1\n2"])
def test_a_wrong_task(run, task: str) -> None:
    said = run("--", "explain", "demo", task)
    wrong(said, said.status if said.status in {USAGE, NOT_FOUND} else USAGE)
    said = run("--", "replay", "demo", task)
    wrong(said, said.status if said.status in {USAGE, NOT_FOUND} else USAGE)


@pytest.mark.parametrize("label", ["../../etc", "/etc/passwd", "..", "a/b", "*"])
def test_a_label_is_no_path(run, label: str) -> None:
    for command in "replay", "show", "ticket":
        wrong(run(command, label), NOT_FOUND)


# -- keys, notices and name servers ------------------------------------------------------------


@pytest.mark.parametrize("what", ["world-readable", "damaged", "a folder that others can enter"])
def test_keys_that_cannot_be_used(
    run, what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "keys"
    folder.mkdir(mode=0o700)
    file_with(folder / "authority.pem", "nonsense", 0o644 if what == "world-readable" else 0o600)
    if what == "a folder that others can enter":
        folder.chmod(0o755)
    with Master(unique_label("listening")) as master:
        where = f"{HOST}:{engine_of(master).server.port}"
        monkeypatch.setenv("MASTERWORKER_CREDENTIALS", str(folder))
        for words in (
            ["show", "x", "-m", where],
            ["worker", "x", "-m", where],
            ["ticket", master.label],
        ):
            assert str(folder) in wrong(run(*words), NOT_TRUSTED)


NOTICES = {
    "nothing": b"", "noise": b"\xff\xfe", "a list": b"[]", "a pickle": None,
    "deep": b"[" * 100_000, "wrong types": {"port": "x", "host": None, "hosts": 5},
    "a port that cannot be": {"port": 10**30}, "no port": {"port": None},
    "an address that cannot be": {"host": "h\0", "socket": "", "port": 1},
}  # fmt: skip


@pytest.mark.parametrize("content", NOTICES)
def test_a_damaged_notice(run, content: str, tmp_path: Path) -> None:
    """Of a master that lives: its file was written by something else meanwhile."""
    bomb = Bomb(tmp_path / "went off")
    with Master(unique_label("noticed")) as master:
        file = runtime_folder() / f"{notice._stem(master.label)}.notice"
        given = NOTICES[content]
        if isinstance(given, dict):
            given = json.dumps(json.loads(file.read_bytes()) | given).encode()
        whole = file.read_bytes()
        try:
            file.write_bytes(given if given is not None else bomb.pickled())
            for command in "show", "ticket":
                said = run(command, master.label)
                if said.status:  # what is damaged may be what is not needed
                    wrong(said, said.status if said.status == USAGE else NOT_FOUND)
            said = run("list", "-v")
            assert (said.status, said.err) == (exit_codes.OK, "")
        finally:
            file.write_bytes(whole)
    assert not bomb.went_off


@pytest.mark.parametrize("port", ["-1", "65536", "99999999999999999999"])
def test_a_name_server_at_a_port_that_cannot_be(run, port: str) -> None:
    wrong(run("nameserver", f"--port={port}"), USAGE)


@pytest.mark.parametrize("host", ["nobody.invalid", "x" * 300, "a..b", "ho st"])
def test_a_name_server_at_an_address_that_cannot_be(run, host: str) -> None:
    wrong(run("nameserver", f"--host={host}", "--port=0"), USAGE)


# -- as programs -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (["nameserver", "--host", "192.0.2.1", "--port", "0"], USAGE),
        (["show", "nobody"], NOT_FOUND),
        (["worker", "nobody", "-n", "2"], NOT_FOUND),
        (["-w", "show", ""], USAGE),
        (["worker", "--ticket", "/nowhere"], NOT_TRUSTED),
        (["replay", "nobody"], NOT_FOUND),
    ],
    ids=lambda words: " ".join(words) if isinstance(words, list) else "",
)
def test_as_a_program(words: list[str], status: int) -> None:
    wrong(task_manager(*words), status)


def test_a_name_server_where_one_is() -> None:
    with socket.create_server((HOST, 0)) as taken:
        port = taken.getsockname()[1]
        wrong(task_manager("nameserver", "--host", HOST, f"--port={port}"), USAGE)


@pytest.mark.parametrize("stream", ["stdout", "stderr", "stdin"])
def test_with_a_closed_stream(stream: str) -> None:
    """As under cron, or in a script with >&-."""
    number = {"stdin": 0, "stdout": 1, "stderr": 2}[stream]
    done = subprocess.run(
        ["sh", "-c", f'exec "$0" -m masterworker.cli list {number}>&-', sys.executable],
        capture_output=True, text=True, timeout=HANG, check=False,
    )  # fmt: skip
    assert "Traceback" not in done.stderr, done.stderr
