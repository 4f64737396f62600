"""Whether workers are forks of a template, or programs of their own: decided here alone."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from masterworker.launch.resources import usable_cpus
from masterworker.launch.template import machines

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from masterworker.surroundings.python import Interpreter

#: "0": no templates.
VARIABLE: Final = "MASTERWORKER_TEMPLATE"
#: Options that a fork has as well as its template.
_OPTIONS: Final = frozenset({"-P", "-B", "-s", "-u", "-q", "-O", "-OO", "-b", "-bb"})
_X_OPTIONS: Final = frozenset({"utf8", "int_max_str_digits", "no_debug_ranges", "pycache_prefix"})
#: Variables of tools that trace new processes from their first line on.
_TRACERS: Final = (
    "COV_CORE_",
    "COVERAGE_PROCESS_",
    "PYTHONTRACEMALLOC",
    "PYTHONINSPECT",
    "PYTHONPROFILEIMPORTTIME",
)


def reason_against(interpreter: Interpreter, environment: Mapping[str, str]) -> str:
    """Return why workers of this kind are not forked from a template; "": they are."""
    return next(_reasons(interpreter, environment), "")


def _reasons(interpreter: Interpreter, environment: Mapping[str, str]) -> Iterator[str]:
    if environment.get(VARIABLE) == "0":
        yield f"{VARIABLE} is 0"
    if why := machines.reason_against():
        yield why
    if interpreter.frozen or interpreter.executable != sys.executable:
        yield "another interpreter than that of this process executes them"
    for option in interpreter.options:
        if option not in _OPTIONS and not option.startswith("-W") and not _is_known_x(option):
            yield f"the interpreter is started with {option}"
    for name in environment:
        if name.startswith(_TRACERS):
            yield f"new processes are traced ({name})"
    if usable_cpus() < 2:
        yield "one processor may be used"


def _is_known_x(option: str) -> bool:
    return option.startswith("-X") and option[2:].partition("=")[0] in _X_OPTIONS
