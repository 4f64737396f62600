"""`task_manager show LABEL --live` in a real terminal, in a pipe, and in a dumb terminal."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import termios
import time
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import masterworker
from masterworker.machine import random_name
from masterworker.master.master import engine_of
from masterworker.recorder.shapes import Looked
from support import HANG, wait_until
from terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from masterworker.recorder.shapes import Snapshot

SHOW = [sys.executable, "-m", "masterworker.cli", "show"]


@pytest.fixture
def job() -> Iterator[masterworker.Master]:
    with masterworker.Master(f"seen-{random_name()[:8]}", workers=1) as master:
        futures = [master.submit(divmod, 7, n % 4) for n in range(40)]
        assert sum(future.exception(HANG) is None for future in futures) == 30
        yield master


def test_a_terminal(job: masterworker.Master) -> None:
    """It fits, follows the size, knows keys, and leaves the terminal as it was."""
    terminal = Terminal(*SHOW, job.label, "--live")
    try:
        first = f"{job.label}: 40 of 40 tasks done (100 %), 10 failed, 1 worker"
        shown = terminal.until(lambda text: "q quit" in text)
        assert shown.startswith(first)
        assert "ZeroDivisionError" in shown
        assert re.search(r"divmod +0 +0 +30 +10 ", shown), shown
        terminal.resize((132, 40))
        terminal.until(lambda text: "q quit" in text.splitlines()[39])
        os.write(terminal.master, b"4")
        terminal.until(lambda text: "ZeroDivision" in text and "HOST" not in text)
        os.write(terminal.master, b"0")
        terminal.until(lambda text: "HOST" in text)
        os.write(terminal.master, b"q")
        assert terminal.ends() == 0
        assert terminal.before == termios.tcgetattr(terminal.slave)
        after = terminal.output.rpartition(b"\x1b[?1049l")[2].decode()
        assert first in after
        assert "ZeroDivisionError" in after
        assert "\x1b[?25l" not in after, "the cursor is to be seen again"
    finally:
        terminal.close()


@pytest.mark.parametrize(("how", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_terminal_is_left_as_it_was(
    job: masterworker.Master, how: signal.Signals, status: int
) -> None:
    terminal = Terminal(*SHOW, job.label, "--live")
    try:
        terminal.until(lambda text: "q quit" in text)
        if how is signal.SIGINT:
            os.write(terminal.master, b"\x03")
        else:
            terminal.process.send_signal(how)
        assert terminal.ends() == status
        assert terminal.before == termios.tcgetattr(terminal.slave)
        assert b"\x1b[?1049l" in terminal.output
        assert b"\x1b[?25h" in terminal.output
        assert b"Traceback" not in terminal.output
    finally:
        terminal.close()


def test_it_ends_with_the_job(job: masterworker.Master) -> None:
    terminal = Terminal(*SHOW, job.label, "--live")
    try:
        terminal.until(lambda text: "q quit" in text)
        job.shutdown()
        assert terminal.ends() == 0
        text = terminal.output.rpartition(b"\x1b[?1049l")[2].decode()
        assert "40 of 40" in text
    finally:
        terminal.close()


@pytest.mark.parametrize("option", [["--live"], ["--every", "0.2"]])
def test_a_pipe_gets_plain_text(job: masterworker.Master, option: list[str]) -> None:
    """Lines, without a code for terminals; again and again until the job is over."""
    with subprocess.Popen([*SHOW, job.label, *option], stdout=subprocess.PIPE, text=True) as viewer:
        assert viewer.stdout is not None
        first = viewer.stdout.readline()
        assert re.match(rf"\d\d:\d\d:\d\d {job.label}: 40 of 40 tasks done", first)
        job.shutdown()
        rest = viewer.stdout.read()
        assert viewer.wait(HANG) == 0
    assert "\x1b" not in first + rest
    assert "ZeroDivisionError" in rest
    assert "is over" in rest or "has ended" in rest


def test_a_dumb_terminal_gets_plain_text(job: masterworker.Master) -> None:
    terminal = Terminal("env", "TERM=dumb", *SHOW, job.label, "--live")
    try:
        terminal.until(lambda text: "ZeroDivisionError" in text)
        assert b"\x1b" not in terminal.output
    finally:
        terminal.close()


def test_what_is_missing_is_named(job: masterworker.Master, tmp_path: Path) -> None:
    """Without rich, plain text is still there."""
    code = (
        "import sys; sys.modules['rich'] = None; from masterworker.cli.main import main;"
        f"sys.exit(main(['show', {job.label!r}, '--live']))"
    )
    terminal = Terminal(sys.executable, "-c", code)
    try:
        assert terminal.ends() == 2
        assert b"pip install 'masterworker[views]'" in terminal.output
        assert b"--every 5" in terminal.output
    finally:
        terminal.close()


def test_a_master_that_is_killed(tmp_path: Path) -> None:
    """Its last picture is shown, and that it is gone."""
    label = f"killed-{random_name()[:8]}"
    program = (
        "import masterworker, sys\n"
        f"with masterworker.Master({label!r}, workers=1) as master:\n"
        "    master.submit(abs, -1).result()\n"
        "    print('here', flush=True)\n    sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True
    ) as master:
        assert master.stdout is not None
        assert master.stdout.readline() == "here\n"
        with subprocess.Popen(
            [*SHOW, label, "--every", "0.2"], stdout=subprocess.PIPE, text=True
        ) as viewer:
            assert viewer.stdout is not None
            assert "1 of 1 tasks done" in viewer.stdout.readline()
            master.kill()
            rest = viewer.stdout.read()
            assert viewer.wait(HANG) == 4
    assert "the master is gone: this is how the job stood last" in rest


def test_nonsense_is_refused() -> None:
    for words in (["--every", "0"], ["--every", "x"], ["--every", "-1"], ["--every", "nan"]):
        done = subprocess.run(
            [*SHOW, "x", *words], capture_output=True, text=True, timeout=HANG, check=False
        )
        assert done.returncode == 2, done
        assert len(done.stderr.splitlines()) == 1
    done = subprocess.run(
        [*SHOW[:-1], "list", "--live"], capture_output=True, text=True, timeout=HANG, check=False
    )
    assert (done.returncode, done.stderr.count("is an option of show only")) == (2, 1)


def seen(master: masterworker.Master) -> Snapshot:
    looking = engine_of(master).manager.looking
    looking._made = float("-inf")  # not of a second ago
    return looking.look(Looked())


@pytest.mark.parametrize("left_early", [False, True])
def test_tasks_that_will_still_be_asked_for(left_early: bool) -> None:
    """Of a list their number is known; of an iterator only that there may be more."""
    with masterworker.Master(workers=1) as master:
        items = list(range(30_000))
        known = master.map(abs, items)
        next(known)
        found = seen(master)
        assert found.asked < len(items)
        assert found.forecast.left == len(items) - found.done
        assert not found.forecast.is_least
        if left_early:
            known.close()
        else:
            assert sum(1 for _ in known) == len(items) - 1
        found = seen(master)
        assert found.forecast.left == found.waiting + found.in_hand
        unknown = master.map(abs, iter(items))
        next(unknown)
        assert seen(master).forecast.is_least
        del unknown
        assert not seen(master).forecast.is_least


def test_a_note_of_the_program_is_shown(job: masterworker.Master) -> None:
    job.note("query 4 of 10\n\x1b[31m" + "x" * 1000)
    with subprocess.Popen(
        [*SHOW, job.label, "--every", "9"], stdout=subprocess.PIPE, text=True
    ) as viewer:
        assert viewer.stdout is not None
        viewer.stdout.readline()
        second = viewer.stdout.readline()
        viewer.kill()
    assert second.startswith("  query 4 of 10 \\x1b[31mxxx")
    assert len(second) < 230
    job.note("")
    assert seen(job).note == ""


@pytest.mark.parametrize("elsewhere", [False, True])
def test_supervisors_say_what_workers_use(elsewhere: bool) -> None:
    """Memory and processor time, of workers of the master's own process and of another one."""
    with masterworker.Master(f"used-{random_name()[:8]}", workers=int(not elsewhere)) as master:
        command = [*SHOW[:-1], "worker", master.label]
        with subprocess.Popen(command) if elsewhere else nullcontext():
            assert master.submit(sum, range(3_000_000)).result(HANG)

            def known() -> bool:
                (worker,) = seen(master).worker_list
                return worker.memory > 1e6 and 0 < worker.cpu < 100

            wait_until(known, HANG, "the worker's memory and processor time are known")
            (host,) = seen(master).hosts
            assert host.memory > 1e6
            master.shutdown()


