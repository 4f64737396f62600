"""Batch jobs that a process has left which is gone: they are taken over, or taken back."""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING

import msgspec

from masterworker.errors import MasterworkerError, UsageError
from masterworker.pools import commands, queue
from masterworker.pools.keeping import Place
from masterworker.pools.pool import Pool
from masterworker.pools.systems.choice import system_of
from masterworker.pools.systems.system import State

if TYPE_CHECKING:
    from collections.abc import Sequence

    from masterworker.pools.driving import Driving
    from masterworker.pools.keeping import KeptPool

logger = logging.getLogger("masterworker.pools")


def go_on(place: Place, drivers: Sequence[Driving]) -> None:
    """Take over, or take back, what a process before this one has left."""
    before = place.read()
    for kept in before.pools if before is not None else ():
        for driver in drivers:
            if _is_of(kept, driver.pool):
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
        names = _waiting_taken_back(kept, pool)
    except (MasterworkerError, msgspec.MsgspecError, ValueError) as error:  # it is damaged
        logger.warning("jobs of %r may still wait: %s", label, error)
        return False
    if names:
        logger.warning("took back %s jobs of %r: %s", kept.system, label, ", ".join(names))
    return True


def take_back(label: str) -> None:
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


def _waiting_taken_back(kept: KeptPool, pool: Pool) -> list[str]:
    """Take back the jobs of a process that is gone which still wait. Returns their names.

    Raises:
        MasterworkerError: It is not known how they stand, or they were not taken back.
    """
    system = system_of(pool)
    waiting = [job.name for job in kept.jobs if not job.running]
    if not waiting:
        return []
    entries = queue.ask(system, waiting)
    waiting = [name for name in waiting if name in entries and entries[name].state is State.PENDING]
    if waiting:
        commands.run(system.cancel(waiting))
    return waiting
