"""Workers that are forks of a template: like programs of their own, and never worse off."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import locale
import logging
import os
import random
import resource
import signal
import subprocess
import sys
import threading
import warnings
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from integration import work
from masterworker import Master, forks
from masterworker.launch import starter
from masterworker.launch.template import machines, messages, supervised
from masterworker.launch.template.decision import reason_against
from masterworker.master import engine_of
from masterworker.surroundings.python import Interpreter
from support import HANG, wait_until, workers_of

if TYPE_CHECKING:
    from collections.abc import Iterator

needs_templates = pytest.mark.skipif(
    bool(reason_against(Interpreter(), dict(os.environ))),
    reason=reason_against(Interpreter(), dict(os.environ)) or "none",
)


#: Stands for the classes of libraries that are not imported.
_OURS = "masterworker.surroundings.settings."


def look(imports: tuple[str, ...]) -> dict[str, Any]:
    """Describe this process as far as it should not depend on how it was started."""
    for name in imports:  # NumPy has threads of its own then, and filters of warnings
        importlib.import_module(name)
    status = {}
    for line in Path("/proc/self/status").read_text().splitlines():
        name, _, value = line.partition(":")
        status[name] = value.strip()
    wanted = ("Umask", "Uid", "Gid", "Groups", "Threads", "SigBlk", "SigIgn", "SigCgt", "CapEff")
    wanted += ("NoNewPrivs", "Seccomp", "Cpus_allowed")
    descriptors = {}
    for each in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):  # of the listing itself
            descriptors[int(each.name)] = str(each.readlink()).partition(":")[0]
    me = psutil.Process()
    return {
        **{name: status.get(name) for name in wanted},
        "descriptors": sorted(descriptors.values()),
        "inheritable": [fd for fd in descriptors if fd > 2 and os.get_inheritable(fd)],
        "native id": threading.main_thread().native_id == os.getpid(),
        "threads": sorted(each.name for each in threading.enumerate()),
        "leads its group": os.getpgid(0) == os.getpid(),
        "session": os.getsid(0),
        "folder": str(Path.cwd()),
        "environment": dict(os.environ),
        "environment in C": sorted(me.environ()),
        "argv": len(sys.argv),
        "words shown": [word.partition("=")[0] for word in me.cmdline()[-6:-1]],
        "original words": [word.partition("=")[0] for word in sys.orig_argv[-6:-1]],
        "path": sys.path,
        "limits": [resource.getrlimit(each) for each in range(16)],
        "priority": os.getpriority(os.PRIO_PROCESS, 0),
        "oom": Path("/proc/self/oom_score_adj").read_text(),
        "handlers": {n: str(signal.getsignal(n)).partition(" at ")[0] for n in range(1, 32)},
        "collector": gc.isenabled(),
        "thresholds": gc.get_threshold(),
        "hash": hash("a text"),
        "launched by": os.getppid(),
        "streams": [
            (s.encoding, s.errors, s.line_buffering, s.isatty(), s.seekable(), s.fileno())
            for s in (sys.stdout, sys.stderr)
        ],
        "main": sorted(vars(sys.modules["__main__"])),
        "recursion": sys.getrecursionlimit(),
        "switch interval": sys.getswitchinterval(),
        "flags": str(sys.flags),
        "options": (sys.warnoptions, sys._xoptions),
        # In which order a library puts its own depends on when it is imported, and so does whether
        # another class stands for one of its.
        "warnings": sorted({s for each in warnings.filters if _OURS not in (s := str(each))}),
        "locale": locale.setlocale(locale.LC_ALL),
        "encodings": (sys.getfilesystemencoding(), locale.getpreferredencoding(do_setlocale=False)),
        "processors": sorted(os.sched_getaffinity(0)),
        "scheduling": (os.sched_getscheduler(0), os.sched_getparam(0).sched_priority),
        "terminal": os.getpgrp() == os.getpid(),
        "control groups": Path("/proc/self/cgroup").read_text(),
        "namespaces": sorted(str(each.readlink()) for each in Path("/proc/self/ns").iterdir()),
        "death signal": _death_signal(),
        "timers": [signal.getitimer(each) for each in (signal.ITIMER_REAL, signal.ITIMER_PROF)],
        "hooks": [sys.gettrace(), sys.getprofile(), threading.gettrace()],
        "program": (sys.executable, sys.prefix, sys.orig_argv[:3]),
    }


def _death_signal() -> int:
    number = ctypes.c_int()
    ctypes.CDLL(None).prctl(2, ctypes.byref(number))
    return number.value


@pytest.fixture
def master() -> Iterator[Master]:
    with Master() as found:
        yield found


@pytest.fixture(params=["template", "program"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """How workers are started."""
    if request.param == "program":
        monkeypatch.setenv("MASTERWORKER_TEMPLATE", "0")
    return str(request.param)


def template_of(master: Master) -> psutil.Process | None:
    """Return the template of a master, once there is one."""
    assert engine_of(master).execution.launcher is not None
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.Error):
            if "template.server" in " ".join(child.cmdline()):
                return child
    return None


@needs_templates
@pytest.mark.parametrize("preload", [(), ("numpy", "json")], ids=["plain", "preloaded"])
def test_a_worker_is_the_same_whichever_way_it_was_started(
    monkeypatch: pytest.MonkeyPatch, preload: tuple[str, ...]
) -> None:
    """Descriptors, threads, signals, environment, groups, limits, and what Python keeps."""
    monkeypatch.setenv("PYTHONHASHSEED", "7")
    monkeypatch.setattr(starter, "PATIENCE_SECONDS", HANG)
    with Master() as first:
        first.launch_workers(1, wait=True, preload=preload)
        assert template_of(first) is not None
        if preload:
            local = engine_of(first).execution.launcher.local_workers
            loaded = local._supervisor.starter._templates
            wait_until(lambda: any(each.is_ready for each in loaded._preloaded.all()), HANG)
            os.kill(first.submit(work.pid).result(HANG), signal.SIGKILL)
            assert first.submit(eval, "'json' in __import__('sys').modules").result(HANG)
        fork = first.submit(look, preload).result(HANG)
    monkeypatch.setenv("MASTERWORKER_TEMPLATE", "0")
    with Master() as second:
        second.launch_workers(1, wait=True)
        assert template_of(second) is None
        program = second.submit(look, preload).result(HANG)
    del program["environment"]["MASTERWORKER_TEMPLATE"]
    program["environment in C"].remove("MASTERWORKER_TEMPLATE")
    program["main"] = fork["main"] = sorted({*fork["main"]} - {"serve"})  # of its first line
    assert fork == program


def draw(_: int) -> tuple[int, float]:
    """The first number of this process, whatever is drawn later."""
    if not _drawn:
        _drawn.append(random.random())
    return os.getpid(), _drawn[0]


_drawn: list[float] = []


def test_workers_draw_numbers_of_their_own(master: Master, way: str) -> None:
    master.launch_workers(4, wait=True)
    futures = [master.submit(draw, n) for n in range(200)]
    drawn = dict(future.result(HANG) for future in futures)
    assert len(set(drawn.values())) == len(drawn)


def test_a_later_environment_is_that_of_later_workers(
    master: Master, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """Variables that are set and removed between two launches."""
    monkeypatch.setenv("AS_IT_WAS", "1")
    master.launch_workers(1, max_tasks=1, wait=True)
    monkeypatch.delenv("AS_IT_WAS")
    monkeypatch.setenv("AS_IT_IS", "2")
    master.launch_workers(1, max_tasks=1, wait=True)
    wanted = [("1", None), (None, "2")]
    futures = [master.submit(variables) for _ in range(16)]
    seen = {future.result(HANG) for future in futures}
    assert seen <= set(wanted)
    assert len(seen) == 2


def variables() -> tuple[str | None, str | None]:
    threading.Event().wait(0.01)
    return os.environ.get("AS_IT_WAS"), os.environ.get("AS_IT_IS")


@needs_templates
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP, signal.SIGTERM])
def test_a_template_that_ends_is_replaced_and_its_workers_go_on(
    master: Master, number: int
) -> None:
    master.launch_workers(2, wait=True, preload=())
    # No second template: it would serve instead, where this process has imported NumPy.
    before = {child.pid for child in workers_of(os.getpid())}
    template = wait_until(lambda: template_of(master), HANG)
    template.send_signal(number)
    master.launch_workers(2, wait=True, preload=())
    assert before < {child.pid for child in workers_of(os.getpid())}
    assert sorted(master.map(abs, range(100))) == list(range(100))
    if number != signal.SIGSTOP:
        wait_until(lambda: (new := template_of(master)) and new.pid != template.pid, HANG)
    else:
        wait_until(lambda: not template.is_running() or template.status() == "zombie", HANG)


@needs_templates
def test_a_template_ends_with_its_supervisor() -> None:
    """Also if that is killed."""
    program = (
        "import os, psutil, sys\n"
        "from masterworker import Master\n"
        "master = Master(); master.launch_workers(1, wait=True)\n"
        "print(*[c.pid for c in psutil.Process().children()], flush=True)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=HANG, check=False
    )
    pids = [int(word) for word in done.stdout.split()]
    assert len(pids) >= 2
    wait_until(lambda: not any(psutil.pid_exists(pid) for pid in pids), HANG)


def test_one_that_is_not_an_interpreter_is_tried_once(
    master: Master, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A template that cannot begin: said once, and workers are programs of their own."""
    caplog.set_level(logging.INFO, "masterworker.launch")
    monkeypatch.setattr(supervised, "_BEGIN", "raise SystemExit('{path:.0}{fd:.0f}{pid:.0f}')")
    master.launch_workers(2, wait=True)
    master.launch_workers(2, wait=True)
    assert caplog.text.count("each worker is started as a program of its own") == 1
    assert sorted(master.map(abs, range(100))) == list(range(100))


