"""The options of `task_manager scale`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Batch systems, as they are called here and in messages.
SYSTEMS: Final = {
    "slurm": "sbatch",
    "sge": "qsub of Grid Engine",
    "pbs": "qsub of PBS",
    "lsf": "bsub",
    "flux": "flux batch",
    "condor": "lines of an HTCondor description",
}
#: As the parser calls their values.
NAMES: Final = (
    *SYSTEMS,
    *("ssh", "ssh_options", "direct", "min", "max", "name", "nodes", "python", "setup", "idle"),
    *("dry_run", "resume", "pools_from_stdin"),
)
#: Options whose values may look like options themselves.
_OTHERS: Final = frozenset({*(f"--{system}" for system in SYSTEMS), "--ssh-options", "--setup"})


def add_to(parser: argparse.ArgumentParser) -> None:
    """Let a parser know them."""
    add = parser.add_argument_group("options of scale").add_argument
    for system, whose in SYSTEMS.items():
        said = f"start batch jobs; options for {whose}"
        add(f"--{system}", metavar="OPTIONS", action="append", help=said)  # each is a pool
    hosts = "start workers through ssh, as hostA*4,hostB"
    add("--ssh", metavar="HOSTS", action="append", help=hosts)
    add("--ssh-options", metavar="OPTIONS", help='for ssh, as "-p 2222"')
    add("--direct", action="store_true", default=None, help="ssh: no way back through it")
    add("--min", type=int, metavar="N", help="batch jobs that are there always (default: 0)")
    add("--max", type=int, metavar="N", help="batch jobs at once, at most (default: 10)")
    add("--name", metavar="NAME", help="what show calls these workers")
    add("--nodes", type=int, metavar="N", help="nodes of each batch job (default: 1)")
    add("--python", metavar="PATH", help="the interpreter there (default: this one)")
    add("--setup", metavar="LINE", action="append", help="a line of shell before it; repeatable")
    add("--idle", type=float, metavar="S", help="batch: leave after S s without a task (60)")
    add("--dry-run", action="store_true", default=None, help="print what would be done")
    add("--resume", action="store_true", default=None, help="go on after starts that failed")
    hidden = argparse.SUPPRESS
    parser.add_argument("--pools-from-stdin", action="store_true", default=None, help=hidden)


def joined(arguments: Sequence[str]) -> list[str]:
    """Return a command line in which each value that may look like an option is one word with it.

    Args:
        arguments: As they were typed: `--slurm "-c 8"` is to be as `--slurm="-c 8"`.
    """
    words: list[str] = []
    rest = iter(arguments)
    for word in rest:
        value = next(rest, None) if word in _OTHERS else None
        words.append(word if value is None else f"{word}={value}")
    return words
