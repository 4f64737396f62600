"""What the start of a job and of a worker does not wait for: modules that it does not need.

What takes long to load is loaded when it is needed. One import at the top of a module is enough to
bring any of these back, for everybody.
"""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from masterworker import Master
from masterworker.cli import exit_codes
from masterworker.master import engine_of
from masterworker.transport import discovery
from support import HANG, unique_label

if TYPE_CHECKING:
    from pathlib import Path

#: Needed by some processes, and slow to load (1 to 60 ms).
SLOW = {
    "argparse", "asyncio", "cloudpickle", "concurrent.futures", "cryptography", "dataclasses",
    "inspect", "json", "multiprocessing", "numpy", "psutil", "serpent", "ssl", "statistics",
    "tempfile", "tqdm", "Pyro5",
}  # fmt: skip
#: Rooms of the house that most masters never enter.
NOT_FOR_MASTERS = SLOW | {
    "encodings.idna", "hashlib",
    "masterworker.cli", "masterworker.client", "masterworker.data.byvalue", "masterworker.failed",
    "masterworker.manager.guest_operations", "masterworker.security.credentials",
    "masterworker.worker",
}  # fmt: skip
#: A worker of this machine that executes what it can import neither looks for anything, nor
#: starts or serves anybody.
NOT_FOR_WORKERS = SLOW | {
    "hashlib", "pathlib", "subprocess", "urllib.parse",
    "masterworker.cli.main", "masterworker.core.scheduler", "masterworker.launch.supervisor",
    "masterworker.manager", "masterworker.master", "masterworker.security.private",
    "masterworker.transport.notice", "masterworker.transport.pyro.server",
    "masterworker.worker.sidecar",
}  # fmt: skip

#: What a program can print of itself.
MODULES = "[*__import__('sys').modules]"
#: An editable installation loads modules of its own before any program runs, and msgspec takes
#: `typing_extensions` where that is installed: neither is ours to avoid.
UNAVOIDABLE = "import msgspec"


def modules_after(program: str) -> set[str]:
    """Return what an interpreter has loaded once a program has run."""
    words = [sys.executable, "-c", f"{program}\nprint(*{MODULES})"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=HANG, check=True)
    return set(done.stdout.split())


def test_importing_the_package_loads_nothing_slow() -> None:
    loaded = modules_after("import masterworker") - modules_after("pass")
    assert "masterworker" in loaded
    assert not {name for name in loaded if name.startswith("masterworker.")}
    assert sorted(loaded & SLOW) == []


def test_a_master_with_workers_loads_what_it_needs() -> None:
    """Up to the first result."""
    program = (
        "import math, masterworker\n"
        "with masterworker.Master(workers=1) as master:\n"
        "    assert master.submit(math.sqrt, 16).result() == 4"
    )
    loaded = modules_after(program) - modules_after(UNAVOIDABLE)
    assert "masterworker.launch.supervisor" in loaded
    assert sorted(loaded & NOT_FOR_MASTERS) == []


@pytest.mark.parametrize("kind", ["Executor", "Pool"])
def test_an_executor_does_not_load_the_workers_half(kind: str) -> None:
    program = f"import masterworker\nwith masterworker.{kind}(1) as it: pass"
    loaded = modules_after(program)
    assert "masterworker.launch.supervisor" in loaded
    assert "masterworker.worker" not in loaded


def test_a_worker_that_has_executed_a_call_has_loaded_what_it_needs() -> None:
    program = (
        "import masterworker, sys\n"  # of its own: workers load what other tests have set here
        "with masterworker.Master(workers=1) as master:\n"
        f"    loaded = set(master.submit(eval, {MODULES!r}).result())\n"
        "    by_value = set(master.submit(lambda: [*sys.modules]).result())\n"
        "assert 'cloudpickle' in by_value\n"  # so that would be noticed
        "print(*loaded)"
    )
    words = [sys.executable, "-c", program]
    done = subprocess.run(words, capture_output=True, text=True, timeout=HANG, check=True)
    loaded = set(done.stdout.split())
    assert "masterworker.worker.worker" in loaded
    assert sorted((loaded - modules_after(UNAVOIDABLE)) & NOT_FOR_WORKERS) == []


def test_a_private_socket_that_leads_nowhere_is_looked_up_instead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The master may have begun anew since a worker was told."""
    monkeypatch.setattr(discovery, "_sockets", {})
    label = unique_label()
    with Master(label) as master:
        discovery.remember(label, socket=str(tmp_path / "nobody"))
        connection = discovery.reach(label)
        assert connection.call("instance") == [True, engine_of(master).manager.instance]
        connection.close()


@pytest.mark.parametrize("words", [["--supervised=99"], ["--supervised=1", "--what=1"], []])
def test_a_worker_that_nobody_launches_says_so(words: list[str]) -> None:
    """In one line, and without a traceback."""
    begin = "from masterworker.cli.child import begin; begin()"
    command = [sys.executable, "-c", begin, "worker"]
    done = subprocess.run(
        [*command, f"--launched-by={os.getpid()}", *words, "--", "demo"],
        capture_output=True, text=True, timeout=HANG, check=False,
    )  # fmt: skip
    assert done.returncode == exit_codes.USAGE
    assert done.stderr == "task_manager: only a supervisor starts a worker with --supervised\n"
