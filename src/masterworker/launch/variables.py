"""The environment of worker processes."""

from __future__ import annotations

from masterworker.launch.resources import usable_cpus
from masterworker.surroundings.python import HASH_SEED
from masterworker.thread_limits import THREADS


def environment(given: dict[str, str], workers: int, hash_seed: str = "") -> dict[str, str]:
    """Return the environment of worker processes: numerical libraries share the processors.

    Args:
        given: That of this process. If one of `THREADS` is set there, none is changed.
        workers: How many processes there will be.
        hash_seed: One for all workers of the job; "": that of this process, if any.
    """
    variables = dict(given)
    if hash_seed:
        variables[HASH_SEED] = hash_seed
    if not any(name in given for name in THREADS):
        threads = str(max(1, usable_cpus() // max(1, workers)))
        variables |= dict.fromkeys(THREADS, threads)
    return variables
