"""Keys and tickets are where they have to be, and nowhere else: all of a real job is searched."""

from __future__ import annotations

import base64
import contextlib
import datetime as dt
import logging
import os
import stat
import subprocess
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from masterworker import Master
from masterworker.errors import MasterworkerError
from masterworker.launch.spec import Spec
from masterworker.launch.worker_limits import WorkerLimits
from masterworker.master import engine_of
from masterworker.security import credentials, pem, ticket, tls
from masterworker.security.credentials import user_credential
from masterworker.security.peer import Role
from masterworker.transport import notice
from masterworker.transport.runtime import runtime_folder
from security.attackers import HOST, Records
from support import HANG, start_script, unique_label, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support import Script

#: Pieces of a ticket that are long enough to be none by chance (characters).
PIECE = 48


class Secrets:
    """Knows the forms in which secrets could be seen."""

    def __init__(self) -> None:
        self._forms: dict[bytes, str] = {}

    def add_key(self, name: str, text: bytes) -> None:
        """A private key: its PEM, the lines of it, its DER, the number itself, in usual codings."""
        der, _ = pem.split(text)
        number = der[36:68]  # of PKCS #8 with a key of 256 bits
        for line in text.split(b"-----END PRIVATE KEY")[0].splitlines():
            if len(line) > 20 and b"BEGIN" not in line and b" " not in line:
                self._forms[line] = f"a line of the PEM of {name}"
        for kind, raw in (("DER", der), ("number", number)):
            for coded in (
                raw,
                raw.hex().encode(),
                base64.b64encode(raw).rstrip(b"="),
                base64.urlsafe_b64encode(raw).rstrip(b"="),
                repr(raw)[2:-1].encode(),
            ):
                self._forms[coded] = f"{kind} of {name}"  # fmt: skip

    def add_ticket(self, name: str, text: str) -> None:
        """A ticket: its key, and the pieces of its text in which that is."""
        self.add_key(name, ticket.parse(text).credential.chain)
        for start in range(100, 200, PIECE):
            self._forms[text[start : start + PIECE].encode()] = f"characters {start}... of {name}"

    def seen_in(self, data: bytes | str) -> list[str]:
        given = data.encode(errors="surrogateescape") if isinstance(data, str) else data
        return sorted({name for form, name in self._forms.items() if form in given})


def user_secrets() -> Secrets:
    """The user's own keys."""
    found = Secrets()
    found.add_key("authority", credentials.authority())
    for role in Role:
        found.add_key(f"{role}.pem", user_credential(role).chain)
    return found


def private_file(path: Path, text: str) -> Path:
    path.touch(0o600)
    path.write_text(text)
    return path


def test_the_search_would_find_them(tmp_path: Path) -> None:
    """Each form, in each of the ways in which it could get out."""
    known = user_secrets()
    made = ticket.issue("demo", "00c0ffee", [(HOST, 1)], valid=dt.timedelta(days=1))
    known.add_ticket("ticket", made.text())
    der, _ = pem.split(made.credential.chain)
    for shown in (
        made.text(), made.text()[:400], made.credential.chain, repr(der),
        der[36:68].hex(), base64.b64encode(der), repr({"key": made.credential.chain}),
        user_credential(Role.WORKER).chain, credentials.authority(),
    ):  # fmt: skip
        assert known.seen_in(shown)
    assert not known.seen_in(repr(made))
    assert not known.seen_in(made.credential.authority)  # a certificate is no secret


# -- a real job --------------------------------------------------------------------------------


