"""Executing the stored program: its script becomes the main program of this process.

Classes that it defines have the same name on both sides, whatever `__name__` says there.
"""

from __future__ import annotations

import sys
from types import FunctionType
from typing import TYPE_CHECKING, Any

from masterworker.data import definitions, mainmodule
from masterworker.data.rebuilding import show_source

if TYPE_CHECKING:
    from masterworker.program import Program


def fresh_main(package: str = "") -> dict[str, Any]:
    """Put an empty main program in the place of this process's own, which is the command line's.

    The definitions of the master's come to live there.

    Args:
        package: The package that it belongs to; "" for none.

    Returns:
        Its namespace.
    """
    namespace = definitions.live_in_main()
    namespace["__package__"] = package or None
    return namespace


def execute(program: Program) -> None:
    """Execute a `SCRIPT` in a fresh namespace, which becomes the main program.

    Its `__name__` is never "__main__", so guards do not fire.
    """
    namespace = fresh_main() if program.is_main else definitions.live_beside()
    namespace["__file__"] = program.filename
    namespace["__package__"] = program.package or None
    show_source(program.filename, program.source)
    exec(compile(program.source, program.filename, "exec"), namespace)  # noqa: S102  its purpose


def adopt_names() -> dict[str, Any]:
    """Give what the main program has defined the name that it has on the master's side.

    Called by the script when it has defined everything, and begins to work.

    Returns:
        The main program's namespace.
    """
    namespace = sys.modules["__main__"].__dict__
    if namespace.get("__name__") == mainmodule.NAME:
        for value in list(namespace.values()):
            _adopt(value)
        definitions.has_executed()
    return namespace


def _adopt(value: object) -> None:
    if getattr(value, "__module__", None) != mainmodule.NAME:
        return
    if isinstance(value, (FunctionType, mainmodule.CACHED)):
        value.__module__ = mainmodule.MAIN
    elif isinstance(value, type):
        value.__module__ = mainmodule.MAIN
        for inner in list(vars(value).copy().values()):
            _adopt(inner)
