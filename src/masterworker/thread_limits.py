"""How many threads numerical libraries of this process may use: those loaded now, and later ones.

A library that is not loaded yet reads its environment variable when it is. Of those that are,
OpenMP, OpenBLAS, MKL and BLIS are set through `threadpoolctl`, where that is installed.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

#: Variables by which numerical libraries choose their number of threads.
THREADS: Final = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "BLIS_NUM_THREADS",
)
#: Of Numba, which refuses another number in its variable once its threads run.
_NUMBA: Final = "NUMBA_NUM_THREADS"
VARIABLES: Final = (*THREADS, _NUMBA)
#: Lets TBB's schedulers in several processes agree on the number of their threads.
TBB: Final = "ENABLE_IPC"


class _Now:
    """What holds in this process."""

    number: int | None = None
    #: The variables as they were before.
    before: dict[str, str | None]
    #: What takes the limits of loaded libraries back.
    pools: Any = None


_now: Final = _Now()


def limit_threads(number: int | None) -> None:
    """Let each numerical library use this number of threads. Costs nothing where it does already.

    Args:
        number: The number; None: as before the first limit.
    """
    if number == _now.number:
        return
    if _now.number is not None:
        _restore()
    if number is not None:
        _limit(number)
    _now.number = number


def begin(number: int, then: Callable[[], object] | None) -> None:
    """Begin a worker: an initializer that limits threads first, and calls another one."""
    limit_threads(number)
    if then is not None:
        then()


def _limit(number: int) -> None:
    wanted = dict.fromkeys(VARIABLES, str(number))
    if "numba" in sys.modules:
        del wanted[_NUMBA]
    if TBB not in os.environ:
        wanted[TBB] = "1"
    _now.before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        from threadpoolctl import threadpool_limits
    except ImportError:
        if "numpy" in sys.modules:
            import logging  # a template begins before a master has it

            logging.getLogger("masterworker.worker").warning(
                "libraries that are loaded already may use more threads than %d: "
                "pip install threadpoolctl",
                number,
            )
    else:
        _now.pools = threadpool_limits(number)
    for name in ("numba", "numexpr"):
        library = sys.modules.get(name)
        if library is not None:
            most = library.config.NUMBA_NUM_THREADS if name == "numba" else number
            library.set_num_threads(min(number, most))


def _restore() -> None:
    for name, value in _now.before.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    if _now.pools is not None:
        _now.pools.restore_original_limits()
        _now.pools = None
