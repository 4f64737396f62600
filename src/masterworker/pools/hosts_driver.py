"""Workers on other machines through ssh: one ssh for each machine, which is their lifeline."""

from __future__ import annotations

import contextlib
import logging
import shlex
import subprocess
import sys
import threading
import time
from typing import IO, TYPE_CHECKING, Final

from masterworker.data.record import printable
from masterworker.errors import MasterworkerError
from masterworker.pools import commands, hosts, keeping
from masterworker.pools.keeping import KeptJob, KeptPool

if TYPE_CHECKING:
    from collections.abc import Callable

    from masterworker.pools.pool import Pool
    from masterworker.recorder.shapes import Snapshot

logger = logging.getLogger("masterworker.pools")

#: Pauses before a machine is tried again (seconds), and failures in a row until it is paused.
PAUSES: Final = (2.0, 300.0)
TRIES: Final = 5
#: A connection that has been up for this long was a good one (seconds).
GOOD: Final = 60.0
#: Seconds that workers have to finish what they are doing when the line breaks.
GRACE: Final = 10.0
#: At the end of the job workers leave by themselves within this time (seconds).
LAST_STEPS: Final = 15.0
#: Longest time until ssh names the port of the way back (seconds).
TUNNEL: Final = 60.0
VALID: Final = "30d"


class _Machine:
    """One machine, and the ssh to it."""

    def __init__(self, host: str, number: int) -> None:
        self.host, self.number = host, number
        self.process: subprocess.Popen[bytes] | None = None
        self.began = 0.0
        self.failures = 0
        #: When it is to be tried; None: not any more.
        self.due: float | None = 0.0
        self.said: list[str] = []
        self.has_ticket = False
        #: Where the master listened when it began.
        self.way = ("", 0)