class Job:
    """A master here, and workers that came by a ticket: by file, and by standard input."""

    def __init__(self, folder: Path) -> None:
        self.master = Master(unique_label("secret job"))
        self.secrets = user_secrets()
        text = self.master.ticket()
        self.secrets.add_ticket("ticket", text)
        self.observer = self.master.ticket(role="observer")
        self.secrets.add_ticket("observer's ticket", self.observer)
        path = private_file(folder / "ticket", text)
        self.observers = private_file(folder / "observer", self.observer)
        words = [sys.executable, "-m", "masterworker.cli", "-v", "worker", "--ticket"]
        self.out = folder / "out"
        environment = {**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONDEVMODE": ""}
        with self.out.open("wb") as out:
            self.programs = [
                subprocess.Popen(
                    [*words, str(path), "-n", "2"], stdin=subprocess.DEVNULL, stdout=out,
                    stderr=out, env=environment,
                ),
                subprocess.Popen(
                    [*words, "-"], stdin=subprocess.PIPE, stdout=out, stderr=out, env=environment
                ),
            ]  # fmt: skip
        stdin = self.programs[1].stdin
        assert stdin is not None
        stdin.write(text.encode() + b"\n")
        stdin.close()

    def processes(self) -> list[psutil.Process]:
        """The master, all who came by a ticket, and theirs."""
        found = [psutil.Process()]
        for program in self.programs:
            process = psutil.Process(program.pid)
            found += [process, *process.children(recursive=True)]
        return found

    def close(self) -> None:
        self.master.shutdown(5.0)
        for program in self.programs:
            try:
                program.wait(HANG)
            finally:
                program.kill()


@pytest.fixture(scope="module")
def log() -> Iterator[Records]:
    """All that is logged here, at the level at which most is."""
    ours = logging.getLogger("masterworker")
    before = ours.level
    ours.setLevel(logging.DEBUG)
    with Records() as found:
        yield found
    ours.setLevel(before)


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory, log: Records) -> Iterator[Job]:
    made = Job(tmp_path_factory.mktemp("secrets"))
    try:
        try:
            wait_until(lambda: made.master.number_of_workers == 3, what="three workers have come")
        except AssertionError as error:
            error.add_note(made.out.read_text())
            raise
        yield made
    finally:
        made.close()


def test_command_lines_and_environments(job: Job) -> None:
    processes = job.processes()
    assert len(processes) >= 6  # the master, two supervisors, three workers
    for process in processes:
        for what in "cmdline", "environ":
            assert not job.secrets.seen_in(Path(f"/proc/{process.pid}/{what}").read_bytes())
    told = [" ".join(process.cmdline()) for process in processes]
    assert sum("--ticket-fd=" in line for line in told) == 3, told


