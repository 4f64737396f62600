"""The life of a master: labels, notices, workers that it starts, and its end."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from contract.nets import Background
from integration import work
from masterworker import LabelTakenError, Master, Terminated, UsageError, Worker
from masterworker.errors import MasterNotFoundError, TransportError
from masterworker.master import engine_of
from masterworker.transport import endings, notice
from masterworker.transport.discovery import labels, locate
from masterworker.transport.pyro.names import NameServer
from masterworker.transport.runtime import runtime_folder
from support import HANG, python_script, start_script, unique_label, wait_until, workers_of

if TYPE_CHECKING:
    from integration.crew import Crew


def test_workers_end_with_the_master() -> None:
    """Those that it started are gone when `with` is left."""
    with Master(workers=2) as master:
        pids = set(master.map(work.pid, range(50)))
        processes = [psutil.Process(pid) for pid in pids]
    assert not any(process.is_running() for process in processes)
    assert master.label not in labels()


def test_an_exception_in_the_block_ends_the_job() -> None:
    """Everything is cleared away, and the exception goes on."""
    pids: list[int] = []

    def block() -> None:
        with Master(workers=1) as master:
            pids.append(master.submit(work.pid).result(HANG))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        block()
    assert not psutil.pid_exists(pids[0])


def test_shutdown_twice_and_from_several_threads(crew: Crew) -> None:
    """The second one is nothing; what came before the end can still be seen."""
    crew.hire({"x": abs})
    ends = [Background(crew.master.shutdown) for _ in range(4)]
    for end in ends:
        end.result()
    crew.master.shutdown()
    crew.master.shutdown()
    for hired in crew.hired:
        hired.join()
    with pytest.raises(Terminated):
        crew.master.request_task("x", 1)


def test_shutdown_does_not_wait_for_ever_for_a_busy_worker(tmp_path: Path) -> None:
    """A worker that does not come to its end is ended."""
    master = Master(workers=1)
    future = master.submit(work.first_then_say, "begun", str(tmp_path))
    wait_until((tmp_path / "begun").exists, HANG)
    began = time.monotonic()

    master.shutdown(grace=0.3)

    assert time.monotonic() - began < 10.0
    with pytest.raises(Terminated):
        future.result()


def test_a_label_of_a_living_master_is_taken() -> None:
    """The error names the label and the process; once it has ended the label is free."""
    label = unique_label()
    with (
        Master(label),
        pytest.raises(LabelTakenError, match=rf"{label}.*taken.*process {os.getpid()}"),
    ):
        Master(label)
    with Master(label) as again:
        assert again.submit(len, "").task_id


def test_two_masters_that_start_at_the_same_time(tmp_path: Path) -> None:
    """One of many gets the label, the others are told."""
    label = unique_label()
    barrier = threading.Barrier(6)
    made: list[Master] = []

    def start() -> None:
        barrier.wait(HANG)
        made.append(Master(label))

    starts = [Background(start) for _ in range(6)]
    for each in starts:
        each.join()
    try:
        assert len(made) == 1
        assert [type(s.error) for s in starts if s.error] == [LabelTakenError] * 5
    finally:
        for master in made:
            master.shutdown()


@pytest.mark.parametrize("label", ["", "  ", "a\nb", "a\x00b", "x" * 201, 5, None])
def test_labels_that_cannot_be_used(label: object) -> None:
    """Refused at once, by masters and by workers."""
    if label is not None:
        with pytest.raises(UsageError, match="label"):
            Master(label)  # type: ignore[arg-type]
        with pytest.raises(UsageError, match="label"):
            locate(label)  # type: ignore[arg-type]


@pytest.mark.parametrize("label", ["ä€😀", "a/b", "../up", "x" * 200, "with space", "%41", "@:#?"])
def test_labels_that_can(label: str) -> None:
    """Any printable text; workers find it."""
    with Master(label) as master:
        worker = Worker(label, handlers={"x": abs})
        running = Background(worker.run)
        master.request_task("x", -1)
        assert master.retrieve_result(timeout=HANG)[2] == 1
        assert label in labels()
    running.result()


LONELY = """
    import sys, threading
    from masterworker import Master

    master = Master(sys.argv[1], workers=1)
    master.submit(len, "abc").result(30)
    print("ready", flush=True)
    while True:  # a signal in the instant before a wait is heeded after it
        threading.Event().wait(0.1)