class HostsDriver:
    """Workers on the machines of one pool. Not thread-safe.

    Args:
        label: Of the job.
        pool: What is asked for.
        way: Says where the master is reached from this machine.
        ticket: Makes a ticket, valid for so long, with this address of the master; 0: its own.
    """

    def __init__(
        self,
        label: str,
        pool: Pool,
        way: Callable[[], tuple[str, int]],
        ticket: Callable[[str, int], str],
    ) -> None:
        self.pool = pool
        self._label, self._way, self._ticket = label, way, ticket
        self._machines = [_Machine(host, number) for host, number in pool.hosts]
        self._finished = False
        self.note: Callable[[], None] = lambda: None

    def check(self) -> None:
        """See `Driving.check`: ssh."""
        commands.require(("ssh",), "OpenSSH")

    def shown(self) -> str:
        """See `Driving.shown`."""
        way = None if self.pool.direct else self._way()
        lines = [
            hosts.command(self.pool, each.host, each.number, way, GRACE) for each in self._machines
        ]
        return "\n".join(shlex.join(line) for line in lines)

    def turn(self, snapshot: Snapshot, need: int) -> None:
        """See `Driving.turn`: all machines have their workers, whatever the need."""
        del snapshot, need
        now = time.monotonic()
        for machine in self._machines:
            if machine.process is not None and machine.process.poll() is not None:
                self._ended(machine, now)
            elif machine.process is not None and self._is_stuck(machine, now):
                machine.said.append(f"ssh has opened no way back within {TUNNEL:.0f} s")
                _kill(machine.process)
                self._ended(machine, now)
            if machine.process is None and machine.due is not None and now >= machine.due:
                self._start(machine, now)

    def here(self) -> int:
        """See `Driving.here`: its workers stay."""
        return 0

    def most(self) -> int:
        """See `Driving.most`."""
        return 0

    def resume(self) -> None:
        """See `Driving.resume`: all machines are tried again."""
        for machine in self._machines:
            if machine.process is None:
                machine.due, machine.failures = 0.0, 0

    def finish(self) -> None:
        """See `Driving.finish`: workers leave by themselves, or with their ssh."""
        self._finished = True
        end = time.monotonic() + LAST_STEPS
        for machine in self._machines:
            if (process := machine.process) is None:
                continue
            try:
                process.wait(max(0.0, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                _kill(process)
            _close_input(process)

    def close(self) -> None:
        """See `Driving.close`: nothing is kept."""

    def waiting(self) -> list[str]:
        """See `Driving.waiting`: there is no queue."""
        return []

    def adopt(self, kept: KeptPool) -> None:
        """See `Driving.adopt`: its workers ended with its lines."""

    def renew(self) -> None:
        """See `Driving.renew`: begin anew where the way back leads to the old port."""
        way = self._way()
        for machine in self._machines:
            if machine.process is not None and machine.way != way:
                _kill(machine.process)
                _close_input(machine.process)
                machine.process, machine.due, machine.failures = None, 0.0, 0

    def kept(self) -> KeptPool:
        """See `Driving.kept`."""
        running = [each for each in self._machines if each.process is not None]
        given_up = [each for each in self._machines if each.process is None and each.due is None]
        paused = "; ".join(f"{each.host}: {_last(each)}" for each in given_up)
        troubles = [each for each in self._machines if each.failures and each.due is not None]
        trouble = "; ".join(f"{each.host}: {_last(each)}" for each in troubles)
        number = len(self._machines)
        return KeptPool(
            self.pool.name,
            "ssh",
            number,
            number,
            [KeptJob(each.host, running=True) for each in running],
            failed=len(given_up),
            paused=paused,
            trouble=trouble,
            pool=keeping.encode(self.pool),
        )

    # -- inside -----------------------------------------------------------------------------

    def _start(self, machine: _Machine, now: float) -> None:
        try:
            machine.way = self._way()
        except MasterworkerError as error:  # it is being started again
            machine.said, machine.due = [str(error)], now + PAUSES[0]
            return
        way = None if self.pool.direct else machine.way
        command = hosts.command(self.pool, machine.host, machine.number, way, GRACE)
        machine.began, machine.said, machine.has_ticket = now, [], False
        try:
            machine.process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,  # a Ctrl-C here is not one there
            )
        except OSError as error:
            machine.said = [f"ssh cannot be started: {error}"]
            self._ended(machine, now)
            return
        for stream, wants in ((machine.process.stdout, False), (machine.process.stderr, True)):
            threading.Thread(
                target=self._read,
                args=(machine, machine.process, stream, way if wants else None),
                name="masterworker-ssh",
                daemon=True,
            ).start()
        if way is None:
            self._give_ticket(machine, machine.process, 0)

    def _read(
        self,
        machine: _Machine,
        process: subprocess.Popen[bytes],
        stream: IO[bytes],
        way: tuple[str, int] | None,
    ) -> None:
        """Pass on what workers print; the port of the way back comes first."""
        with stream:
            for raw in stream:
                line = raw.decode("utf-8", "replace").rstrip("\r\n")
                if way is not None and (port := hosts.allocated_port(line, way)):
                    way = None
                    self._give_ticket(machine, process, port)
                    continue
                if hosts.is_noise(line):
                    continue
                machine.said = [*machine.said[-4:], line]
                sys.stderr.write(f"{printable(f'{machine.host}: {line}')}\n")
                sys.stderr.flush()

    def _give_ticket(self, machine: _Machine, process: subprocess.Popen[bytes], port: int) -> None:
        """Write the ticket to the other side, where the worker's supervisor reads it."""
        try:
            assert process.stdin is not None  # noqa: S101  it is a pipe
            process.stdin.write(self._ticket(VALID, port).encode() + b"\n")
            process.stdin.flush()  # and it stays open: its end is that of this process
            machine.has_ticket = True
        except (OSError, ValueError):
            machine.said.append("the line broke before the ticket was across")
        except Exception:
            logger.exception("pool %s: no ticket could be made", self.pool.name)
            process.terminate()

    def _is_stuck(self, machine: _Machine, now: float) -> bool:
        return not (self.pool.direct or machine.has_ticket) and now - machine.began > TUNNEL

    def _ended(self, machine: _Machine, now: float) -> None:
        status = None
        if machine.process is not None:
            status = machine.process.poll()
            _close_input(machine.process)
        machine.process = None
        if self._finished or status == 0:
            machine.due = None
            return
        machine.failures = 1 if now - machine.began > GOOD else machine.failures + 1
        if machine.failures >= TRIES:
            machine.due = None
            logger.warning(
                "pool %s: %s is given up after %d failures: %s. Go on with: "
                "task_manager scale %s --resume",
                *(self.pool.name, machine.host, machine.failures, _last(machine), self._label),
            )
            return
        machine.due = now + min(PAUSES[1], PAUSES[0] * 2 ** (machine.failures - 1))
        logger.warning(
            "pool %s: %s: %s (tried again in %.0f s)",
            *(self.pool.name, machine.host, _last(machine), machine.due - now),
        )


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End an ssh that does not end by itself; the other side hears that its line is gone."""
    process.terminate()
    try:
        process.wait(LAST_STEPS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _close_input(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None  # noqa: S101  it is a pipe
    with contextlib.suppress(OSError):  # what was not written is of no use now
        process.stdin.close()


def _last(machine: _Machine) -> str:
    said = [line for line in machine.said if line.strip()]
    return printable(said[-1].strip()[:200]) if said else "ssh ended"
