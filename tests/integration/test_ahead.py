"""A template that begins before the master is there: taken where it fits, and else ended."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import psutil
import pytest

from integration.test_templates import needs_templates
from masterworker import Master, UsageError
from masterworker.launch import starter
from masterworker.launch.template import choice
from masterworker.launch.template.ahead import Ahead
from masterworker.launch.template.decision import VARIABLE
from masterworker.master.engine import MasterEngine
from support import HANG

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = needs_templates

NAME = "PYTHONWHATEVER"
#: What a fork of a template has loaded, and a program of its own has not.
IS_FORK = "'masterworker.launch.template.server' in __import__('sys').modules"
#: Prints how many children a program has.
COUNT = "import os; print(len(open(f'/proc/self/task/{os.getpid()}/children').read().split()))"


def printed(program: str) -> str:
    """Return what a program prints."""
    words = [sys.executable, "-c", program]
    done = subprocess.run(words, capture_output=True, text=True, timeout=HANG, check=True)
    return done.stdout.strip()


def begin() -> Ahead:
    """Begin a template, as a master does."""
    ahead = Ahead.begin()
    assert ahead is not None
    return ahead


def pid_of(ahead: Ahead) -> int:
    """Return the process id of a template that nothing has taken."""
    assert ahead._template is not None
    return ahead._template._process.pid


@pytest.mark.parametrize(
    "program",
    [
        "from masterworker import Executor, Master, Pool, run_job",
        "from masterworker import Master; master = Master()",
        "from masterworker import Master; master = Master(serial=True, workers=2)",
        "from masterworker import Master\nclass Mine(Master): pass\nmaster = Mine(workers=0)",
    ],
)
def test_programs_that_launch_no_workers_have_no_children(program: str) -> None:
    assert printed(f"{program}\n{COUNT}") == "0"


def test_a_program_without_workers_imports_no_part_of_a_master() -> None:
    """So a template can begin first, and the parts are imported meanwhile."""
    program = "import sys; from masterworker import Master; print(*sys.modules)"
    loaded = {*printed(program).split()} - {*printed("import sys; print(*sys.modules)").split()}
    assert "masterworker.master.master" in loaded
    parts = {"masterworker.master.engine", "masterworker.manager", "msgspec", "pickle", "pathlib"}
    assert not (parts | {"subprocess", "masterworker.launch.template.ahead"}) & loaded
    loaded = {*printed(f"import masterworker.launch.template.ahead; {program}").split()}
    assert not (parts | {"logging", "masterworker.surroundings.common"}) & loaded


def test_the_first_workers_are_forks_of_what_has_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "Template", _none)
    monkeypatch.setattr(starter, "PATIENCE_SECONDS", HANG)
    with Master(workers=2) as master:
        assert master.submit(eval, IS_FORK).result(HANG)


def test_without_it_they_would_be_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    """So the test above can fail."""
    monkeypatch.setattr(choice, "Template", _none)
    with Master() as master:
        master.launch_workers(1)
        assert not master.submit(eval, IS_FORK).result(HANG)


def _none(*_: object) -> None:
    raise OSError("no other template is started")


def _set_umask() -> None:
    os.umask(0o027)


def _lower_limit() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_MSGQUEUE)
    resource.setrlimit(resource.RLIMIT_MSGQUEUE, (soft - 1, hard))


def _ignore_signal() -> None:
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)


def _change_path() -> None:
    sys.path.insert(0, "/nowhere")


def _change_variable() -> None:
    os.environ[NAME] = "1"


def seen() -> object:
    """Return what the changes above are about, in whichever process."""
    umask = os.umask(0)
    os.umask(umask)
    limits = resource.getrlimit(resource.RLIMIT_MSGQUEUE)
    ignored = signal.getsignal(signal.SIGUSR2) == signal.SIG_IGN
    return umask, limits, ignored, "/nowhere" in sys.path, os.environ.get(NAME)


@pytest.fixture
def _restored(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delenv(NAME, raising=False)
    umask, handler = os.umask(0), signal.getsignal(signal.SIGUSR2)
    os.umask(umask)
    limits = resource.getrlimit(resource.RLIMIT_MSGQUEUE)
    yield
    os.environ.pop(NAME, None)
    os.umask(umask)
    signal.signal(signal.SIGUSR2, handler)
    resource.setrlimit(resource.RLIMIT_MSGQUEUE, limits)


@pytest.mark.parametrize(
    "change", [_set_umask, _lower_limit, _ignore_signal, _change_path, _change_variable]
)
@pytest.mark.usefixtures("_restored")
def test_what_changes_meanwhile_is_noticed(change: Callable[[], None]) -> None:
    """Workers are as if nothing had begun, and what has begun is not there any more."""
    ahead = begin()
    begun, engine = pid_of(ahead), MasterEngine(None, ahead=ahead)
    try:
        before = seen()
        change()
        assert seen() != before
        engine.execution.launch_workers(1, wait=False)
        assert engine.submission.submit(seen, (), {}).result(HANG) == seen()
        assert not psutil.pid_exists(begun)
    finally:
        engine.end.shutdown(HANG)


def test_one_that_is_killed_meanwhile_costs_no_worker() -> None:
    ahead = begin()
    engine = MasterEngine(None, ahead=ahead)
    try:
        os.kill(pid_of(ahead), signal.SIGKILL)
        engine.execution.launch_workers(1, wait=False)
        assert engine.submission.submit(abs, (-1,), {}).result(HANG) == 1
    finally:
        engine.end.shutdown(HANG)


def test_a_fork_neither_takes_nor_ends_what_its_parent_has_begun() -> None:
    ahead = begin()
    begun = pid_of(ahead)
    if not (child := os.fork()):
        taken = ahead.take(ahead._kind, lambda: None)
        ahead.end()
        os._exit(taken is not None)
    assert os.waitpid(child, 0)[1] == 0
    assert psutil.Process(begun).status() != psutil.STATUS_ZOMBIE
    ahead.end()
    assert not psutil.pid_exists(begun)


def test_a_master_that_is_not_made_leaves_none() -> None:
    here = {each.pid for each in psutil.Process().children()}
    with pytest.raises(UsageError):
        Master("", workers=1)
    with pytest.raises(UsageError):
        Master(workers=-1)
    with pytest.raises(UsageError):
        Master(workers=1, wrong=1)  # type: ignore[call-arg]
    assert {each.pid for each in psutil.Process().children()} <= here


def test_other_threads_begin_none() -> None:
    """The system would end it with the thread."""
    begun: list[Ahead | None] = []
    thread = threading.Thread(target=lambda: begun.append(Ahead.begin()))
    thread.start()
    thread.join(HANG)
    assert begun == [None]


def test_where_templates_are_switched_off_none_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "0")
    assert Ahead.begin() is None


def test_a_worker_begins_none() -> None:
    with Master(workers=1) as master:
        assert master.submit(_begins).result(HANG) is False


def _begins() -> bool:
    return Ahead.begin() is not None
