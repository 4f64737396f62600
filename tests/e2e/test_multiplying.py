"""A program that would start itself again and again ends with one clear error."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING

import pytest

from support import HANG, unique_label

if TYPE_CHECKING:
    from pathlib import Path

    Done = subprocess.CompletedProcess[str]

#: Notes each process that executes it; so many are no accident.
COUNT = """
    import os
    with open(os.path.join(os.environ["FOLDER"], "starts"), "a") as file:
        print(os.getpid(), file=file)
    with open(os.path.join(os.environ["FOLDER"], "starts")) as file:
        assert len(file.readlines()) < 9, "it multiplies"
"""


def _write(folder: Path, name: str, source: str) -> None:
    (folder / name).write_text(textwrap.dedent(COUNT) + textwrap.dedent(source))


def _run(folder: Path, *command: str, **env: str) -> Done:
    return subprocess.run(
        command, cwd=folder, env={**os.environ, "FOLDER": str(folder), **env},
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=4 * HANG, check=False,
    )  # fmt: skip


def _starts(folder: Path) -> int:
    return len((folder / "starts").read_text().splitlines())


# -- modules --------------------------------------------------------------------------------


def test_a_module_that_makes_a_master(tmp_path: Path) -> None:
    """The error reaches whoever waits for the result."""
    _write(
        tmp_path,
        "analysis.py",
        """
        from masterworker import Master
        def double(x):
            return 2 * x
        master = Master(workers=1)
        print(master.submit(double, 1).result(60))
        """,
    )
    (tmp_path / "program.py").write_text("import analysis\n")
    done = _run(tmp_path, sys.executable, "program.py")
    assert done.returncode == 1
    assert "UsageError: a Master was made while a worker imported" in done.stderr
    assert f"In {tmp_path / 'analysis.py'}, make the Master inside a function" in done.stderr
    assert _starts(tmp_path) == 2


@pytest.mark.parametrize("how", ["parameter", "inside", "deep"])
def test_wherever_the_import_is(tmp_path: Path, how: str) -> None:
    """A class of it as a parameter; in the task itself; by a module that imports it."""
    _write(
        tmp_path,
        "analysis.py",
        """
        from masterworker import Master
        class Thing: pass
        master = Master(workers=1)
        """,
    )
    (tmp_path / "outer.py").write_text("from analysis import Thing\n")
    call = {
        "parameter": "print, analysis.Thing()",
        "inside": "__import__, 'analysis'",
        "deep": "__import__, 'outer'",
    }
    (tmp_path / "program.py").write_text(
        "import analysis\n"
        f"error = analysis.master.submit({call[how]}).exception(60)\n"
        "print(type(error).__name__, error)\n"
    )
    done = _run(tmp_path, sys.executable, "program.py")
    assert done.stdout.startswith("UsageError a Master was made while a worker imported"), done
    assert _starts(tmp_path) == 2


def test_the_top_level_of_a_script_for_both_roles(tmp_path: Path) -> None:
    """Its workers execute it, up to where they begin to work."""
    _write(
        tmp_path,
        "program.py",
        """
        import sys
        from masterworker import Master, Worker, run_job
        helper = Master(workers=1)
        class Boss(Master):
            def run(self):
                self.submit(abs, 1).result(60)
        class Hand(Worker): pass
        run_job(sys.argv[1], Boss, Hand, workers=1)
        """,
    )
    done = _run(tmp_path, sys.executable, "program.py", unique_label())
    assert done.returncode == 1
    assert "a Master was made while a worker imported" in done.stderr
    assert _starts(tmp_path) == 2


def test_pools_of_the_standard_library(tmp_path: Path) -> None:
    """`spawn` executes the main program again in each process."""
    _write(
        tmp_path,
        "program.py",
        """
        import multiprocessing, sys
        from masterworker import Master
        master = Master(workers=1)
        if __name__ == "__main__":
            process = multiprocessing.get_context("spawn").Process(target=print)
            process.start()
            process.join(60)
            print("status", process.exitcode)
        """,
    )
    done = _run(tmp_path, sys.executable, "program.py")
    assert done.stdout == "status 1\n"
    assert "UsageError: a Master was made while a worker imported" in done.stderr
    assert _starts(tmp_path) == 2


def test_a_task_may_have_a_job_of_its_own(tmp_path: Path) -> None:
    """Also one whose module is imported by that task, and makes the master in a function."""
    _write(
        tmp_path,
        "analysis.py",
        """
        from masterworker import Master
        def solve(x):
            with Master(workers=1) as master:
                return master.submit(abs, x).result(60)
        """,
    )
    (tmp_path / "program.py").write_text(
        "from masterworker import Master\n"
        "import analysis\n"
        "with Master(workers=1) as master:\n"
        "    print(master.submit(analysis.solve, -3).result(60))\n"
        "with Master(workers=1, initializer=analysis.solve_nothing) as master:\n"
        "    print(master.submit(analysis.solve, -4).result(60))\n"
    )
    with (tmp_path / "analysis.py").open("a") as file:
        file.write("def solve_nothing():\n    solve(0)\n")
    done = _run(tmp_path, sys.executable, "program.py")
    assert done.stdout == "3\n4\n", done.stderr


# -- applications ---------------------------------------------------------------------------

APPLICATION = """
    import os, sys
    {before}
    from masterworker import Master, WorkerStartError
    def double(x):
        return 2 * x
    {middle}
    try:
        with Master() as master:
            master.launch_workers(2, wait=True)
            print("result", master.submit(double, 21).result(float(os.environ.get("WAIT", "60"))))
    except (WorkerStartError, TimeoutError) as error:
        print(type(error).__name__, error)