def act(number: int, path: str) -> float:
    """Write down what is done, and for how long; fail or die now and then."""
    began = time.monotonic()
    while time.monotonic() - began < 0.01:
        pass
    marker = Path(path) / f"{number} has died"
    if number % 40 == 7 and not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    took = time.monotonic() - began
    (Path(path) / f"{number}").write_text(str(took))
    if number % 10 == 3:
        raise ValueError(f"{number} is not wanted")
    return took


def test_figures_are_those_of_the_log(tmp_path: Path) -> None:
    """After failures, deaths and cancelled tasks, views say what the tasks have written down."""
    with masterworker.Master(workers=2) as master:
        futures = [master.submit(act, n, str(tmp_path)) for n in range(120)]
        late = [master.submit(act, n, str(tmp_path)) for n in range(1000, 1040)]
        cancelled = sum(future.cancel() for future in late[20:])
        for future in [*futures, *late[:20]]:
            future.exception(HANG)
        for future in late[20:]:
            if not future.cancelled():
                future.exception(HANG)
        found = seen(master)
        (tag,) = found.tags
    done = sum(f.exception() is None for f in [*futures, *late] if not f.cancelled())
    failed = sum(f.exception() is not None for f in [*futures, *late] if not f.cancelled())
    counts = (160, done, failed, cancelled)
    assert (found.asked, found.done, found.failed, found.cancelled) == counts
    assert (tag.asked, tag.done, tag.failed, tag.cancelled) == counts
    assert (found.waiting, found.in_hand, tag.waiting, tag.in_hand) == (0, 0, 0, 0)
    assert found.lost == len([*tmp_path.glob("* has died")]) == 4
    assert sum(kind.number for kind in found.failures) == failed
    (kind,) = found.failures
    assert (kind.type, kind.text.partition(" ")[2]) == ("ValueError", "is not wanted")
    assert sum(event.number for event in found.events if event.kind == "lost") == 4
    assert (
        sum(host.tasks for host in found.hosts) == tag.executed == sum(dict(tag.histogram).values())
    )
    written = [float(p.read_text()) for p in tmp_path.iterdir() if p.name.isdecimal()]
    # What had been executed by a worker that died, and was not reported, is in no sum.
    assert tag.executed <= len(written)
    assert tag.busy >= 0.98 * tag.executed * min(written)
