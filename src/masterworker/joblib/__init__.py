"""A backend for joblib: importing this registers its name, "masterworker".

import joblib, masterworker.joblib

with joblib.parallel_config(backend="masterworker", n_jobs=-1):
    joblib.Parallel()(joblib.delayed(simulate)(each) for each in parameters)
"""

from __future__ import annotations

from typing import Any

from masterworker.launch.process_context import this_process

try:
    from joblib import register_parallel_backend
except ImportError as error:
    raise ImportError(
        "masterworker.joblib needs joblib 1.4 or later: pip install 'masterworker[joblib]'"
    ) from error

__all__ = ["shutdown"]


def _backend(**options: Any) -> Any:
    from masterworker.joblib.backend import MasterworkerBackend

    return MasterworkerBackend(**options)


def shutdown() -> None:
    """End the workers that joblib calls have left running. A later call starts new ones.

    Those of a call that is under way in another thread end with that call.
    """
    from masterworker.joblib import pools

    pools.shut_down()


register_parallel_backend("masterworker", _backend)
if not this_process.is_worker:  # workers do without, as a rule
    import masterworker.joblib.backend  # noqa: F401  not later: a program that ends cannot import it
