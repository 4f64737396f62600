"""The package `Scientific` beside others of that name, and for type checkers."""

from __future__ import annotations

import os
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from e2e.desk import Desk

IMPORTS = """
import Scientific.DistributedComputing.MasterSlave as ours
from Scientific.DistributedComputing import TaskManager
print(ours.__name__)
"""


@pytest.mark.parametrize("init", [True, False], ids=["regular", "namespace"])
@pytest.mark.parametrize("how", ["beside the script", "on the path"])
def test_a_package_of_the_users(desk: Desk, init: bool, how: str) -> None:
    """Its modules are found, and so are ours, whichever is imported first."""
    folder = "" if how == "beside the script" else "stubs/"
    if init:
        desk.write(f"{folder}Scientific/__init__.py", "mine = 1\n")
    desk.write(f"{folder}Scientific/N.py", "from math import sqrt\nname = 'my own'\n")
    desk.write(f"{folder}Scientific/IO/__init__.py", "name = 'my IO'\n")
    path = {} if how == "beside the script" else {"PYTHONPATH": str(desk.folder / "stubs")}
    theirs = "from Scientific import N\nfrom Scientific.IO import name\nprint(N.name, name)\n"
    for text in (theirs + IMPORTS, IMPORTS + theirs):
        lines = desk.start(desk.write("program.py", text), **path).good().lines
        assert sorted(lines) == ["Scientific.DistributedComputing.MasterSlave", "my own my IO"]


def test_a_package_that_lacks_what_we_have(desk: Desk) -> None:
    """A stub, or a ported ScientificPython, with a package of the same name as ours in it."""
    desk.write("Scientific/__init__.py", "")
    desk.write("Scientific/Geometry.py", "name = 'ported'\n")
    desk.write("Scientific/DistributedComputing/__init__.py", "")
    desk.write("Scientific/DistributedComputing/Extra.py", "name = 'extra'\n")
    text = """
        from Scientific.Geometry import name
        print(name)
        from Scientific.DistributedComputing.Extra import name
        print(name)
        from Scientific import N
        print(N.Float)
    """
    program = desk.write("program.py", text)
    with program.open("a") as file:
        file.write(IMPORTS)
    assert desk.start(program).good().lines == [
        "ported",
        "extra",
        "d",
        "Scientific.DistributedComputing.MasterSlave",
    ]


def test_a_package_in_a_zip_archive(desk: Desk) -> None:
    """It hides namespace packages as any other."""
    with zipfile.ZipFile(desk.folder / "stubs.zip", "w") as archive:
        archive.writestr("Scientific/__init__.py", "")
        archive.writestr("Scientific/Own.py", "name = 'zipped'\n")
    program = desk.write("program.py", "from Scientific.Own import name\nprint(name)\n" + IMPORTS)
    lines = desk.start(program, PYTHONPATH=str(desk.folder / "stubs.zip")).good().lines
    assert lines == ["zipped", "Scientific.DistributedComputing.MasterSlave"]


def test_what_nobody_has(desk: Desk) -> None:
    """An error as ever."""
    desk.write("Scientific/__init__.py", "")
    program = desk.write("program.py", "import Scientific.Nothing\n")
    failed = desk.start(program)
    assert failed.status() == 1
    assert failed.err.splitlines()[-1] == (
        "ModuleNotFoundError: No module named 'Scientific.Nothing'"
    )


def test_a_job_with_a_package_of_the_users(desk: Desk) -> None:
    """Slaves find both, too."""
    desk.write("Scientific/__init__.py", "")
    desk.write("Scientific/N.py", "from math import sqrt\n")
    job = desk.python(
        "job.py",
        """
        from Scientific import N
        class Master(MasterProcess):
            def run(self):
                self.requestTask("sqrt", 4.0)
                print(self.retrieveResult("sqrt")[2])
        class Slave(SlaveProcess):
            def do_sqrt(self, x):
                return N.sqrt(x)
        runJob(LABEL, Master, Slave, launch_slaves=1)
        """,
    )
    assert job.good().lines == ["2.0"]


def test_programs_that_say_N(desk: Desk) -> None:
    """As the published examples do."""
    pytest.importorskip("numpy")
    desk.script(
        "slave.py",
        """
        from Scientific import N
        def do_sqrt(x):
            return (x, N.sqrt(x))
        def do_columns(table):
            return N.sum(table)
        startSlaveProcess()
        """,
    )
    job = desk.python(
        "master.py",
        """
        from Scientific import N
        tasks = initializeMasterProcess(LABEL, slave_script="slave.py")
        tasks.launchSlaveJobs(1)
        tasks.requestTask("sqrt", 4.0)
        x, root = tasks.retrieveResult("sqrt")[2]
        print(x, float(root))
        tasks.requestTask("columns", N.ones((3, 2), N.Float))
        print(tasks.retrieveResult("columns")[2].tolist())
        """,
    )
    assert job.good().lines == ["4.0 2.0", "[3.0, 3.0]"]


TYPED = """
from Scientific.DistributedComputing.MasterSlave import MasterProcess
from Scientific.DistributedComputing.TaskManager import TaskManager
from Scientific import N

reveal_type(MasterProcess("label").requestTask("tag", 1))
reveal_type(TaskManager().numberOfActiveProcesses())
reveal_type(N.Float)
MasterProcess(5)
"""


def test_type_checkers_know_it(desk: Desk) -> None:
    """The package says that it has annotations (PEP 561)."""
    pytest.importorskip("mypy")
    program = desk.write("program.py", TYPED)
    config = desk.write("mypy.ini", "[mypy]\n")
    cache = f"--cache-dir={os.devnull}"
    checked = desk.start("-m", "mypy", "--config-file", config, cache, program)
    assert checked.status(110) == 1
    told = checked.out
    assert told.count('Revealed type is "str"') == 2, told
    assert told.count('Revealed type is "int"') == 1, told
    assert 'incompatible type "int"; expected "str"' in told
    assert "Found 1 error" in told


def test_the_installed_files() -> None:
    """Each part of the shared package that is ours says so; the package itself has no file."""
    import Scientific.N
    from Scientific.DistributedComputing import MasterSlave

    for module in (Scientific.N, MasterSlave):
        folder = Path(str(module.__file__)).parent
        assert (folder / "py.typed").is_file()
        assert not (folder.parent / "__init__.py").exists()
    assert sys.modules["Scientific"].__file__ is None
