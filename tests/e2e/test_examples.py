"""The examples, as a newcomer runs them in three terminals."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from e2e.desk import EXAMPLES

if TYPE_CHECKING:
    from e2e.desk import Desk, Running


@pytest.fixture
def demo(desk: Desk) -> Desk:
    """The examples are where they are, and their label is demo."""
    desk.label = "demo"
    return desk


def four_roots_and_an_exception(running: Running, script: str) -> None:
    """What every example prints."""
    told = running.good().out
    roots = {float(x): float(r) for x, r in re.findall(r"the sqrt of (\S+) is (\S+)", told)}
    assert roots == {n: n**0.5 for n in (0.0, 1.0, 2.0, 3.0)}
    assert told.count("raised ValueError") == 1
    assert told.count("Traceback (most recent call last)") == 1
    assert f'{script}", line ' in told
    assert "in do_sqrt" in told
    assert "ValueError: " in told


def test_three_terminals(name_server: int, demo: Desk) -> None:
    """A master, a look at it, and a slave; with a real name server."""
    master = demo.start("master.py", folder=EXAMPLES)
    shown = demo.command("-w", "show", "demo", "-v").good().out
    assert str(master.pid) in shown
    assert "sqrt" in shown
    listed = demo.command("list", "-v").good().out
    assert re.search(r"^demo\b.*\b1 active process", listed, re.MULTILINE), listed
    slave = demo.command("slave", "demo")
    four_roots_and_an_exception(master, "slave.py")
    slave.good()
    assert master.complaints == ""
    assert slave.out == slave.complaints == ""
    assert demo.command("list").good().lines == ["no active task managers found"]


def test_two_scripts_started_plainly(demo: Desk) -> None:
    """`python slave.py`, twice; no name server."""
    master = demo.start("master.py", folder=EXAMPLES)
    demo.census("demo")
    slaves = [demo.start("slave.py", folder=EXAMPLES) for _ in range(2)]
    four_roots_and_an_exception(master, "slave.py")
    assert {s.status() for s in slaves} <= {0, 1}, "the second may be too late"


def test_one_script_with_launched_slaves(demo: Desk) -> None:
    """`python master_slave_demo.py 2`."""
    running = demo.start(EXAMPLES / "master_slave_demo.py", "2")
    four_roots_and_an_exception(running, "master_slave_demo.py")
    demo.nobody_left()


def test_one_script_with_a_slave_by_command(demo: Desk) -> None:
    """`python master_slave_demo.py`, and `task_manager slave demo`."""
    running = demo.start(EXAMPLES / "master_slave_demo.py")
    slave = demo.slave()
    four_roots_and_an_exception(running, "master_slave_demo.py")
    slave.good()


def test_the_slave_first(demo: Desk) -> None:
    """Without -w it says that the master has to be first, where no such job has ended lately."""
    runtime = str(demo.folder / "runtime")
    slave = demo.start("slave.py", folder=EXAMPLES, MASTERWORKER_RUNTIME=runtime)
    assert slave.status() == 1
    assert "start the master first" in slave.err.splitlines()[-1]
