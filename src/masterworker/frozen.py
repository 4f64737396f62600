"""Programs that are frozen into an application, whose executable is no Python interpreter."""

from __future__ import annotations

import os
import sys

from masterworker.launch.command import is_order
from masterworker.surroundings import python


def freeze_support() -> None:
    """Become a worker, if this process was started as one; does not return then.

    Call this first of all in the main program of an application that is frozen (PyInstaller,
    cx_Freeze, Nuitka), where that starts workers on its own machine. Elsewhere it does nothing.
    """
    python.freeze_supported = True
    if python.STARTING in os.environ and is_order(sys.argv[1:]):
        from masterworker.cli.child import main

        sys.exit(main(sys.argv[1:]))
