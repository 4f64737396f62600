"""`task_manager scale LABEL`: workers by ssh and in batch systems, as many as the job needs."""

from __future__ import annotations

import signal
import sys
import time
from typing import TYPE_CHECKING, Any, Final

import msgspec

from masterworker.cli import exit_codes
from masterworker.cli.finding import find
from masterworker.cli.ticket import places_of
from masterworker.errors import MasterworkerError, UsageError
from masterworker.pools import leftovers
from masterworker.pools import pool as pools
from masterworker.pools.child import READY, WRONG, check_names
from masterworker.pools.driver import Driver
from masterworker.pools.hosts_driver import HostsDriver
from masterworker.pools.job import ScaledJob
from masterworker.pools.keeping import Place
from masterworker.pools.pool import Pool
from masterworker.pools.scaling import Scaling
from masterworker.pools.systems.choice import SYSTEMS
from masterworker.security.peer import Role

if TYPE_CHECKING:
    import argparse

    from masterworker.pools.driving import Driving

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
    job = ScaledJob(label, client, lambda run: places_of(label, run, options))
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
        leftovers.go_on(place, drivers)
        if options.pools_from_stdin:
            print(READY, flush=True)
        scaling = Scaling(job, drivers, place, has_lifeline=options.pools_from_stdin is not None)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) != signal.SIG_IGN:  # as nohup says
                signal.signal(number, lambda *_: scaling.stop())
        scaling.run()
        return exit_codes.OK
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


def _driver(pool: Pool, job: ScaledJob, place: Place) -> Driving:
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
