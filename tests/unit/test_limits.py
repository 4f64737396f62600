"""What a process may use, read from a system that is made up, and how such things are written."""

from __future__ import annotations

import os
import resource
from typing import TYPE_CHECKING

import pytest

from masterworker.errors import UsageError
from masterworker.launch import checks, exits, health, variables
from masterworker.launch.resources import OOM_LOOK, OomWatch, memory_limit, oom_kills, usable_cpus

if TYPE_CHECKING:
    from pathlib import Path

#: Version 2, seen from inside a container that has control groups of its own.
V2_MOUNT = "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup rw\n"
#: Version 1, seen from a container that has not: its own group is the top of what is mounted.
V1_MOUNT = (
    "34 31 0:30 /docker/abc /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
    "35 31 0:31 /docker/abc /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
)
V1_GROUPS = "4:memory:/docker/abc/job\n3:cpu,cpuacct:/docker/abc/job\n0::/\n"


def system(root: Path, **files: str) -> Path:
    """Make up a system; `/` is written as two underscores, `.` as one with a capital after it."""
    for name, text in files.items():
        path = root / name.replace("__", "/").replace("_DOT_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.fixture
def sixteen(monkeypatch: pytest.MonkeyPatch) -> None:
    """This process may run on 16 processors."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(16)), raising=False)


@pytest.mark.usefixtures("sixteen")
@pytest.mark.parametrize(
    ("own", "above", "cpus"),
    [
        ("max 100000", "max 100000", 16),
        ("250000 100000", "max 100000", 3),
        ("max 100000", "150000 100000", 2),
        ("1000 100000", "max 100000", 1),
        ("nonsense", "", 16),
        ("", "0 0", 16),
    ],
)
def test_cpus_of_version_2(tmp_path: Path, own: str, above: str, cpus: int) -> None:
    """The least of affinity and of all groups above, rounded up, at least one."""
    if above == "0 0":
        above = "max 0"
    system(
        tmp_path,
        proc__self__cgroup="0::/jobs/mine\n",
        proc__self__mountinfo=V2_MOUNT,
        sys__fs__cgroup__jobs__mine__cpu_DOT_max=own,
        sys__fs__cgroup__jobs__cpu_DOT_max=above,
    )
    assert usable_cpus(tmp_path) == cpus


@pytest.mark.usefixtures("sixteen")
@pytest.mark.parametrize(("quota", "cpus"), [("-1", 16), ("400000", 4), ("410000", 5)])
def test_cpus_of_version_1(tmp_path: Path, quota: str, cpus: int) -> None:
    """In a container that sees its own group as the top."""
    folder = tmp_path / "sys/fs/cgroup/cpu,cpuacct"
    folder.mkdir(parents=True)
    (folder / "cpu.cfs_quota_us").write_text(f"{quota}\n")
    (folder / "cpu.cfs_period_us").write_text("100000\n")
    system(tmp_path, proc__self__cgroup=V1_GROUPS, proc__self__mountinfo=V1_MOUNT)
    assert usable_cpus(tmp_path) == cpus


@pytest.mark.usefixtures("sixteen")
@pytest.mark.parametrize(
    ("told", "cpus"),
    [
        ({"SLURM_CPUS_PER_TASK": "3"}, 3),
        ({"SLURM_CPUS_ON_NODE": "8"}, 8),
        ({"SLURM_CPUS_ON_NODE": "8", "SLURM_CPUS_PER_TASK": "2"}, 2),
        ({"NSLOTS": "5"}, 5),
        ({"PBS_NP": " 7 "}, 7),
        ({"LSB_DJOB_NUMPROC": "1"}, 1),
        ({"NSLOTS": "64"}, 16),
        ({"NSLOTS": "0", "PBS_NP": "", "LSB_DJOB_NUMPROC": "many"}, 16),
        ({"NSLOTS": "9" * 5000, "SLURM_CPUS_PER_TASK": "-2"}, 16),
        ({"NCPU": "2"}, 16),
    ],
    ids=str,
)
def test_cpus_that_a_batch_system_allots(tmp_path: Path, told: dict[str, str], cpus: int) -> None:
    """They count where they are fewer; nonsense does not count."""
    assert usable_cpus(tmp_path, told) == cpus


@pytest.mark.usefixtures("sixteen")
def test_a_system_that_says_nothing(tmp_path: Path) -> None:
    """No Linux, or a sandbox: nothing is limited."""
    assert usable_cpus(tmp_path) == 16
    assert memory_limit(tmp_path) is None
    assert oom_kills(tmp_path) == 0
    assert not health.can_measure(tmp_path)
    assert health.look(1, tmp_path) == health.Look(runs=True, is_stopped=False, memory=0, peak=0)


def test_memory(tmp_path: Path) -> None:
    """The least of all groups; version 1 writes "none" as an enormous number."""
    system(
        tmp_path,
        proc__self__cgroup="0::/jobs/mine\n",
        proc__self__mountinfo=V2_MOUNT,
        sys__fs__cgroup__jobs__mine__memory_DOT_max="max",
        sys__fs__cgroup__jobs__memory_DOT_max="1000000\n",
        sys__fs__cgroup__jobs__mine__memory_DOT_events="low 0\noom 2\noom_kill 2\n",
        proc__vmstat="nr_free 5\noom_kill 3\n",
    )
    assert memory_limit(tmp_path) == 1_000_000
    assert oom_kills(tmp_path) == 5
    system(tmp_path, proc__self__cgroup=V1_GROUPS, proc__self__mountinfo=V1_MOUNT)
    limit = tmp_path / "sys/fs/cgroup/memory/job/memory.limit_in_bytes"
    limit.parent.mkdir(parents=True)
    limit.write_text("9223372036854771712\n")
    (limit.parent / "memory.oom_control").write_text("under_oom 0\noom_kill 4\n")
    assert memory_limit(tmp_path) is None
    assert oom_kills(tmp_path) == 7
    limit.write_text("5000\n")
    assert memory_limit(tmp_path) == 5000


def test_memory_ran_out_lately() -> None:
    """A process takes its time to end, so an older count is kept; what was long ago is not it."""
    counts = [3]
    watch = OomWatch(lambda: counts[0])
    watch.look(100.0)
    assert not watch.has_struck()
    counts[0] = 4
    assert watch.has_struck()
    watch.look(100.0 + OOM_LOOK)
    assert watch.has_struck()
    watch.look(100.0 + 2 * OOM_LOOK)
    assert not watch.has_struck()


def test_a_look_at_a_process(tmp_path: Path) -> None:
    """Its state and its memory."""
    status = (
        "Name:\tx (y) z\nState:\tT (stopped)\nVmHWM:\t  2000 kB\nVmRSS:\t 1000 kB\nThreads:\t1\n"
    )
    (tmp_path / "7").mkdir()
    (tmp_path / "7/status").write_text(status)
    assert health.look(7, tmp_path) == health.Look(
        runs=False, is_stopped=True, memory=1_024_000, peak=2_048_000
    )
    if health.can_measure():
        found = health.look(os.getpid())
        assert found.runs
        assert found.peak >= found.memory > 1_000_000


def test_a_limit_of_memory_leaves_something() -> None:
    assert checks.memory_size("500M") == 500_000_000
    assert checks.memory_size(None) is None
    with pytest.raises(UsageError, match="leaves nothing"):
        checks.memory_size("0")


def test_numbers_of_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """A number, or as many as there are processors."""
    monkeypatch.setattr(checks, "usable_cpus", lambda: 7)
    assert checks.number_of_workers("auto") == 7
    assert checks.number_of_workers(3) == 3
    for wrong in (-1, "3", None, 2.5, 1_000_000):
        with pytest.raises(UsageError, match="workers must be a number"):
            checks.number_of_workers(wrong)  # type: ignore[arg-type]


def test_limits_that_make_no_sense() -> None:
    """Refused at once."""
    checks.check_limits(None, None, 0.5)
    checks.check_limits(1)
    for wrong in ((0,), (2.5,), (None, 0.0), (None, 1.0, -1.0), (None, float("nan"))):
        with pytest.raises(UsageError):
            checks.check_limits(*wrong)  # type: ignore[arg-type]


def test_numerical_libraries_share_the_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless the user has said anything about that."""
    monkeypatch.setattr(variables, "usable_cpus", lambda: 8)
    assert variables.environment({"A": "b"}, 3) == {
        "A": "b",
        **dict.fromkeys(variables.THREADS, "2"),
    }
    assert variables.environment({}, 20)["OMP_NUM_THREADS"] == "1"
    mine = {"MKL_NUM_THREADS": "5"}
    assert variables.environment(mine, 2) == mine


def test_ends_in_words() -> None:
    """Exit status, signals, also those without a name, and what nobody knows."""
    assert exits.describe(3) == "its process ended with exit status 3"
    assert exits.describe(-11) == "its process was ended by signal 11 (SIGSEGV)"
    assert "unknown" in exits.describe(-63)
    assert exits.describe(None) == "its process ended"


def test_memory_is_told_also_if_nobody_has_looked() -> None:
    """A process that ends at once has been charged with its parent's peak: that much at most."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    peak = usage.ru_maxrss * exits.MAXRSS_UNIT
    assert exits.describe_memory(usage, 0, peak - 1).startswith("its memory had a peak of")
    assert exits.describe_memory(usage, 5_000_000, peak) == (
        "it had 5 MB of memory when it was last looked at"
    )
    assert exits.describe_memory(usage, 0, peak).endswith("MB at most")
    assert not exits.describe_memory(None, 0, peak)
