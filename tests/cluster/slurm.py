"""A real Slurm of two nodes on this machine, made and ended by the tests. Needs root.

Everything of it is in one folder, and everything that is started is ended by its process id.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import socket
from typing import TYPE_CHECKING

from cluster.daemons import Daemons, lacking

if TYPE_CHECKING:
    from pathlib import Path

#: What has to be installed: Debian's slurm-wlm and munge.
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel", "scontrol")

CONFIGURATION = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CryptoType=crypto/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MpiDefault=none
SchedulerParameters=sched_interval=1,batch_sched_delay=0,bf_interval=1
SchedulerType=sched/backfill
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
KillWait=30
InactiveLimit=0
MinJobAge=60
ReturnToService=2
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
NodeName=n[1-2] NodeHostname={host} NodeAddr=127.0.0.1 Port=[{first}-{last}] CPUs=8
PartitionName=cpu Nodes=n[1-2] Default=YES MaxTime=INFINITE State=UP PriorityTier=1
PartitionName=urgent Nodes=n[1-2] MaxTime=INFINITE State=UP PriorityTier=10
"""


def missing() -> str:
    """Say why there can be no Slurm here; "": there can."""
    if os.geteuid() != 0:
        return "a Slurm of the tests' own needs root"
    lacks = lacking(PROGRAMS)
    return f"not installed: {', '.join(lacks)} (Debian: slurm-wlm, munge)" if lacks else ""


class Slurm:
    """A Slurm with two nodes of 8 processors.

    Args:
        folder: Of its own; below a short path, since sockets are in it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.configuration = folder / "slurm.conf"
        #: What commands of Slurm need.
        self.environment = {"SLURM_CONF": str(self.configuration)}
        self._daemons = Daemons(folder, self.environment, "Slurm")
        self.run, self.wait_for = self._daemons.run, self._daemons.wait_for

    def begin(self) -> None:
        """Start it, and wait until both nodes are idle."""
        ports = _free_ports(3)
        for name in ("state", "spool-n1", "spool-n2"):
            (self.folder / name).mkdir(parents=True)
        text = CONFIGURATION.format(
            folder=self.folder,
            host=socket.gethostname().split(".")[0],
            port=ports[0],
            first=min(ports[1:]),
            last=max(ports[1:]),
        )
        self.configuration.write_text(text)
        self._munge()
        self._daemons.start("slurmctld", "-D", "-c", "-f", str(self.configuration))
        for node in ("n1", "n2"):
            self._daemons.start("slurmd", "-D", "-N", node, "-f", str(self.configuration))
        self.wait_for(lambda: self.run("scontrol", "-o", "show", "nodes").count("State=IDLE ") == 2)

    def _munge(self) -> None:
        user = pwd.getpwnam("munge")
        for place in (self.folder, self.folder.parent):
            place.chmod(0o755)
        own = self.folder / "munge"
        own.mkdir()
        key = own / "key"
        key.write_bytes(os.urandom(1024))
        key.chmod(0o400)
        for path in (own, key):
            os.chown(path, user.pw_uid, user.pw_gid)
        options = ["--foreground", "--force", f"--key-file={key}"]
        options += [f"--{what}={own / what}" for what in ("pid-file", "log-file", "seed-file")]
        socket_path = own / "munge.socket"
        self._daemons.start("munged", *options, f"--socket={socket_path}", user=user.pw_uid)
        link = self.folder / "munge.socket"
        link.symlink_to(socket_path)
        self.wait_for(socket_path.exists)

    def jobs(self, *states: str) -> list[str]:
        """Return the ids of jobs in these states; none given: that wait or run."""
        which = [f"--states={','.join(states)}"] if states else []
        return self.run("squeue", "--noheader", *which, "--format=%i").split()

    def clear(self) -> None:
        """Let no job be there."""
        if jobs := self.jobs():
            self.run("scancel", "--signal=KILL", "--full", *jobs)
            self.run("scancel", *jobs)
            self.wait_for(lambda: not self.jobs())

    def close(self) -> None:
        """End all of it."""
        with contextlib.suppress(Exception):
            self.clear()
        self._daemons.close()


def _free_ports(number: int) -> list[int]:
    """Return free ports; all but the first follow one another."""
    while True:
        with contextlib.ExitStack() as stack:
            ports = []
            try:
                first = stack.enter_context(socket.create_server(("127.0.0.1", 0))).getsockname()[1]
                base = stack.enter_context(socket.create_server(("127.0.0.1", 0))).getsockname()[1]
                ports = [first, base]
                for more in range(1, number - 1):
                    stack.enter_context(socket.create_server(("127.0.0.1", base + more)))
                    ports.append(base + more)
            except (OSError, OverflowError):
                continue
            return ports