"""


def _application(folder: Path, before: str = "", middle: str = "", name: str = "app") -> str:
    """Make an executable that is no Python interpreter, and always begins with the program."""
    app = folder / name
    before = f"sys.executable = {str(app)!r}; {before}"
    _write(folder, "main.py", APPLICATION.format(before=before, middle=middle))
    app.write_text(f'#!/bin/sh\nexec {sys.executable} {folder / "main.py"} "$@"\n')
    app.chmod(0o700)
    return str(app)


@pytest.mark.parametrize(
    "mark",
    [
        "sys.frozen = True",
        "sys.frozen = 'macosx_app'",
        "sys.oxidized = True",
        "__compiled__ = 1",
        "",
    ],
)
def test_a_frozen_program_is_not_started_again(tmp_path: Path, mark: str) -> None:
    """Whatever has frozen it, or where another program has Python inside."""
    name = "python-app" if mark else "app"
    done = _run(tmp_path, _application(tmp_path, mark, name=name))
    assert done.stdout.startswith("WorkerStartError this program is frozen"), done
    assert "freeze_support" in done.stdout
    assert _starts(tmp_path) == 1


def test_a_program_that_has_whatever_is_asked_for_is_not_frozen(tmp_path: Path) -> None:
    """Its `__getattr__` answers for the module; nothing is concluded from that."""
    (tmp_path / "program.py").write_text(
        "from masterworker import Master\n"
        "def __getattr__(name):\n"
        "    return f'made for {name}'\n"
        "def work():\n"
        "    import __main__\n"
        "    return __main__.anything\n"
        "with Master(workers=1) as master:\n"
        "    print(master.submit(work).result(60))\n"
    )
    done = _run(tmp_path, sys.executable, "program.py")
    assert done.stdout == "made for anything\n", done.stderr


def test_a_frozen_program_can_become_its_workers(tmp_path: Path) -> None:
    before = "sys.frozen = True; import masterworker; masterworker.freeze_support()"
    (tmp_path / "starts").touch()
    app = _application(tmp_path, before)
    done = _run(tmp_path, app, "--some", "words")
    assert done.stdout == "result 42\n", done.stderr


def test_freeze_support_does_nothing_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(
        "import masterworker\n"
        "masterworker.freeze_support()\n"
        "with masterworker.Master(workers=1) as master:\n"
        "    print(master.submit(abs, -3).result(60))\n"
    )
    done = _run(tmp_path, sys.executable, "program.py", "worker", "--launched-by=1", "--", "x")
    assert done.stdout == "3\n", done.stderr


def test_an_interpreter_can_be_named(tmp_path: Path) -> None:
    app = _application(tmp_path, "sys.frozen = True")
    done = _run(tmp_path, app, MASTERWORKER_PYTHON=sys.executable)
    assert done.stdout == "result 42\n", done.stderr
    assert _starts(tmp_path) == 1


@pytest.mark.parametrize("name", ["None", "''"])
def test_a_program_that_does_not_know_its_interpreter(tmp_path: Path, name: str) -> None:
    """As where Python is embedded."""
    done = _run(tmp_path, _application(tmp_path, middle=f"sys.executable = {name}"))
    assert done.stdout.startswith("WorkerStartError this program does not know its Python"), done
    assert _starts(tmp_path) == 1


def test_an_executable_that_only_looks_like_an_interpreter(tmp_path: Path) -> None:
    """Nothing says so before it is started: each of its starts ends at once, and says why."""
    done = _run(tmp_path, _application(tmp_path, name="python-app"), WAIT="20")
    assert "was started as a worker, and is no Python interpreter" in done.stderr
    assert 2 <= _starts(tmp_path) <= 4  # the program, a template, a worker and the next try
