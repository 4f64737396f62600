"""Which batch system is which."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from masterworker.errors import UsageError
from masterworker.pools.systems.condor import Condor
from masterworker.pools.systems.flux import Flux
from masterworker.pools.systems.grid_engine import GridEngine
from masterworker.pools.systems.lsf import Lsf
from masterworker.pools.systems.pbs import Pbs
from masterworker.pools.systems.slurm import Slurm
from masterworker.pools.systems.template import Template

if TYPE_CHECKING:
    from masterworker.pools.pool import Pool
    from masterworker.pools.systems.system import System

#: By the name in `Pool.system`.
SYSTEMS: Final[dict[str, type[System]]] = {
    "slurm": Slurm,
    "sge": GridEngine,
    "pbs": Pbs,
    "lsf": Lsf,
    "flux": Flux,
    "condor": Condor,
}
COMMANDS: Final = "commands"


#: Options with which a submission is not one job whose state can be asked for, or does not return.
_REFUSED: Final = {
    "slurm": ("-a", "--array", "-M", "--clusters", "-W", "--wait", "--test-only"),
    "sge": ("-t", "-sync"),
    "pbs": ("-J", "-t", "-I"),
    "lsf": ("-K", "-I"),
    "flux": ("--cc", "--bcc"),
}


def check_options(pool: Pool) -> None:
    """Check that what is submitted is one job at a time, and such as the system can have.

    Raises:
        UsageError: It is not.
    """
    if pool.nodes > 1 and pool.system != "slurm":
        raise UsageError(
            f"nodes={pool.nodes}: jobs of several nodes are for Slurm only; here each job has one "
            "node, and max= says how many jobs there are at most"
        )
    refused = _REFUSED.get(pool.system, ())
    for word in pool.options:
        short = pool.system == "slurm" and not word.startswith("--") and word[:2] in refused
        if word.partition("=")[0] in refused or short:
            more = "; SLURM_CLUSTERS names another cluster" if pool.system == "slurm" else ""
            raise UsageError(
                f"{word} cannot be used: each submission is one job, by itself (max= says how "
                f"many there are at most){more}"
            )


def system_of(pool: Pool) -> System:
    """Return what speaks the language of a pool's batch system.

    Raises:
        UsageError: There is no such system.
    """
    if pool.system == COMMANDS:
        return Template(pool.commands)
    if pool.system not in SYSTEMS:
        raise UsageError(f"{pool.system!r} is no batch system: {', '.join(SYSTEMS)}, {COMMANDS}")
    return SYSTEMS[pool.system]()