"""


def test_the_notice_of_a_killed_master_is_taken_over_at_once(tmp_path: Path) -> None:
    """`kill -9` leaves a notice and a socket behind, and a worker, which ends by itself."""
    label = unique_label()
    script = start_script(python_script(tmp_path, "lonely.py", LONELY), label)
    try:
        script.says("ready")
        children = workers_of(script.pid)
        assert len(children) == 1
        assert locate(label).socket
        with pytest.raises(LabelTakenError, match=f"process {script.pid}"):
            Master(label)
    finally:
        script.kill()

    with pytest.raises(MasterNotFoundError):
        locate(label)
    began = time.monotonic()
    with Master(label) as master:
        assert time.monotonic() - began < 3.0
        running = Background(Worker(label, handlers={"x": abs}).run)
        master.request_task("x", -1)
        assert master.retrieve_result(timeout=HANG)[2] == 1
    running.result()
    wait_until(lambda: not children[0].is_running(), 15.0, "the worker of the killed one ends")


def test_a_terminated_master_clears_up(tmp_path: Path) -> None:
    """One that ends with an exception, or by Ctrl-C, leaves neither notice nor worker."""
    label = unique_label()
    script = start_script(python_script(tmp_path, "lonely.py", LONELY), label)
    try:
        script.says("ready")
        worker = psutil.Process(script.pid).children()[0]
        script.process.send_signal(signal.SIGINT)
        script.wait()
    finally:
        script.kill()
    wait_until(lambda: not worker.is_running(), 10.0, "its worker ends")
    folder = Path(os.environ["MASTERWORKER_RUNTIME"])
    stem = notice._stem(label)
    assert [p.name for p in folder.iterdir() if p.name.startswith(stem)] == []


def test_a_folder_that_others_can_enter_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither masters nor workers use it, and the error says what to do."""
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(0o755)
    monkeypatch.setenv("MASTERWORKER_RUNTIME", str(folder))
    with pytest.raises(TransportError, match=rf"chmod 700 {folder}"):
        Master("x")
    with pytest.raises(TransportError, match="chmod 700"):
        Worker("x")
    folder.chmod(0o700)
    Master("x").shutdown()
    assert [path.name for path in folder.iterdir()] == [endings.NAME]


def test_a_folder_that_is_none_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file, a link, or a place that cannot be made."""
    file, link, private = tmp_path / "file", tmp_path / "link", tmp_path / "private"
    file.write_text("")
    private.mkdir(0o700)
    link.symlink_to(private)
    for place in (file, link, file / "below"):
        monkeypatch.setenv("MASTERWORKER_RUNTIME", str(place))
        with pytest.raises(TransportError, match=str(tmp_path)):
            Master("x")


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"null", b'{"label": 1}', b"\xff" * 1000, b'{"format": 99}']
)
def test_a_damaged_notice_is_no_master(content: bytes) -> None:
    """One that nobody holds is taken over, whatever is in it."""
    label = unique_label()
    path = runtime_folder() / f"{notice._stem(label)}.notice"
    path.write_bytes(content)
    with pytest.raises(MasterNotFoundError):
        locate(label)
    assert label not in labels()
    with Master(label):
        assert locate(label).port


def test_a_worker_that_finds_no_master(crew: Crew) -> None:
    """The error says where was looked, and what to do."""
    with pytest.raises(MasterNotFoundError, match=r"no master with label.*start the master first"):
        Worker(unique_label())
    with pytest.raises(MasterNotFoundError, match="no master answers at"):
        Worker(crew.label, "127.0.0.1:1")
    with pytest.raises(UsageError, match="HOST:PORT"):
        Worker(crew.label, "a:b:c")


def test_an_explicit_address(crew: Crew) -> None:
    """Host and port, or the host alone where the notice knows the port."""
    assert engine_of(crew.master).server is not None
    port = engine_of(crew.master).server.port
    for where in (f"127.0.0.1:{port}", "localhost"):
        worker = Worker(crew.label, where, handlers={where: lambda: "here"})
        running = Background(worker.run)
        crew.master.request_task(where)
        assert crew.results(1, where) == ["here"]
        assert running.running


def test_a_busy_port_is_an_error(crew: Crew) -> None:
    """Unless another one may be tried."""
    assert engine_of(crew.master).server is not None
    port = engine_of(crew.master).server.port
    label = unique_label()
    with pytest.raises(TransportError, match=rf"cannot listen at 127.0.0.1, port {port}"):
        Master(label, ports=[port])
    with Master(label, ports=[port, 0]) as other:
        assert engine_of(other).server is not None
        assert engine_of(other).server.port != port


def test_with_a_name_server(name_server: int) -> None:
    """The label is entered, found, and taken out again."""
    label = unique_label()
    with Master(label, name_server=True) as master:
        assert engine_of(master).server is not None
        found = NameServer().lookup(label)
        assert found is not None
        assert found.port == engine_of(master).server.port
        assert label in NameServer().labels()
        with pytest.raises(LabelTakenError):
            Master(label, name_server=True)
    assert NameServer().lookup(label) is None
    assert NameServer().where == f"localhost:{name_server}"


def test_without_the_name_server_the_job_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    """It is said in one line, and the notice is enough."""
    label = unique_label()
    with Master(label, name_server=True) as master:
        running = Background(Worker(label, handlers={"x": abs}).run)
        master.request_task("x", -1)
        assert master.retrieve_result(timeout=HANG)[2] == 1
    running.result()
    assert any("no name server answers" in r.getMessage() for r in caplog.records)


def test_a_worker_that_cannot_start_is_reported(tmp_path: Path) -> None:
    """With `wait`, the error shows what the worker wrote to stderr."""
    from masterworker import program
    from masterworker.errors import WorkerStartError

    script = python_script(tmp_path, "broken.py", "raise RuntimeError('broken by intent')\n")
    with Master() as master:
        engine_of(master).program.store(program.of_file(script))
        with pytest.raises(WorkerStartError, match="broken by intent"):
            master.launch_workers(1, wait=True)
        with pytest.raises(UsageError, match="negative"):
            master.launch_workers(-1)
