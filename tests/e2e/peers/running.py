"""Executes the programs of a file one after the other, and prints what each of them did."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

#: Before what a program prints.
MARK = "=== "


def told(function: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
    """Print what a call returns or raises."""
    try:
        print("returned", function(*args, **kwargs))
    except Exception as error:
        print("raised", type(error).__name__, error.args)


def execute(namespace: dict[str, Any]) -> None:
    """Execute the programs: the functions of a file whose names begin with `program_`."""
    only = sys.argv[2:]
    for name, function in list(namespace.items()):
        short = name.removeprefix("program_")
        if short == name or (only and short not in only):
            continue
        print(f"{MARK}{short}", flush=True)
        try:
            function()
        except Exception as error:
            print("raised", type(error).__name__, error.args)
        sys.stdout.flush()
