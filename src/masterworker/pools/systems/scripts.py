"""The text of a batch script: what the user wants before it, and then this very interpreter."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from masterworker.pools.pool import Pool

#: Slurm starts one of each on every node, and the others go on without one that is lost.
_ON_EACH_NODE: Final = ("--ntasks-per-node=1", "--kill-on-bad-exit=0", "--no-kill")


def text(pool: Pool, command: Sequence[str]) -> str:
    """Return a script that becomes a command: so signals of the batch system reach that itself.

    Args:
        pool: Its lines of setup come first, as the user wrote them.
        command: Each word is one word, whatever is in it.
    """
    if pool.nodes > 1:
        command = ("srun", f"--ntasks={pool.nodes}", *_ON_EACH_NODE, *command)
    first = f"#!{' '.join(shell(pool))}"
    return "\n".join([first, *pool.setup, f"exec {shlex.join(command)}", ""])


def shell(pool: Pool) -> list[str]:
    """Return the shell that reads it: `module` and its like are there in login shells only."""
    return ["/bin/bash", "-l"] if pool.setup else ["/bin/sh"]
