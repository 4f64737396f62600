"""The slave program as data items of the task manager: `slave_code` and `cwd`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from e2e.desk import Desk

SLAVE = """\
from Scientific.DistributedComputing.MasterSlave import startSlaveProcess
import os
def do_where(number):
    return os.path.basename(os.getcwd()), number * 10
startSlaveProcess()
"""


def test_what_a_script_stores_can_be_read(desk: Desk) -> None:
    """By the master, and by a slave."""
    reads = "def do_read(name):\n    return current_worker().task_manager.retrieveData(name)\n"
    desk.write("slave.py", "from masterworker import current_worker\n" + reads + SLAVE)
    job = desk.python(
        "master.py",
        """
        master = initializeMasterProcess(LABEL, slave_script="slave.py")
        master.launchSlaveJobs(1)
        for name in ("slave_code", "cwd"):
            master.requestTask("read", name)
            read = master.retrieveResult("read")[2]
            print(read == master.task_manager.retrieveData(name))
        print(master.task_manager.retrieveData("slave_code") == open("slave.py").read())
        print(master.task_manager.retrieveData("cwd") == os.getcwd())
        """,
    )
    assert job.good().lines == ["True"] * 4


def test_what_run_job_stores_can_be_read(desk: Desk) -> None:
    """The source of the script itself."""
    job = desk.python(
        "job.py",
        """
        class Master(MasterProcess):
            def run(self):
                print("class Master" in self.task_manager.retrieveData("slave_code"))
                print(self.task_manager.retrieveData("cwd") == os.getcwd())
        runJob(LABEL, Master, SlaveProcess)
        """,
    )
    assert job.good().lines == ["True", "True"]


def test_what_a_module_gives_can_be_read(desk: Desk) -> None:
    """A script that is made of its name."""
    desk.write("handlers.py", "def do_one():\n    return 1\n")
    job = desk.python(
        "master.py",
        """
        master = initializeMasterProcess(LABEL, slave_module="handlers")
        print("handlers" in master.task_manager.retrieveData("slave_code"))
        """,
    )
    assert job.good().lines == ["True"]


@pytest.mark.parametrize("how", ["together", "one by one", "the folder first", "the code alone"])
def test_a_program_stores_them_itself(desk: Desk, how: str) -> None:
    """Slaves execute that, there, whether the master launches them or a terminal does."""
    (desk.folder / "elsewhere").mkdir()
    desk.write("slave_code.txt", SLAVE)
    store = {
        "together": "put(slave_code=code, cwd=folder)",
        "one by one": "put(slave_code=code); put(cwd=folder)",
        "the folder first": "put(cwd=folder); put(slave_code=code)",
        "the code alone": "put(slave_code=code)",
    }[how]
    where = desk.folder.name if how == "the code alone" else "elsewhere"
    job = desk.python(
        "master.py",
        f"""
        master = initializeMasterProcess(LABEL)
        code, folder = open("slave_code.txt").read(), "elsewhere"
        put = master.task_manager.storeData
        {store}
        if {how != "the code alone"}:
            print(master.task_manager.retrieveData("cwd"))
        master.launchSlaveJobs(1)
        master.requestTask("where", 4)
        print(*master.retrieveResult("where")[2])
        master.launchSlaveJobs(0)
        """,
    )
    assert job.good().lines[-1] == f"{where} 40"


def test_another_program_for_slaves_to_come(desk: Desk) -> None:
    """What is stored anew holds for slaves that come afterwards."""
    desk.script("slave.py", "def do_old():\n    return 'old'\nstartSlaveProcess()\n")
    desk.script("other.py", "def do_new():\n    return 'new'\nstartSlaveProcess()\n")
    job = desk.python(
        "master.py",
        """
        master = initializeMasterProcess(LABEL, slave_script="slave.py")
        master.launchSlaveJobs(1)
        master.requestTask("old"); print(master.retrieveResult("old")[2])
        master.task_manager.storeData(slave_code=open("other.py").read())
        master.launchSlaveJobs(1)
        master.requestTask("new"); print(master.retrieveResult("new")[2])
        """,
    )
    assert job.good().lines == ["old", "new"]


def test_deleted_and_started_by_hand(desk: Desk) -> None:
    """Without it, `launchSlaveJobs` and `task_manager slave` say that there is no slave code."""
    desk.script("slave.py", "def do_one():\n    return 1\nstartSlaveProcess()\n")
    job = desk.python(
        "master.py",
        """
        master = initializeMasterProcess(LABEL, slave_script="slave.py")
        master.task_manager.deleteData("slave_code")
        try:
            master.launchSlaveJobs(1)
        except ValueError as error:
            print(error)
        wait_for("end")
        """,
    )
    assert "no slave code is stored" in job.first_line()
    slave = desk.command("slave", desk.label)
    assert slave.status() == 6
    assert "has stored no slave code" in slave.err
    desk.write("end", "")
    job.good()


@pytest.mark.parametrize(
    ("items", "told"),
    [
        ("slave_code=5", "slave_code is the text of a script, not int"),
        ("slave_code=b'x'", "slave_code is the text of a script, not bytes"),
        ("cwd=5", "cwd is the name of a folder, not int"),
    ],
)
def test_what_cannot_be_used(desk: Desk, items: str, told: str) -> None:
    """An error at the call, and nothing is stored."""
    job = desk.python(
        "master.py",
        f"""
        master = initializeMasterProcess(LABEL)
        try:
            master.task_manager.storeData({items})
        except ValueError as error:
            print(error)
        try:
            master.task_manager.retrieveData({items.partition("=")[0]!r})
        except KeyError:
            print("nothing is stored")
        """,
    )
    assert job.good().lines == [told, "nothing is stored"]


def test_a_slave_cannot_exchange_them(desk: Desk) -> None:
    """The master would start slaves of it that it does not know of."""
    desk.script(
        "slave.py",
        """
        class Slave(SlaveProcess):
            def do_store(self, name):
                self.task_manager.storeData(**{name: "x"})
        startSlaveProcess = Slave(LABEL).start
        startSlaveProcess()
        """,
    )
    job = desk.python(
        "master.py",
        """
        master = initializeMasterProcess(LABEL)
        for name in ("slave_code", "cwd", "other"):
            master.requestTask("store", name)
        for _ in range(3):
            try:
                print(master.retrieveResult())
            except TaskRaisedException as failed:
                print(failed.exception)
        """,
    )
    desk.command("-w", "show", desk.label).good()
    slave = desk.start("slave.py")
    assert job.good().lines == [
        "slave_code and cwd are the master's: store them there",
        "slave_code and cwd are the master's: store them there",
        "('store_2', 'store', None)",
    ]
    slave.good()
