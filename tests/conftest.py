"""What all tests share: a private place for the job's files, and a watch for leftovers."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import Pyro5
import pytest
from hypothesis import HealthCheck, settings

from masterworker.launch import reaper
from support import HANG, lasting, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

# How long an example takes says nothing on a machine that has other things to do.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")

#: Folders whose tests measure or exhaust what others share.
ALONE = {"faults"}
#: Folders whose tests need no processes.
QUICK = {"unit", "model", "typing"}
#: A process that a test started has so long to end after the test (seconds).
LEAVE = 20.0


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark whole folders: what wants the machine for itself, and what `make quick` runs."""
    for item in items:
        folder = Path(item.path).parent.name
        if folder in ALONE:
            item.add_marker(pytest.mark.alone)
        if folder in QUICK or (folder == "contract" and _is_over_memory(item)):
            item.add_marker(pytest.mark.quick)


def _is_over_memory(item: pytest.Item) -> bool:
    call = getattr(item, "callspec", None)
    return call is not None and "memory" in call.params.values()


@pytest.fixture(scope="session", autouse=True)
def usual_interrupts() -> None:
    """A program in the background of a shell may ignore Ctrl-C, and with it what it starts."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def private_runtime() -> Iterator[None]:
    """Keep away from the user's own jobs: folders of our own, and no name server."""
    folder = tempfile.mkdtemp(prefix="mw")  # short: paths of Unix sockets are; mode 0700
    state = tempfile.mkdtemp(prefix="mw-state")
    credentials = tempfile.mkdtemp(prefix="mw-credentials")
    with socket.socket() as taken:  # bound and not listening: whoever connects is refused
        taken.bind(("127.0.0.1", 0))
        with (
            _setting("MASTERWORKER_RUNTIME", folder),
            _setting("MASTERWORKER_STATE", state),
            _setting("MASTERWORKER_CREDENTIALS", credentials),
            _name_server_at(taken.getsockname()[1]),
        ):
            yield
        wait_until(lambda: not _at_work_in(folder), LEAVE, "every process that was started ends")
    shutil.rmtree(folder, ignore_errors=True)
    shutil.rmtree(state, ignore_errors=True)
    shutil.rmtree(credentials, ignore_errors=True)


@pytest.fixture(autouse=True)
def no_process_left() -> Iterator[None]:
    """Fail a test that leaves a child process behind."""
    before = {child.pid for child in _children()}
    yield
    left: list[psutil.Process] = []

    def all_gone() -> bool:
        left[:] = [child for child in _children() if child.pid not in before]
        return not left

    try:
        wait_until(all_gone, LEAVE)
    except AssertionError:
        told = [_tell(child) for child in left]
        for child in left:
            with contextlib.suppress(psutil.Error):
                child.kill()
        pytest.fail(f"the test left processes behind: {told}", pytrace=False)


@pytest.fixture
def name_server() -> Iterator[int]:
    """A real Pyro name server, which everything in this test finds. Its port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "Pyro5.nameserver", "-n", "localhost", "-p", str(port)]
    with (
        _name_server_at(port),
        subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server,
    ):
        try:
            wait_until(lambda: _answers(port), what="the name server answers")
            yield port
        finally:
            server.terminate()
            try:
                server.wait(HANG)
            except subprocess.TimeoutExpired:
                server.kill()


@contextlib.contextmanager
def _name_server_at(port: int) -> Iterator[None]:
    before = Pyro5.config.NS_HOST, Pyro5.config.NS_PORT
    Pyro5.config.NS_HOST, Pyro5.config.NS_PORT = "localhost", port
    try:
        with _setting("PYRO_NS_HOST", "localhost"), _setting("PYRO_NS_PORT", str(port)):
            yield
    finally:
        Pyro5.config.NS_HOST, Pyro5.config.NS_PORT = before


@contextlib.contextmanager
def _setting(name: str, value: str) -> Iterator[None]:
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def _children() -> list[psutil.Process]:
    """Every process below this one that still runs."""
    found: list[psutil.Process] = []
    try:  # the common case, which the system answers at once: no child at all
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return found
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if child.status() != psutil.STATUS_ZOMBIE and not _is_of_a_lasting_job(child):
                found.append(child)
    return found


def _is_of_a_lasting_job(child: psutil.Process) -> bool:
    """A worker that came late, or the template or the reaper that came with it."""
    words = child.cmdline()
    helpers = reaper.PROGRAM in words or any("template.server" in word for word in words)
    return bool(lasting) and (not lasting.isdisjoint(words) or helpers)


def _at_work_in(folder: str) -> list[psutil.Process]:
    """Every process with this runtime folder, whoever started it; not this one."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            settings = process.environ() if process.pid != os.getpid() else {}
            if settings.get("MASTERWORKER_RUNTIME") == folder:
                found.append(process)
    return found


def _tell(child: psutil.Process) -> str:
    try:
        return f"{child.pid}: {' '.join(child.cmdline())[:200]}"
    except psutil.Error:
        return f"{child.pid}: gone meanwhile"


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
