"""Labels as users choose them, through every door: command line, notice, name server."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from Pyro5.api import Proxy

from Scientific.DistributedComputing.MasterSlave import initializeMasterProcess

if TYPE_CHECKING:
    from collections.abc import Iterator

    from e2e.desk import Desk

LABELS = [
    "msd_user_Sun_Nov_22_13:52:16",
    "with several  spaces",
    "a/b/../../etc/passwd",
    "..",
    "ünïcødé 日本語 🐍",
    'o\'clock "quoted"',
    "-v",
    "--master",
    "list",
    "slave",
    "%41%2F%",
    "[::1]:7766@host",
    "$(touch pwned) `touch pwned` ; touch pwned",
    "* ? ~ \\ #",
    "TaskManager.demo",
    "x" * 200,
    "日" * 200,
]

MASTERS = """
import json
names = json.load(open("labels.json"))
masters = [initializeMasterProcess(name, slave_script="slave.py") for name in names]
say("ready")
for master in masters:
    master.requestTask("tell", master.label)
for master in masters:
    assert master.retrieveResult()[2] == master.label
say("answered")
wait_for("end")
"""


@pytest.fixture
def odd(name_server: int, desk: Desk) -> Iterator[Desk]:
    """A program with a master for each odd label."""
    desk.write("labels.json", json.dumps(LABELS))
    desk.script("slave.py", "def do_tell(label): return label\nstartSlaveProcess()\n")
    program = desk.python("masters.py", MASTERS)
    desk.reach("ready")
    yield desk
    desk.write("end", "")
    program.good()


def test_odd_labels_work_everywhere(odd: Desk) -> None:
    """slave, show and list; entered as TaskManager.<label> in the name server."""
    slaves = [odd.command("slave", "--", label) for label in LABELS]
    odd.reach("answered")
    shown = [odd.command("show", "--json", "--", label) for label in LABELS]
    assert [json.loads(s.good().out)["label"] for s in shown] == LABELS
    listed = odd.command("list").good().lines
    assert set(LABELS) <= set(listed)
    elsewhere = odd.command("list", MASTERWORKER_RUNTIME=str(odd.folder / "other")).good().lines
    assert set(LABELS) <= set(elsewhere), "what the name server knows"
    assert not (odd.folder / "pwned").exists()
    for slave in slaves:
        assert slave.process.poll() is None
    odd.write("end", "")
    for slave in slaves:
        slave.good()


def test_the_entry_in_the_name_server(name_server: int, desk: Desk) -> None:
    """TaskManager.<label>, as published; gone after the end."""
    label = "demo_13:52:16"
    with Proxy(f"PYRO:Pyro.NameServer@localhost:{name_server}") as names:
        master = initializeMasterProcess(label)
        found = names.list(prefix="TaskManager.")
        assert list(found) == [f"TaskManager.{label}"]
        assert str(found[f"TaskManager.{label}"]).endswith(f":{master.pyro_daemon.port}")
        assert master.pyro_ns is not None
        master.shutdown()
        assert names.list(prefix="TaskManager.") == {}


@pytest.mark.parametrize(
    "label",
    [
        "",
        "   ",
        'x"\nimport os',
        "tab\there",
        "null\0",
        "x" * 201,
        "bell\a",
        "line\u2028s",
        "line\ns",
        5,
    ],
    ids=repr,
)
def test_labels_that_cannot_be_used(label: object) -> None:
    """Refused at once, with a text that says what is wrong."""
    with pytest.raises(ValueError, match="label"):
        initializeMasterProcess(label)  # type: ignore[arg-type]


def test_a_label_is_compared_as_it_is(desk: Desk) -> None:
    """Case and spaces matter; two masters in one program can differ in nothing else."""
    masters = [initializeMasterProcess(label) for label in ("demo", "Demo", " demo", "demo ")]
    assert len({m.pyro_daemon.port for m in masters}) == 4
    with pytest.raises(ValueError, match="'Demo' is taken"):
        initializeMasterProcess("Demo")
    for master in masters:
        master.shutdown()
