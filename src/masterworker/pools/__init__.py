"""Pools: workers of one job that a batch system starts as work comes, or ssh on other machines.

    from masterworker.pools import Slurm

    with Master("sweep", host="0.0.0.0", workers=Slurm("--time=1:00:00 -c 8", max=20)) as master:
        ...

What is asked of a system and what its answers mean (`systems`), what is needed (`need`) and what
to do next (`elastic`) are pure; `driver` and `hosts_driver` speak to the world.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final, Unpack

from msgspec.structs import replace

from masterworker.pools.pool import Commands, Pool, batch_pool, check_commands, ssh_pool

if TYPE_CHECKING:
    from collections.abc import Iterable

    from masterworker.pools.pool import BatchOptions

__all__ = ["BatchSystem", "Flux", "GridEngine", "HTCondor", "Lsf", "Pbs", "Pool", "Slurm", "Ssh"]

#: Workers in batch jobs: what `workers=` of `Master` takes; see `pool.batch_pool` for what can be
#: said. The options are those of sbatch, qsub, bsub, `flux batch`; of HTCondor, lines of a
#: description.
Slurm: Final = partial(batch_pool, "slurm")
GridEngine: Final = partial(batch_pool, "sge")
Pbs: Final = partial(batch_pool, "pbs")
Lsf: Final = partial(batch_pool, "lsf")
Flux: Final = partial(batch_pool, "flux")
HTCondor: Final = partial(batch_pool, "condor")

#: Workers on other machines through ssh; see `pool.ssh_pool`.
Ssh: Final = ssh_pool


def BatchSystem(  # noqa: N802  as the others
    options: str | Iterable[str] = "",
    *,
    submit: str,
    list: str,  # noqa: A002
    cancel: str,
    pattern: str,
    pending: Iterable[str] | None = None,
    running: Iterable[str] | None = None,
    **more: Unpack[BatchOptions],
) -> Pool:
    """Return workers in batch jobs of a system that masterworker does not know.

    Args:
        options: Words that follow the first one of `submit`.
        submit: The command that submits; {script}, {output} and {name} stand for what they say.
        list: The command that says how jobs stand, one on a line, the id first; {user}, {jobs}.
        cancel: The command that takes jobs back; {jobs}.
        pattern: A regular expression that finds the id in what `submit` prints.
        pending: Words of jobs that wait.
        running: Words of jobs that run.
        more: See `pool.batch_pool`.

    Raises:
        UsageError: Something makes no sense; says what to write.
    """
    known = Commands(submit, list, cancel, pattern)
    if pending is not None:
        known = replace(known, pending=tuple(pending))
    if running is not None:
        known = replace(known, running=tuple(running))
    check_commands(known)
    return batch_pool("commands", options, commands=known, **more)
