"""A real Grid Engine on this machine, made and ended by the tests. Needs root.

Debian's, with a cell of its own in one folder, so that nothing of the system is touched.
"""

from __future__ import annotations

import contextlib
import os
import socket
from pathlib import Path

from cluster.daemons import Daemons, lacking

ROOT = Path("/var/lib/gridengine")
CLUSTER = Path("/usr/share/gridengine/scripts/init_cluster")
#: What an editor does to the queue that qconf suggests.
EDITOR = """\
#!/bin/sh
sed -i 's/^pe_list.*/pe_list smp/; s/^slots.*/slots 8/; s/^hostlist.*/hostlist @allhosts/;
s/^load_thresholds.*/load_thresholds NONE/' "$1"
"""
#: A parallel environment, in which a job has several slots of one host.
SMP = """\
pe_name smp
slots 999
user_lists NONE
xuser_lists NONE
start_proc_args NONE
stop_proc_args NONE
allocation_rule $pe_slots
control_slaves FALSE
job_is_first_task TRUE
urgency_slots min
accounting_summary FALSE
qsort_args NONE
"""


def missing() -> str:
    """Say why there can be no Grid Engine here; "": there can."""
    if os.geteuid() != 0:
        return "a Grid Engine of the tests' own needs root"
    programs = ("sge_qmaster", "sge_execd", "qsub", "qstat", "qdel", "qconf")
    if lacking(programs) or not CLUSTER.exists():
        return "not installed: Debian's gridengine-master, gridengine-exec, gridengine-client"
    return ""


class GridEngine:
    """A Grid Engine with one host of 8 slots.

    Args:
        folder: Of its own.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._host = socket.gethostname()
        first, second = _free_ports()
        #: What commands of Grid Engine need.
        self.environment = {
            "SGE_ROOT": str(folder),
            "SGE_CELL": "default",
            "SGE_QMASTER_PORT": str(first),
            "SGE_EXECD_PORT": str(second),
        }
        self._daemons = Daemons(folder, self.environment, "Grid Engine")
        self.run, self.wait_for = self._daemons.run, self._daemons.wait_for

    def begin(self) -> None:
        """Start it, and wait until its host takes jobs."""
        self._make_cell()
        self._daemons.start("sge_qmaster", SGE_ND="1")
        self.wait_for(lambda: self._host in self.run("qconf", "-sh"))
        self._configure()
        self._daemons.start("sge_execd", SGE_ND="1")
        self.wait_for(lambda: "all.q@" in self.run("qstat", "-f"))
        self.wait_for(lambda: "-NA-" not in self.run("qstat", "-f"))

    def _make_cell(self) -> None:
        folder, common = self.folder, self.folder / "default" / "common"
        for name in ("default/common", "spool/qmaster", "spool/execd", "spool/db"):
            (folder / name).mkdir(parents=True)
        for name in ("bin", "lib", "util", "utilbin"):
            (folder / name).symlink_to(ROOT / name)
        lines = []
        for line in (ROOT / "default" / "common" / "bootstrap").read_text().splitlines():
            word = line.partition(" ")[0].strip()
            own = {
                "admin_user": "root",
                "spooling_params": f"{folder}/spool/db",
                "qmaster_spool_dir": f"{folder}/spool/qmaster",
            }
            lines.append(f"{word} {own[word]}" if word in own else line)
        (common / "bootstrap").write_text("\n".join(lines) + "\n")
        (common / "act_qmaster").write_text(f"{self._host}\n")
        (common / "host_aliases").write_text(f"{self._host} localhost\n")
        self.run("sh", str(CLUSTER), str(folder), "default", f"{folder}/spool/db", "root")

    def _configure(self) -> None:
        own = {"execd_spool_dir": f"{self.folder}/spool/execd", "min_uid": "0", "min_gid": "0"}
        self._change("global", ("-sconf", "global"), "-Mconf", own)
        soon = {"schedule_interval": "0:0:1", "flush_submit_sec": "1", "flush_finish_sec": "1"}
        self._change("schedule", ("-ssconf",), "-Msconf", soon)
        self.run("qconf", "-as", self._host)
        self.run("qconf", "-Ahgrp", self._file("hosts", "group_name @allhosts\nhostlist NONE\n"))
        self.run("qconf", "-aattr", "hostgroup", "hostlist", self._host, "@allhosts")
        self.run("qconf", "-Ap", self._file("smp", SMP))
        editor = Path(self._file("editor", EDITOR))
        editor.chmod(0o755)
        self.run("qconf", "-aq", "all.q", EDITOR=str(editor))

    def _change(self, name: str, show: tuple[str, ...], option: str, own: dict[str, str]) -> None:
        lines = []
        for line in self.run("qconf", *show).splitlines():
            word = line.split(maxsplit=1)[0] if line.strip() else ""
            lines.append(f"{word} {own[word]}" if word in own else line)
        self.run("qconf", option, self._file(name, "\n".join(lines) + "\n"))

    def _file(self, name: str, text: str) -> str:
        path = self.folder / name
        path.write_text(text)
        return str(path)

    def jobs(self, letters: str = "") -> list[str]:
        """Return the ids of jobs; those whose state has these letters."""
        lines = self.run("qstat").splitlines()[2:]
        return [line.split()[0] for line in lines if letters in line.split()[4]]

    def clear(self) -> None:
        """Let no job be there."""
        if jobs := self.jobs():
            self.run("qdel", "-f", *jobs)
            self.wait_for(lambda: not self.jobs())

    def close(self) -> None:
        """End all of it."""
        with contextlib.suppress(Exception):
            self.clear()
        self._daemons.close()


def _free_ports() -> tuple[int, int]:
    with (
        socket.create_server(("127.0.0.1", 0)) as first,
        socket.create_server(("127.0.0.1", 0)) as second,
    ):
        return first.getsockname()[1], second.getsockname()[1]