def test_no_process_keeps_a_readable_copy_open(job: Job) -> None:
    """What a worker reads its ticket from is closed, so that nothing it starts inherits it."""
    looked_at = 0
    for process in job.processes():
        for link in Path(f"/proc/{process.pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                if stat.S_ISREG(link.stat().st_mode) and link.stat().st_size < 1 << 20:
                    looked_at += 1
                    assert not job.secrets.seen_in(link.read_bytes()), link.readlink()
    assert looked_at > 3


def test_what_a_handler_sees_of_its_surroundings(job: Job) -> None:
    looks = [
        "dict(__import__('os').environ)",
        "open('/proc/self/environ').read()",
        "__import__('sys').argv",
        "__import__('subprocess').getoutput('env; ps -efww; ls -l /proc/self/fd')",
    ]
    for look in looks:
        seen = str(job.master.submit(eval, look).result(HANG))
        assert len(seen) > 5
        assert not job.secrets.seen_in(seen), look
    environment = job.master.submit(eval, looks[0]).result(HANG)
    assert "mw1." not in str(environment)


def commands(job: Job, task: str) -> list[list[str]]:
    label, observers = job.master.label, str(job.observers)
    where = f"{HOST}:{engine_of(job.master).server.port}"
    return [
        ["show", label, "-v"], ["show", label, "--json"], ["list", "-v"], ["list", "--json"],
        ["explain", label, task], ["-v", "replay", label], ["-v", "replay", label, task],
        ["show", "-v", "--ticket", observers], ["-v", "explain", task, "--ticket", observers],
        ["show", label, "-v", "-m", where], ["worker", "--ticket", observers],
        ["show", "another", "--ticket", observers], ["--help"],
    ]  # fmt: skip


def test_whatever_the_commands_print(job: Job) -> None:
    future = job.master.submit(eval, "1 / 0")
    with pytest.raises(ZeroDivisionError):
        future.result(HANG)
    said = 0
    for words in commands(job, str(future.task_id)):
        done = subprocess.run(
            [sys.executable, "-m", "masterworker.cli", *words], capture_output=True, timeout=HANG,
            stdin=subprocess.DEVNULL, check=False,
        )  # fmt: skip
        said += len(done.stdout)
        assert done.stdout + done.stderr, words
        assert not job.secrets.seen_in(done.stdout + done.stderr), words
    assert said > 1000


def test_whatever_was_logged_and_printed(job: Job, log: Records) -> None:
    """By the master at DEBUG, by supervisors and workers with -v."""
    assert log.texts
    assert not job.secrets.seen_in("\n".join(log.texts))
    assert b"3 workers" in job.out.read_bytes() or b"2 workers" in job.out.read_bytes()
    assert not job.secrets.seen_in(job.out.read_bytes())


def test_whatever_lies_in_files(job: Job) -> None:
    """Notices, sockets, saved failures."""
    files = 0
    for folder in (runtime_folder(), Path(os.environ["MASTERWORKER_STATE"])):
        for path in folder.rglob("*"):
            if path.is_file():
                files += 1
                assert not job.secrets.seen_in(path.read_bytes()), path
    assert files >= 1
    assert "mw1." not in (runtime_folder() / f"{notice._stem(job.master.label)}.notice").read_text()


def test_however_things_are_shown(job: Job) -> None:
    given = ticket.parse(job.observer)
    spec = Spec(
        "label", None, {}, WorkerLimits(), None, False, ticket=given
    )  # fmt: skip
    server = engine_of(job.master).server
    things: list[object] = [
        job.master, server, server._credentials, server.gate, given, given.credential, spec,
        engine_of(job.master).manager, server._connections, tls.client_context(given.credential),
        {"nested": [given, given.credential]}, server._credentials.context(),
    ]  # fmt: skip
    for thing in things:
        for shown in (repr(thing), str(thing), f"{thing!r:>20}", f"{thing}"):
            assert not job.secrets.seen_in(shown)
        with contextlib.suppress(TypeError):
            assert not job.secrets.seen_in(repr(vars(thing)))


def test_errors_about_them_do_not_repeat_them(job: Job, tmp_path: Path) -> None:
    text = job.observer
    attempts = [
        lambda: ticket.parse(text[:-1]),
        lambda: ticket.parse(text + "x"),
        lambda: ticket.parse("x" + text),
        lambda: ticket.read(text),
        lambda: ticket.read(str(tmp_path / "missing")),
        lambda: ticket.parse(text).require_valid(1e11),
        lambda: __import__("pickle").dumps(ticket.parse(text)),
        lambda: pem.split(ticket.parse(text).credential.chain[:-100]),
        lambda: tls.client_context(
            credentials.Credential(Role.WORKER, "", credentials.authority()[:-300], b"")
        ),
    ]
    for attempt in attempts:
        with pytest.raises((MasterworkerError, TypeError)) as caught:
            attempt()
        told = "".join(traceback.format_exception(caught.value))
        assert not job.secrets.seen_in(told)
        assert not job.secrets.seen_in(repr(caught.value.args))


# -- files -------------------------------------------------------------------------------------


def test_everything_in_the_folder_of_keys_is_private(job: Job) -> None:
    folder = credentials.credentials_folder()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    found = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert {"authority.pem", "master.pem", "worker.pem"} <= found.keys()
    assert set(found.values()) == {0o600}, found
    assert job.master.label


def test_a_ticket_in_a_file_is_told_to_nobody_else(job: Job, tmp_path: Path) -> None:
    """Of this very ticket nothing is on the terminal."""
    path = tmp_path / "ticket"
    done = subprocess.run(
        [sys.executable, "-m", "masterworker.cli", "-v", "ticket", job.master.label,
         "--out", str(path)],
        capture_output=True, timeout=HANG, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    known = Secrets()
    known.add_ticket("this ticket", path.read_text())
    assert known.seen_in(path.read_bytes())
    assert not known.seen_in(done.stdout + done.stderr)


def test_a_classic_program_shows_nothing_either(tmp_path: Path) -> None:
    """The classic interface with its debugging on, and a slave that comes by a ticket."""
    label = unique_label("classic")
    source = f"""
        import sys, os, threading
        from Scientific.DistributedComputing import MasterSlave
        MasterSlave.debug = True
        import logging
        logging.basicConfig(level=logging.DEBUG)

        class Master(MasterSlave.MasterProcess):
            def run(self):
                print("ready", flush=True)
                self.requestTask("look")
                print(self.retrieveResult("look"), flush=True)

        class Slave(MasterSlave.SlaveProcess):
            def do_look(self):
                return dict(os.environ), sys.argv

        MasterSlave.runJob({label!r}, Master, Slave)
        """
    from support import python_script

    script: Script = start_script(python_script(tmp_path, "classic.py", source))
    try:
        script.says("ready")
        words = [sys.executable, "-m", "masterworker.cli"]
        text = subprocess.run(
            [*words, "ticket", label], capture_output=True, text=True, timeout=HANG, check=True
        ).stdout.strip()
        known = user_secrets()
        known.add_ticket("ticket", text)
        path = private_file(tmp_path / "ticket", text)
        slave = subprocess.run(
            [*words, "-v", "slave", "--ticket", str(path)], capture_output=True, text=True,
            timeout=HANG, check=False, cwd=tmp_path,
        )  # fmt: skip
        assert script.wait() == 0, script.told
        assert "MASTERWORKER" in script.out
        for said in (script.out, script.err, slave.stdout, slave.stderr):
            assert not known.seen_in(said)
    finally:
        script.kill()
