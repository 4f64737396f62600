"""Libraries that a template imports before it forks workers: harmless, or not there at all."""

from __future__ import annotations

import contextlib
import logging
import os
import subprocess
import sys
import sysconfig
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np  # noqa: F401  so workers may have it, too
import psutil
import pytest

from integration.loads import draw, has, threads, value_of
from integration.work import pid
from masterworker import Executor, Master, Pool, UsageError
from masterworker.launch.template.decision import reason_against
from masterworker.master import engine_of
from masterworker.surroundings import installed
from masterworker.surroundings.python import Interpreter
from support import HANG, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.skipif(
    bool(reason_against(Interpreter(), dict(os.environ))),
    reason=reason_against(Interpreter(), dict(os.environ)) or "none",
)


@pytest.fixture
def master() -> Iterator[Master]:
    with Master() as found:
        yield found


@pytest.fixture
def library(request: pytest.FixtureRequest) -> Iterator[Callable[[str], str]]:
    """Install a module with this text. Returns its name."""
    made: list[Path] = []

    def install(text: str) -> str:
        name = f"masterworker_tested_{os.getpid()}_{len(made)}"
        file = Path(sysconfig.get_paths()["purelib"], f"{name}.py")
        file.write_text(text)
        made.append(file)
        return name

    yield install
    for file in made:
        file.unlink()


def templates_of(master: Master) -> list[psutil.Process]:
    """Return those that have imported libraries, or are at it."""
    found = []
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.Error):
            if "loads=True" in " ".join(child.cmdline()):
                found.append(child)
    return found


def preloaded(master: Master) -> Any:
    launcher = engine_of(master).execution.launcher
    assert launcher is not None
    return launcher.local_workers._supervisor.starter._templates._preloaded  # type: ignore[union-attr]


def is_ready(master: Master) -> bool:
    return any(each.is_ready for each in preloaded(master).all())


def successor(master: Master, what: Any, *given: Any) -> Any:
    """End the only worker, and let the one that takes its place execute something."""
    old = master.submit(pid).result(HANG)
    psutil.Process(old).kill()
    return master.submit(what, *given).result(HANG)


def test_pandas_is_not_preloaded_beside_pyarrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """That starts a thread, and a template with two of them forks no worker."""
    monkeypatch.setitem(sys.modules, "pandas", ModuleType("pandas"))
    monkeypatch.delitem(sys.modules, "pyarrow", raising=False)
    assert "pandas" in installed.imported()
    monkeypatch.setitem(sys.modules, "pyarrow", ModuleType("pyarrow"))
    assert "pandas" not in installed.imported()
    assert "numpy" in installed.imported()


def test_what_the_program_has_imported_is_there_from_the_first_task_on(master: Master) -> None:
    """NumPy: this test has it."""
    master.launch_workers(1, wait=True)
    wait_until(lambda: is_ready(master), HANG)
    assert successor(master, has, "numpy")
    assert master.submit(eval, "__import__('numpy').arange(3).sum()").result(HANG) == 3


@pytest.mark.parametrize("given", [(), ["json"]])
def test_only_what_is_named(master: Master, given: Any) -> None:
    master.launch_workers(1, wait=True, preload=given)
    if given:
        wait_until(lambda: is_ready(master), HANG)
    assert not successor(master, has, "numpy")
    assert not templates_of(master) or given


@pytest.mark.parametrize(
    "given", ["numpy", 5, [3], ["a b"], [""], ["numpy."], [".numpy"]], ids=repr
)
def test_what_is_not_a_list_of_modules_is_refused(master: Master, given: Any) -> None:
    with pytest.raises(UsageError, match="preload"):
        master.launch_workers(1, preload=given)


def test_executors_and_pools_take_it() -> None:
    with Executor(1, preload=()) as executor:
        assert executor.submit(abs, -3).result(HANG) == 3
    with Pool(1, preload=["json"]) as pool:
        assert pool.apply(abs, (-3,)) == 3