@needs_templates
def test_a_template_that_waits_for_a_processor_only_is_waited_for(
    master: Master, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a machine is that busy, programs of their own would make it worse."""
    monkeypatch.setattr(supervised, "ANSWER_SECONDS", 0.01)
    looks: list[bool] = []
    seems = lambda _: looks.append(True) or True  # noqa: E731
    monkeypatch.setattr(supervised.Template, "_is_starved", seems)
    master.launch_workers(1, wait=True)
    template = wait_until(lambda: template_of(master), HANG)
    template.send_signal(signal.SIGSTOP)
    looks.clear()
    master.launch_workers(1)
    wait_until(lambda: len(looks) > 2, HANG)
    template.send_signal(signal.SIGCONT)
    wait_until(lambda: master.number_of_workers == 2, HANG)
    assert template_of(master) == template


@needs_templates
def test_more_workers_than_requests_that_the_connection_holds(
    master: Master, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They wait for answers, and are not started as programs."""
    for name in ("ANSWER_SECONDS", "READY_SECONDS"):
        monkeypatch.setattr(supervised, name, HANG)
    monkeypatch.setattr(starter, "PATIENCE_SECONDS", HANG)
    monkeypatch.setenv("LONG", 20_000 * "x")
    master.launch_workers(1, wait=True)
    template = wait_until(lambda: template_of(master), HANG)
    template.send_signal(signal.SIGSTOP)
    master.launch_workers(19)
    template.send_signal(signal.SIGCONT)
    wait_until(lambda: master.number_of_workers == 20, HANG)
    local = engine_of(master).execution.launcher.local_workers._supervisor
    assert [slot.process._popen for slot in local.slots] == 20 * [None]


@needs_templates
def test_a_fork_has_its_program_from_the_template(
    master: Master, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is that of the moment, and no worker asks the master for it."""
    monkeypatch.setattr(starter, "PATIENCE_SECONDS", HANG)  # each worker waits for the template
    master.launch_workers(1)
    child = "__import__('masterworker.cli.child').cli.child"
    given = f"[each.encode() for each in {child}._given]"
    assert master.submit(eval, given).result(HANG) == [engine_of(master).program.for_workers()]
    sys.path.append("/folder/that/came/later")
    try:
        master.launch_workers(1)
        paths = f"'/folder/that/came/later' in {child}._given[0].surroundings.path"
        found = wait_until(lambda: set(master.map(eval, [paths] * 20)) & {True}, HANG)
        assert found == {True}
    finally:
        sys.path.remove("/folder/that/came/later")


def test_programs_travel_with_requests_as_far_as_they_are_short() -> None:
    command, variables = ["python", "-c", "x", "worker"], {"A": "1=2", "\udcff": ""}
    for size in (0, 1, messages.LONGEST_PROGRAM):
        program = bytes(range(256)) * 128
        data = messages.request(command, variables, program[:size])
        names = {os.fsencode(name): os.fsencode(value) for name, value in variables.items()}
        assert messages.read_request(data) == (command, names, program[:size])
    data = messages.request(command, variables, bytes(messages.LONGEST_PROGRAM + 1))
    assert messages.read_request(data)[2] == b""


@needs_templates
def test_a_template_that_never_answers_is_ended(
    master: Master, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes requests, and forks nothing: workers are programs of their own after the bound."""
    monkeypatch.setattr(supervised, "ANSWER_SECONDS", 0.2)
    mute = (
        "import socket, threading; link = socket.socket(fileno={fd}); link.send(b'ready')"
        "; threading.Event().wait() # {path} {pid}"
    )
    monkeypatch.setattr(supervised, "_BEGIN", mute)
    monkeypatch.setattr(supervised, "_PATH", "")
    master.launch_workers(2, wait=True)
    assert sorted(master.map(abs, range(100))) == list(range(100))


@needs_templates
def test_an_environment_that_is_too_large_for_a_message(
    master: Master, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(messages, "LONGEST", 100)
    master.launch_workers(2, wait=True)
    assert sorted(master.map(abs, range(100))) == list(range(100))


@needs_templates
def test_more_kinds_of_workers_than_templates(
    master: Master, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None is ended before it has become ready for the sake of another one."""
    began: list[object] = []
    begin = supervised.Template.__init__

    def count(self: supervised.Template, *given: Any) -> None:
        began.append(self)
        begin(self, *given)

    monkeypatch.setattr(supervised.Template, "__init__", count)
    for number in range(6):
        monkeypatch.syspath_prepend(f"/there/is/no/folder/{number}")
        master.launch_workers(1)
    wait_until(lambda: len(workers_of(os.getpid())) == 6, HANG)
    assert sorted(master.map(abs, range(100))) == list(range(100))
    assert len(began) <= 6


@needs_templates
def test_a_folder_in_which_nothing_may_be_looked_for(
    master: Master, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program may be in a folder that it cannot open: that of another user who started it."""
    real = os.open

    def refuse(path: Any, flags: int, *rest: Any, **more: Any) -> int:
        if path == ".":
            raise PermissionError(13, "Permission denied", path)
        return real(path, flags, *rest, **more)

    monkeypatch.setattr(os, "open", refuse)
    master.launch_workers(2, wait=True)
    assert sorted(master.map(abs, range(100))) == list(range(100))


def test_a_worker_is_no_fork_of_a_worker(master: Master, way: str) -> None:
    """Not in its initializer, either."""
    master.launch_workers(1, initializer=note_whether_fork, wait=True)
    assert master.submit(os.getenv, "IS_FORK").result(HANG) == "False"


def note_whether_fork() -> None:
    os.environ["IS_FORK"] = str(forks.mark.is_fork)


@needs_templates
def test_forks_that_do_not_become_workers(
    master: Master, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """After one that has failed a program of its own is tried."""
    monkeypatch.setattr(starter, "PATIENCE_SECONDS", HANG)
    begin = supervised._BEGIN.replace(" begin()", " raise SystemExit(1)")
    monkeypatch.setattr(supervised, "_BEGIN", begin)
    monkeypatch.setattr(starter, "PATIENCE_SECONDS", HANG)
    master.launch_workers(2)
    assert sorted(master.map(abs, range(100))) == list(range(100))
    assert "another one starts" in caplog.text


@pytest.mark.parametrize("disposition", [signal.SIG_IGN, signal.SIG_DFL])
def test_a_program_that_ignores_the_ends_of_its_children(
    master: Master, way: str, disposition: Any
) -> None:
    before = signal.signal(signal.SIGCHLD, disposition)
    try:
        master.launch_workers(1, wait=True)
        victim = master.submit(work.pid).result(HANG)
        os.kill(victim, signal.SIGKILL)
        assert master.submit(work.pid).result(HANG) != victim
    finally:
        signal.signal(signal.SIGCHLD, before)


@needs_templates
def test_what_processes_inherit_is_looked_at_each_time(master: Master) -> None:
    """A worker that is launched after the umask was changed has the new one."""
    master.launch_workers(1, wait=True)
    first = master.submit(work.pid).result(HANG)
    before = os.umask(0o123)
    try:
        os.kill(first, signal.SIGKILL)
        assert master.submit(eval, "__import__('os').umask(0o22)").result(HANG) == 0o123
    finally:
        os.umask(before)


@pytest.mark.parametrize(
    ("given", "variables", "why"),
    [
        (Interpreter(), {"MASTERWORKER_TEMPLATE": "0"}, "MASTERWORKER_TEMPLATE"),
        (Interpreter(executable="/other/python"), {}, "another interpreter"),
        (Interpreter(frozen=True), {}, "another interpreter"),
        (Interpreter(options=("-v",)), {}, "-v"),
        (Interpreter(options=("-Xtracemalloc=5",)), {}, "tracemalloc"),
        (Interpreter(), {"COVERAGE_PROCESS_START": "x"}, "traced"),
    ],
)
def test_why_there_is_no_template(given: Interpreter, variables: dict[str, str], why: str) -> None:
    assert why in (machines.reason_against() or reason_against(given, variables))


@pytest.mark.parametrize(
    ("version", "fits"),
    [("glibc 2.36", True), ("glibc 2.25", True), ("glibc 2.17", False), ("musl 1.2", False)]
    + [(odd, False) for odd in ("glibc", "glibc x.y", "", None)],
)
def test_which_c_libraries_fit(
    monkeypatch: pytest.MonkeyPatch, version: str | None, fits: bool
) -> None:
    """Before 2.25 `getpid` in a fork that the library has not made told the template's id."""
    monkeypatch.setattr(os, "confstr", lambda _: version)
    monkeypatch.setattr(os, "uname", lambda: SimpleNamespace(machine="x86_64"))
    monkeypatch.setattr(sys, "platform", "linux")
    assert (machines.reason_against() == "") == fits


def test_variables_of_pyro_are_read_anew(
    master: Master, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pyro reads them when it is imported, which templates do."""
    master.launch_workers(1, wait=True)
    monkeypatch.setenv("PYRO_MAX_RETRIES", "7")
    master.launch_workers(1, wait=True)
    futures = [master.submit(retries_of_pyro) for _ in range(40)]
    assert {future.result(HANG) for future in futures} == {0, 7}


def test_a_sitecustomize_may_read_any_variable(
    master: Master, way: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It is executed as an interpreter begins, so in the template and not in its forks."""
    text = "import os\nseen = os.environ.get('ANY_AT_ALL')\n"
    (tmp_path / "sitecustomize.py").write_text(text)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(sys.modules, "sitecustomize", ModuleType("sitecustomize"))
    master.launch_workers(1, wait=True)
    monkeypatch.setenv("ANY_AT_ALL", "1")
    master.launch_workers(1, wait=True)
    futures = [master.submit(what_the_site_has_seen) for _ in range(40)]
    assert "1" in {future.result(HANG) for future in futures}


def what_the_site_has_seen() -> str | None:
    threading.Event().wait(0.01)
    return getattr(sys.modules["sitecustomize"], "seen", None)


def retries_of_pyro() -> int:
    import Pyro5

    threading.Event().wait(0.01)
    return int(Pyro5.config.MAX_RETRIES)


@needs_templates
def test_an_import_path_that_is_too_long_for_a_template(
    master: Master, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path, *(f"/{n}{'x' * 200}" for n in range(700))])
    master.launch_workers(2, wait=True)
    assert template_of(master) is None
    assert sorted(master.map(abs, range(100))) == list(range(100))


def test_the_reason_can_be_read(master: Master, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MASTERWORKER_TEMPLATE", "0")
    master.launch_workers(1, wait=True)
    launcher = engine_of(master).execution.launcher
    assert launcher is not None
    assert "MASTERWORKER_TEMPLATE" in launcher.local_workers.why_no_template
