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
