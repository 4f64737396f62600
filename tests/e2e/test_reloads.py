"""A module that the program has loaded again: no worker goes on with the old one in silence."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING, Any

import pytest

from support import HANG, unique_label

if TYPE_CHECKING:
    from pathlib import Path

BEGIN = """
    import importlib, json, os, sys
    sys.dont_write_bytecode = True  # two versions of one second look alike to the import system
    sys.path.insert(0, ".")
    from masterworker import Master

    def version(number):
        with open("model.py", "w") as file:
            file.write(
                f"def energy(x): return {number}\\n"
                "class Model:\\n"
                f"    def energy(self): return {number}\\n"
                f"state = []\\n"
                "def touch(): state.append(1); return len(state)\\n"
                + "# so that its size differs\\n" * number
            )

    def again(number):
        version(number)
        importlib.reload(sys.modules["model"])

    version(1)
    import model
"""

USES = {
    "a function": "master.submit(model.energy, 0).result(60)",
    "many calls": "sorted(set(master.map(model.energy, range(50))))",
    "a parameter": "master.submit(lambda model: model.energy(), model.Model()).result(60)",
    "inside another function": "master.submit(lambda: model.energy(0)).result(60)",
    "an import inside": "master.submit(eval, '__import__(\"model\").energy(0)').result(60)",
}


def _run(folder: Path, program: str, *arguments: str) -> list[Any]:
    (folder / "program.py").write_text(textwrap.dedent(BEGIN) + textwrap.dedent(program))
    done = subprocess.run(
        [sys.executable, "program.py", *arguments],
        cwd=folder, capture_output=True, text=True, timeout=4 * HANG, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines() if line[:1] in "[{"]


@pytest.mark.parametrize("use", USES)
def test_what_is_asked_for_afterwards_is_new(tmp_path: Path, use: str) -> None:
    found = _run(
        tmp_path,
        f"""
        with Master(workers=2) as master:
            for number in (1, 2, 3):
                if number > 1:
                    again(number)
                print(json.dumps([{USES[use]} for _ in range(4)]), flush=True)
        """,
    )
    many = use == "many calls"
    assert found == [[[n] if many else n] * 4 for n in (1, 2, 3)]


def test_a_module_that_was_deleted_and_imported_anew(tmp_path: Path) -> None:
    found = _run(
        tmp_path,
        """
        with Master(workers=1) as master:
            print(json.dumps([master.submit(model.energy, 0).result(60)]))
            version(2)
            del sys.modules["model"]
            import model
            print(json.dumps([master.submit(model.energy, 0).result(60)]))
        """,
    )
    assert found == [[1], [2]]


def test_functions_that_are_changed_in_place_as_by_autoreload(tmp_path: Path) -> None:
    found = _run(
        tmp_path,
        """
        with Master(workers=1) as master:
            energy = model.energy
            print(json.dumps([master.submit(energy, 0).result(60)]))
            again(2)
            energy.__code__ = model.energy.__code__
            model.energy = energy
            print(json.dumps([master.submit(energy, 0).result(60)]))
        """,
    )
    assert found == [[1], [2]]


@pytest.mark.parametrize("first", ["master", "autoreload"])
def test_autoreload_in_a_notebook(tmp_path: Path, first: str) -> None:
    """It is IPython's own, which changes functions and classes in place; whoever came first."""
    pytest.importorskip("IPython")
    cells = {
        "autoreload": "%load_ext autoreload\n%autoreload 2",
        "master": "from masterworker import Master; master = Master(workers=2)",
    }
    order = [cells[name] for name in sorted(cells, key=lambda name: name != first)]
    ask = """
calls = [energy, lambda _: model.energy(0), lambda thing: thing.energy()]
results = [master.submit(call, thing).result(60) for call in calls for _ in range(3)]
print(json.dumps(sorted(set(results))))
"""
    found = _run(
        tmp_path,
        f"""
        from IPython.core.interactiveshell import InteractiveShell
        shell = InteractiveShell.instance()

        def cell(text):
            shell.run_cell(text).raise_error()

        os.utime("model.py", (1, 1))  # that is long ago
        cell("import json; from model import energy, Model; import model; thing = Model()")
        for text in {order!r}:
            cell(text)
        for number in (1, 2, 3):
            version(number)
            os.utime("model.py", (number, number))
            cell({ask!r})
        cell("master.shutdown()")
        """,
    )
    assert found == [[1], [2], [3]]


def test_workers_that_do_not_have_it_go_on(tmp_path: Path) -> None:
    """And those that do end in good order: no task is blamed, none is lost."""
    found = _run(
        tmp_path,
        """
        def slow(x):
            import model, time
            time.sleep(0.3)  # while it is being loaded again
            return model.energy(x)

        with Master(workers=1) as master:
            first = master.submit(os.getpid).result(60)
            again(2)
            same = master.submit(os.getpid).result(60)
            future = master.options(retries=0).submit(slow, 0)
            before = master.submit(model.touch)
            values = [future.result(60), before.result(60)]
            again(3)
            after = [master.submit(model.energy, 0).result(60) for _ in range(20)]
            new = master.submit(os.getpid).result(60)
            print(json.dumps([first == same, values, sorted(set(after)), first != new]))
        """,
    )
    assert found == [[True, [2, 1], [3], True]]


def test_workers_of_another_supervisor_are_replaced_as_well(tmp_path: Path) -> None:
    found = _run(
        tmp_path,
        """
        import subprocess
        with Master(sys.argv[1]) as master:
            command = [sys.executable, "-m", "masterworker.cli", "worker", sys.argv[1]]
            with subprocess.Popen(command) as supervisor:
                print(json.dumps([master.submit(model.energy, 0).result(60)]))
                again(2)
                print(json.dumps([master.submit(model.energy, 0).result(60)]))
                master.shutdown()
        """,
        unique_label(),
    )
    assert found == [[1], [2]]


def test_a_worker_that_nobody_can_replace_says_so(tmp_path: Path) -> None:
    """A script that was started by hand: its user is told, in one line."""
    worker = (
        "import sys\n"
        "sys.path.insert(0, '.')\n"
        "sys.dont_write_bytecode = True\n"
        "from masterworker import Worker\n"
        "import model\n"
        "Worker(sys.argv[1], handlers={'energy': model.energy}).run()\n"
    )
    (tmp_path / "worker.py").write_text(worker)
    found = _run(
        tmp_path,
        """
        import subprocess
        with Master(sys.argv[1]) as master:
            command = [sys.executable, "worker.py", sys.argv[1]]
            with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as worker:
                master.request_task("energy", 0)
                master.retrieve_result("energy", 60)
                again(2)
                master.request_task("energy", 0)
                master.retrieve_result("energy", 60)
                master.shutdown()
                print(json.dumps([worker.stderr.read()]))
        """,
        unique_label(),
    )
    assert found == [["the master has loaded model again; this worker has the old one\n"]]
