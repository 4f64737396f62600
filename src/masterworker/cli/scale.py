"""`task_manager scale LABEL`: workers by ssh and in batch systems, as many as the job needs."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, Final

import msgspec

from masterworker import units
from masterworker.cli import exit_codes
from masterworker.cli.finding import find
from masterworker.cli.ticket import places_of
from masterworker.client import Client
from masterworker.errors import JobEndedError, MasterworkerError, TransportError, UsageError
from masterworker.pools import driver as batch
from masterworker.pools import pool as pools
from masterworker.pools.child import READY, WRONG, check_names
from masterworker.pools.driver import Driver
from masterworker.pools.hosts_driver import HostsDriver
from masterworker.pools.keeping import Place
from masterworker.pools.need import workers_needed
from masterworker.pools.pool import Pool
from masterworker.pools.systems.choice import SYSTEMS
from masterworker.security import ticket
from masterworker.security.peer import Role
from masterworker.transport.discovery import reach
from masterworker.transport.hosts import is_local
from masterworker.views.picture import Picture

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from masterworker.pools.keeping import KeptPool
    from masterworker.recorder.shapes import Snapshot

logger = logging.getLogger("masterworker.pools")

#: Between two looks at the job (seconds).
TURN: Final = 1.0
#: A master that does not answer is gone after this time; with a journal it may come back (s).
GONE: Final = 30.0
COMES_BACK: Final = 600.0
#: Jobs that wait are taken back within this time at the end (seconds).
LAST_STEPS: Final = 30.0
#: A program that is started again waits so long for what its run before has left to end (seconds).
SUCCESSION: Final = 50.0


def run(label: str, options: argparse.Namespace) -> int:
    """Scale the workers of a job until it is over."""
    if options.resume:
        return _resume(Place(label))
    try:
        return _run(label, options)
    except MasterworkerError as error:
        if options.pools_from_stdin:  # the program that has started this says it
            print(f"{WRONG}{error}", flush=True)
            return exit_codes.USAGE
        raise


def _run(label: str, options: argparse.Namespace) -> int:
    place = Place(label)
    asked = _pools_from_stdin() if options.pools_from_stdin else _pools(options)
    client = find(label, options.master, wait=options.wait, role=Role.OBSERVER)
    job = _Job(label, options, client)
    drivers = [_driver(pool, job, place) for pool in asked]
    for driver in drivers:
        driver.check()
    if any(pool.system != "ssh" or pool.direct for pool in asked):
        job.require_reachable()
    if options.dry_run:
        print("\n\n".join(driver.shown() for driver in drivers))
        return exit_codes.OK
    if not _own(place, SUCCESSION if options.pools_from_stdin else 0.0):
        raise UsageError(f"another process scales {label!r} already (task_manager show {label})")
    try:
        _go_on(place, drivers)
        if options.pools_from_stdin:
            print(READY, flush=True)
        return _Scaling(job, drivers, place, options.pools_from_stdin).run()
    finally:
        place.let_go()


def _own(place: Place, bound: float) -> bool:
    """Become the one that scales; one whose program is gone makes room. False: there is another."""
    end = time.monotonic() + bound
    while not place.own():
        if time.monotonic() >= end:
            return False
        place.succeed()
    return True


def _driver(pool: Pool, job: _Job, place: Place) -> Driver | HostsDriver:
    if pool.system == "ssh":
        return HostsDriver(job.label, pool, job.way, job.ticket)
    return Driver(job.label, pool, place, job.ticket)


def _pools(options: argparse.Namespace) -> list[Pool]:
    """Read what is asked for.

    Raises:
        UsageError: Nothing, or what makes no sense.
    """
    found = []
    common: dict[str, Any] = {"python": options.python or "", "setup": options.setup or ()}
    for system in SYSTEMS:
        more = {"min": options.min, "max": options.max, "nodes": options.nodes}
        more |= {"workers": options.number, "idle": options.idle, "name": options.name}
        said = {name: value for name, value in more.items() if value is not None}
        for number, given in enumerate(getattr(options, system) or (), 1):
            called = {"name": system if number == 1 else f"{system}-{number}"} | said
            found.append(pools.batch_pool(system, given, **common, **called))
    if options.ssh is not None:
        given = options.ssh_options or ""
        hosts = ",".join(options.ssh)
        found.append(pools.ssh_pool(hosts, options=given, direct=bool(options.direct), **common))
    if not found:
        names = ", ".join(f"--{system}" for system in SYSTEMS)
        raise UsageError(f'say where workers are to be started: {names} "OPTIONS", or --ssh HOSTS')
    check_names(found)
    return found


def _pools_from_stdin() -> list[Pool]:
    """Read what a program has asked for, which wrote one line."""
    return msgspec.json.decode(sys.stdin.buffer.readline(), type=list[Pool])


def _resume(place: Place) -> int:
    if not place.is_owned():
        raise UsageError(f"no process scales {place.label!r} now, so there is nothing to resume")
    try:
        place.resume()
    except OSError as error:
        raise UsageError(f"it cannot be told to go on: {error}") from None
    return exit_codes.OK


def _go_on(place: Place, drivers: Sequence[Driver | HostsDriver]) -> None:
    """Take over, or take back, what a process before this one has left."""
    before = place.read()
    for kept in before.pools if before is not None else ():
        for driver in drivers:
            if isinstance(driver, Driver) and _is_of(kept, driver.pool):
                driver.adopt(kept)
                break
        else:
            _take_back(place.label, kept)


def _is_of(kept: KeptPool, pool: Pool) -> bool:
    """Return whether kept jobs are those of a pool: ids mean something in one system only."""
    try:
        was = msgspec.json.decode(kept.pool, type=Pool)
    except msgspec.MsgspecError:
        return False
    return (was.system, was.commands, was.name) == (pool.system, pool.commands, pool.name)


def _take_back(label: str, kept: KeptPool) -> bool:
    """Take back what still waits of a pool. False: it is to be tried again."""
    try:
        pool = msgspec.json.decode(kept.pool, type=Pool)
        if pool.system == "ssh" or not kept.jobs:
            return True
        names = batch.take_back(kept, pool)
    except (MasterworkerError, msgspec.MsgspecError, KeyError, ValueError) as error:
        print(f"task_manager: jobs of {label!r} may still wait: {error}", file=sys.stderr)
        return False
    if names:
        which = ", ".join(names)
        print(f"task_manager: took back {kept.system} jobs of {label!r}: {which}", file=sys.stderr)
    return True


def take_back_what_is_left(label: str) -> None:
    """Take back the jobs that still wait for a label whose scaling process is gone."""
    with contextlib.suppress(UsageError, OSError):  # there is no folder for it, or no right to it
        place = Place(label)
        if place.is_owned() or (kept := place.read()) is None:
            return
        if not any(pool.jobs for pool in kept.pools) or not place.own():
            return
        try:
            place.save([pool for pool in kept.pools if not _take_back(label, pool)])
        finally:
            place.let_go()


class _Job:
    """The job whose workers are scaled: where its master is, and tickets for it."""

    def __init__(self, label: str, options: argparse.Namespace, client: Client) -> None:
        self.label = label
        self._options = options
        self.client = Client(lambda: reach(label, options.master, Role.OBSERVER))
        self.run = client.call("instance")
        self.id = client.job() or self.run
        self.comes_back = bool(client.job())
        client.disconnect()

    def again(self) -> bool:
        """Return whether the master was started again since, and take note of it."""
        run = self.client.call("instance")
        if run == self.run:
            return False
        job = self.client.job() or run
        self.run, self.id = run, job
        return True

    def places(self) -> list[tuple[str, int]]:
        """Return the addresses of the master."""
        options = self._options
        return places_of(self.label, self.run, options)

    def way(self) -> tuple[str, int]:
        """Return where the master is reached from this machine: by a loopback address, if any."""
        places = self.places()
        return next((each for each in places if is_local(each[0])), places[0])

    def require_reachable(self) -> None:
        """Check that workers of other machines can reach the master.

        Raises:
            UsageError: They cannot.
        """
        if all(is_local(host) for host, _ in self.places()):
            raise UsageError(
                "this master is reached from this machine only, so workers of a batch system "
                "cannot join: start it with MASTERWORKER_HOST set to an address of this machine "
                "(or Master(host=...)), or to 0.0.0.0 for all of them"
            )

    def ticket(self, valid: str, port: int = 0) -> str:
        """Return a ticket.

        Args:
            valid: How long.
            port: Where the master is to be found on the machine of the worker; 0: its addresses.
        """
        places = [("127.0.0.1", port)] if port else self.places()
        return ticket.issue(self.label, self.id, places, valid=units.duration(valid)).text()


class _Scaling:
    """Looks at the job once a second, and lets each pool do what is to be done."""

    def __init__(
        self,
        job: _Job,
        drivers: Sequence[Driver | HostsDriver],
        place: Place,
        has_lifeline: bool,
    ) -> None:
        self._job, self._drivers, self._place = job, drivers, place
        self._picture = Picture(job.client.look)
        self._over, self._pause = threading.Event(), threading.Event()
        self._answered = time.monotonic()
        for driver in drivers:
            driver.note = self._save
        self._kept: list[Any] = []
        self._said = False
        self._has_lifeline, self._parent = has_lifeline, os.getppid()
        self._is_closed, self._has_heir = False, False
        if has_lifeline:
            threading.Thread(target=self._hold, name="masterworker-lifeline", daemon=True).start()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) != signal.SIG_IGN:  # as nohup says
                signal.signal(number, self._on_signal)

    def run(self) -> int:
        """Go on until the job is over."""
        try:
            while not self._over.is_set():
                self._turn()
                self._save()
                self._over.wait(TURN)
        finally:  # whatever went wrong, no job is left in a queue
            if not self._has_heir:
                self._finish()
        return exit_codes.OK

    def _hold(self) -> None:
        """Wait until the program that has started this process is gone."""
        while os.read(0, 1024):  # not by sys.stdin, whose lock this thread would keep at the end
            pass
        self._is_closed = True

    def _is_orphan(self) -> bool:
        """Return whether the program is gone; a fork of it may keep the pipe open."""
        is_gone = self._is_closed or os.getppid() != self._parent
        return self._has_lifeline and is_gone

    def _on_signal(self, *_: Any) -> None:
        self._over.set()

    def _turn(self) -> None:
        if self._is_orphan() and self._place.is_to_succeed():
            self._has_heir = True
            self._over.set()
            return
        try:
            snapshot = self._picture.update()
        except JobEndedError:
            self._over.set()
            return
        except MasterworkerError as error:
            if not isinstance(error, TransportError):
                logger.warning("the job cannot be looked at: %s", error)
            self._without_answer()
            return
        self._answered = time.monotonic()
        if snapshot.ended:
            self._over.set()
            return
        is_other = snapshot.instance != self._job.run
        if is_other and self._has_lifeline and not self._is_orphan():
            self._over.set()  # the next job of this program, which has what scales its own workers
            return
        try:
            is_new_run = is_other and self._job.again()
        except MasterworkerError:  # it is gone in this moment
            return
        if is_new_run:
            for driver in self._drivers:
                with contextlib.suppress(OSError, MasterworkerError):  # tried again in its turn
                    driver.renew()
        if self._place.is_to_resume():
            for driver in self._drivers:
                _resume_driver(driver)
        self._scale(snapshot)

    def _without_answer(self) -> None:
        """The master does not answer: it is busy, gone, or to come back."""
        is_orphan = self._is_orphan()
        bound = COMES_BACK if self._job.comes_back else 0.0 if is_orphan else GONE
        if self._has_lifeline and not is_orphan:
            return
        if time.monotonic() - self._answered > bound:
            self._over.set()

    def _scale(self, snapshot: Snapshot) -> None:
        """Divide what is needed among the pools, in their order."""
        ours = sum(_here(driver) for driver in self._drivers)
        left = workers_needed(snapshot) - max(0, snapshot.workers - ours)
        for driver in self._drivers:
            driver.turn(snapshot, max(0, left))
            if isinstance(driver, Driver):
                left -= driver.pool.max * driver.elastic.workers_each

    def _save(self) -> None:
        kept = [driver.kept() for driver in self._drivers]
        if kept != self._kept:
            try:
                self._place.save(kept)
                self._kept = kept
            except (OSError, UsageError) as error:
                if not self._said:
                    print(f"task_manager: what runs cannot be noted: {error}", file=sys.stderr)
                self._said = True

    def _finish(self) -> None:
        end = time.monotonic() + LAST_STEPS
        while True:
            for driver in self._drivers:
                driver.finish()
            self._save()
            if not any(driver.waiting() for driver in self._drivers) or time.monotonic() > end:
                break
            self._pause.wait(TURN)
        for driver in self._drivers:
            driver.close()


def _here(driver: Driver | HostsDriver) -> int:
    if isinstance(driver, HostsDriver):
        return 0
    return sum(job.here for job in driver.elastic.jobs.values())


def _resume_driver(driver: Driver | HostsDriver) -> None:
    if isinstance(driver, HostsDriver):
        driver.resume()
    else:
        driver.elastic.resume()
