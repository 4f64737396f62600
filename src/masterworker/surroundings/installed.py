"""Which libraries of a program its workers may have from the start: few, known to be harmless."""

from __future__ import annotations

import os
import sys
from typing import Final

#: Their import starts no thread, opens no file, sets nothing in the process, and makes no random
#: generator but that of `numpy.random`; see `docs/worker-environment.md`.
SAFE: Final = frozenset({"networkx", "numpy", "pandas", "scipy", "xarray"})
#: These import pyarrow where it is installed, whose allocator starts a thread: a template that has
#: more than one does not fork.
_WITH_PYARROW: Final = frozenset({"pandas", "xarray"})
#: Folders into which libraries are installed.
_SITES: Final = frozenset({"site-packages", "dist-packages"})


def imported() -> list[str]:
    """Return the public modules of `SAFE` that this process has imported, in their order."""
    safe = SAFE - _WITH_PYARROW if "pyarrow" in sys.modules else SAFE
    return [
        name
        for name in sys.modules.copy()
        if package_of(name) in safe and not any(part[:1] == "_" for part in name.split("."))
    ]


def package_of(name: str) -> str:
    """Return the package that a module belongs to."""
    return name.partition(".")[0]


def is_installed(origin: str) -> bool:
    """Return whether a module's file is one of the installation, and of no project of a user's.

    Where an editable installation has its files, and where a link leads to, decides.
    """
    if origin in {"built-in", "frozen"}:
        return True
    homes = {os.path.dirname(os.__file__)}
    homes |= {entry for entry in sys.path if os.path.basename(entry) in _SITES}
    file = os.path.realpath(origin)
    return any(file.startswith(os.path.realpath(home) + os.sep) for home in homes if home)
