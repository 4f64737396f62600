"""Which attributes code sets, of what its global names or its own imports stand for."""

from __future__ import annotations

import contextlib
import opcode
from types import CodeType
from typing import Final

from masterworker.data.changing import CHANGERS, CHANGING
from masterworker.data.reading import Found, Reader

#: Functions and attributes that set something, or give what can be changed.
_CALLS: Final = (CHANGERS | CHANGING) | frozenset(
    (
        *("setattr", "delattr", "__setattr__", "__delattr__", "vars", "__dict__", "patch"),
        *("globals", "next", "__class__", "modules"),
    )
)
#: Steps that set something: at the top of a module, and in functions.
_SETTING_AT_TOP: Final = bytes(
    opcode.opmap[each]
    for each in ("STORE_ATTR", "STORE_SUBSCR", "STORE_SLICE", "DELETE_ATTR", "DELETE_SUBSCR")
    if each in opcode.opmap
)
_GLOBALS: Final = bytes((opcode.opmap["STORE_GLOBAL"], opcode.opmap["DELETE_GLOBAL"]))
_SETTING: Final = _SETTING_AT_TOP + _GLOBALS
_STORE_DEREF: Final = opcode.opmap["STORE_DEREF"]
_IMPORT: Final = opcode.opmap["IMPORT_NAME"]
#: Sets an attribute of what is the first parameter.
_OF_FIRST: Final = bytes((opcode.opmap["LOAD_FAST"], 0, opcode.opmap["STORE_ATTR"]))
#: How many codes are remembered.
_KEPT: Final = 20_000

#: By identity, with the code: to compare codes takes longer.
_known: Final = dict[tuple[int, bool], tuple[CodeType, "Found | None"]]()


def found_in(code: CodeType, *, is_main: bool = False) -> Found | None:
    """Return what code sets, and functions inside it; None: nothing. Costs some us for each.

    Args:
        code: The code.
        is_main: It is the main program's: what it gives to functions is returned as well.
    """
    key = id(code), is_main
    known = _known.get(key)
    if known is not None:
        return known[1]
    if len(_known) >= _KEPT:
        _known.clear()
    found = Found([], [], [], [], [], [], [], [])
    with contextlib.suppress(LookupError, ValueError, TypeError):  # it is no reason to fail
        _look(code, found, {}, is_main=is_main, is_inner=False)
    _known[key] = code, found if any(found) else None
    return _known[key][1]


def found_at_top(code: CodeType) -> Found | None:
    """Return what the code of a module sets, without its functions. It is not remembered."""
    found = Found([], [], [], [], [], [], [], [])
    # Most modules import something, and have names that functions declare as globals.
    is_read = not _CALLS.isdisjoint(code.co_names)
    if is_read or any(each in code.co_code[::2] for each in _SETTING_AT_TOP):
        Reader(code, found, {}, is_main=False, is_inner=False).read()
    return found if any(found) else None


def _look(
    code: CodeType, found: Found, imported: dict[str, str], *, is_main: bool, is_inner: bool
) -> None:
    if is_main or _may_set(code):
        imported = dict(imported)
        Reader(code, found, imported, is_main=is_main, is_inner=is_inner).read()
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            _look(constant, found, imported, is_main=is_main, is_inner=True)


def _may_set(code: CodeType) -> bool:
    """Return quickly whether it is worth while to read code."""
    if not _CALLS.isdisjoint(code.co_names):
        return True
    steps = code.co_code[::2]
    if code.co_freevars and _STORE_DEREF in steps:
        return True
    if code.co_name == "__init__" and _only_sets_its_own(code.co_code, steps):
        return False
    return any(each in steps for each in _SETTING) or (
        _IMPORT in steps and any(isinstance(each, CodeType) for each in code.co_consts)
    )  # which may set something of what is imported here


def _only_sets_its_own(data: bytes, steps: bytes) -> bool:
    """Return whether what makes an object sets its attributes, and nothing else."""
    return data.count(_OF_FIRST) == sum(map(steps.count, _SETTING))
