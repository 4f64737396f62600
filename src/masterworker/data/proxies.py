"""Proxies of `multiprocessing`'s managers, which travel with the key of their manager.

The standard library leaves the key out of a pickle, since the children of a process have it; our
workers are none. Without it a proxy arrives, and its first use is refused. What is pickled here
goes to processes of this job only.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_MODULE: Final = "multiprocessing.managers"
#: How each pickle of a proxy spells where what rebuilds it is; none of these is shorter (bytes).
MARK: Final = _MODULE.encode()
SMALLEST: Final = 100


def reduce_proxy(obj: Any) -> tuple[Any, ...] | None:
    """Say how to pickle a proxy, as `pickle.Pickler.reducer_override`; None: it is none."""
    managers = sys.modules.get(_MODULE)
    if managers is None or not issubclass(type(obj), managers.BaseProxy):
        return None
    make, args = obj.__reduce__()[:2]
    if make is not managers.RebuildProxy:
        return None
    *which, keywords = args
    return rebuild, (make, (*which, keywords), bytes(obj._authkey))


def rebuild(make: Callable[..., Any], args: tuple[Any, ...], key: bytes) -> Any:
    """Make a proxy again."""
    *which, keywords = args
    return make(*which, {**keywords, "authkey": key})