def test_modules_of_the_user_are_not_preloaded(
    master: Master, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    """Neither one in a folder of the user's, nor one that is installed from there."""
    (tmp_path / "users_own.py").write_text("value = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    master.launch_workers(1, wait=True, preload=["users_own", "masterworker"])
    assert "users_own, masterworker" in caplog.text
    assert master.submit(pid).result(HANG)
    assert not templates_of(master)


def test_a_link_into_a_project_is_none_of_the_installation(tmp_path: Path) -> None:
    site = tmp_path / "site-packages"
    site.mkdir()
    (tmp_path / "own.py").touch()
    (site / "own.py").symlink_to(tmp_path / "own.py")
    (site / "other.py").touch()
    sys.path.append(str(site))
    try:
        assert not installed.is_installed(str(site / "own.py"))
        assert installed.is_installed(str(site / "other.py"))
    finally:
        sys.path.remove(str(site))


#: What a module may do when it is imported, and what is said of it; "": it is harmless.
BAD = {
    "fails": ("raise ValueError('not today')", "not today"),
    "is not there": ("import no_such_module_at_all", "no_such_module_at_all"),
    "exits": ("import sys; sys.exit(3)", "SystemExit"),
    "prints": ("print('loaded', flush=True)", ""),
    "starts a thread": (
        "import threading; threading.Thread(target=threading.Event().wait, daemon=True).start()",
        "2 threads",
    ),
    "has had a thread": ("import threading; t = threading.Thread(); t.start(); t.join()", ""),
    "forks": ("import os, signal\nif not os.fork(): signal.pause()", "a process"),
    "forks, and goes on twice": ("import os; os.fork()", "a process"),
    "starts a program": ("import subprocess; subprocess.Popen(['sleep', '600'])", "a process"),
    "leaves a file open": ("file = open('/dev/zero')", "files that are open"),
    "leaves a socket open": ("import socket; s = socket.socket()", "files that are open"),
    "closes a stream": ("import os; os.close(0)", "files that are open"),
    "reads stdin": ("assert not input()", "EOFError"),
    "handles a signal": ("import signal; signal.signal(10, print)", "signals"),
    "ignores a signal": ("import signal; signal.signal(10, signal.SIG_IGN)", "signals"),
    "blocks a signal": ("import signal; signal.pthread_sigmask(0, {10})", "signals"),
    "changes the folder": ("import os; os.chdir('/')", "the folder"),
    "changes a variable": ("import os; os.environ['IS_LOADED'] = '1'", "the environment"),
    "changes the path": ("import sys; sys.path.append('/nowhere')", "the import path"),
    "changes the umask": ("import os; os.umask(0o77)", "umask"),
    "changes a limit": ("import resource as r; r.setrlimit(r.RLIMIT_CORE, (0, 0))", "limits"),
    "is nice": ("import os; os.nice(1)", "limits"),
    "changes the locale": ("import locale; locale.setlocale(locale.LC_ALL, 'C.UTF-8')", "locale"),
    "replaces a stream": ("import sys, io; sys.stdout = io.StringIO()", "streams"),
    "keeps a generator": ("import random; r = random.Random()", "random generator"),
    "keeps NumPy's": ("import numpy.random as r; g = r.default_rng()", "random generator"),
    "kills its process": ("import os; os.kill(os.getpid(), 9)", "has ended"),
    "ends its process": ("import os; os._exit(0)", "has ended"),
    "kills its group": ("import os; os.killpg(0, 9)", "has ended"),
}


@pytest.mark.parametrize("what", BAD)
def test_an_import_that_does_more_than_define(
    master: Master, library: Callable[[str], str], caplog: pytest.LogCaptureFixture, what: str
) -> None:
    """Said once; workers import the module themselves, and are as they would be without."""
    caplog.set_level(logging.INFO, "masterworker.launch")
    text, expected = BAD[what]
    name = library(text + "\n")
    variables = dict(os.environ)
    master.launch_workers(1, wait=True, preload=[name])
    if expected:
        wait_until(lambda: preloaded(master).why_not, HANG)
        assert expected in preloaded(master).why_not
    else:
        wait_until(lambda: is_ready(master), HANG)
    assert successor(master, has, name) == (not expected)
    told = [each for each in caplog.records if "imports its libraries itself" in each.message]
    assert [each.levelno for each in told] == [logging.WARNING] * bool(expected)
    wait_until(lambda: len(templates_of(master)) == (not expected), HANG)
    assert dict(os.environ) == variables
    if what == "prints":
        wait_until(lambda: "writes: loaded" in caplog.text, HANG)


def test_no_worker_waits_for_an_import(
    master: Master, library: Callable[[str], str], tmp_path: Path
) -> None:
    """As long as it takes, another template forks the workers."""
    os.mkfifo(tmp_path / "door")
    name = library(f"open({str(tmp_path / 'door')!r}).close()\n")
    master.launch_workers(1, wait=True, preload=[name])
    wait_until(lambda: templates_of(master), HANG)
    for _ in range(3):
        assert not successor(master, has, name)
    assert not is_ready(master)
    (tmp_path / "door").write_text("")
    wait_until(lambda: is_ready(master), HANG)
    assert successor(master, has, name)


@pytest.mark.parametrize("when", ["meanwhile", "afterwards"])
def test_one_that_is_killed(
    master: Master, library: Callable[[str], str], tmp_path: Path, when: str
) -> None:
    os.mkfifo(tmp_path / "door")
    name = library(f"open({str(tmp_path / 'door')!r}).close()\n" * (when == "meanwhile"))
    master.launch_workers(1, wait=True, preload=[name])
    (template,) = wait_until(lambda: templates_of(master), HANG)
    if when == "afterwards":
        wait_until(lambda: is_ready(master), HANG)
        assert successor(master, has, name)
    template.kill()
    wait_until(lambda: not template.is_running(), HANG)
    successor(master, has, name)
    if when == "afterwards":
        wait_until(lambda: is_ready(master), HANG)
        assert successor(master, has, name)
    else:
        assert not successor(master, has, name)


def test_a_library_that_changes_is_imported_anew(
    master: Master, library: Callable[[str], str]
) -> None:
    """Another version is installed while the job runs."""
    name = library("value = 1\n")
    master.launch_workers(1, wait=True, preload=[name])
    wait_until(lambda: is_ready(master), HANG)
    assert successor(master, value_of, name) == (1, True)
    Path(sysconfig.get_paths()["purelib"], f"{name}.py").write_text("value = 'another'\n")
    assert successor(master, value_of, name) == ("another", False)


def test_a_library_that_the_program_has_loaded_again(
    master: Master, library: Callable[[str], str]
) -> None:
    import importlib

    name = library("value = 1\n")
    module = importlib.import_module(name)
    master.launch_workers(1, wait=True, preload=[name])
    wait_until(lambda: is_ready(master), HANG)
    importlib.reload(module)
    assert master.submit(has, name).result(HANG) is False
    del sys.modules[name]


THREADS = {
    "of the processors": {},
    "one": {"OMP_NUM_THREADS": "1"},
    "two": {"OMP_NUM_THREADS": "2"},
    "a list": {"OMP_NUM_THREADS": "2,1"},
    "more than there are": {"OPENBLAS_NUM_THREADS": "9"},
    "of OpenBLAS first": {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "2"},
    "of another library": {"MKL_NUM_THREADS": "1"},
    "nonsense": {"OMP_NUM_THREADS": "many"},
}


@pytest.mark.parametrize("which", THREADS)
def test_numerical_libraries_have_the_threads_that_they_would_choose(
    monkeypatch: pytest.MonkeyPatch, which: str
) -> None:
    for name in list(os.environ):
        if name.endswith("_NUM_THREADS"):
            monkeypatch.delenv(name)
    for name, value in THREADS[which].items():
        monkeypatch.setenv(name, value)
    seen = []
    for preload in (["numpy"], ()):
        with Master() as master:
            master.launch_workers(1, wait=True, preload=preload)
            if preload:
                wait_until(lambda: is_ready(master), HANG)
            seen.append(successor(master, threads))
    (loaded, *fork), (fresh, *program) = seen
    assert loaded
    assert not fresh
    assert fork == program


def test_each_worker_draws_numbers_of_its_own(master: Master) -> None:
    master.launch_workers(1, wait=True, preload=["numpy.random"])
    wait_until(lambda: is_ready(master), HANG)
    master.launch_workers(3, wait=True, preload=["numpy.random"])
    drawn = dict(each.result(HANG) for each in [master.submit(draw) for _ in range(60)])
    assert len(drawn) > 1
    assert len(set(drawn.values())) == len(drawn)


def test_workers_of_the_command_have_what_the_master_has(tmp_path: Path) -> None:
    """By default what its program has imported, and what is named."""
    with Master("preloading") as master:
        for options, expected in (([], True), (["--preload", ""], False)):
            command = [sys.executable, "-m", "masterworker.cli", "worker", "preloading", *options]
            with subprocess.Popen([*command, "--max-tasks", "1"]) as supervisor:
                try:
                    wait_until(
                        lambda wanted=expected: master.submit(has, "numpy").result(HANG) == wanted,
                        HANG,
                    )
                finally:
                    supervisor.terminate()
                    supervisor.wait(HANG)
