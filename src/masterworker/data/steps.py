"""The steps of compiled code, with the names that they are about: quicker than `dis` makes them."""

from __future__ import annotations

import opcode
import sys
from opcode import stack_effect
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import CodeType

_NAMES: Final = opcode.opname
_HAS_ARGUMENT: Final = opcode.HAVE_ARGUMENT
_OF_NAMES: Final = frozenset(opcode.hasname)
_OF_VARIABLES: Final = frozenset((*opcode.haslocal, *opcode.hasfree))
_OF_CONSTANTS: Final = frozenset(opcode.hasconst)
_EXTENDED: Final = opcode.opmap["EXTENDED_ARG"]
#: Bits of an argument that say something else than which name it is.
_SHIFTS: Final = {"LOAD_GLOBAL": 1}
if sys.version_info >= (3, 12):
    _SHIFTS.update(LOAD_ATTR=1, LOAD_SUPER_ATTR=2)
#: Two variables in one step, of Python 3.13.
_PAIRS: Final = frozenset(
    (
        *("LOAD_FAST_LOAD_FAST", "STORE_FAST_LOAD_FAST", "STORE_FAST_STORE_FAST"),
        "LOAD_FAST_BORROW_LOAD_FAST_BORROW",
    )
)


def steps_of(code: CodeType) -> Iterator[tuple[str, Any, int]]:
    """Return for each step its name, its argument, and how much higher the stack is then.

    The argument is a name, a constant, or a number. Two variables in one step are two steps. Costs
    some 0.5 us for each.
    """
    data, extended = code.co_code, 0
    variable = code._varname_from_oparg  # type: ignore[attr-defined]
    for at in range(0, len(data), 2):
        number = data[at]
        if not number:  # room for what the interpreter notes
            continue
        argument = data[at + 1] | extended
        if number == _EXTENDED:
            extended = argument << 8
            continue
        extended = 0
        name = _NAMES[number]
        if name in _PAIRS:
            yield from _both(name, variable(argument >> 4), variable(argument & 15))
            continue
        value: Any = argument
        if number in _OF_NAMES:
            value = code.co_names[argument >> _SHIFTS.get(name, 0)]
        elif number in _OF_VARIABLES:
            value = variable(argument)
        elif number in _OF_CONSTANTS and name == "LOAD_CONST":
            value = code.co_consts[argument]
        has_argument = number >= _HAS_ARGUMENT
        yield name, value, stack_effect(number, argument if has_argument else None, jump=False)


def _both(pair: str, first: Any, second: Any) -> Iterator[tuple[str, Any, int]]:
    yield ("STORE_FAST", first, -1) if pair.startswith("STORE") else ("LOAD_FAST", first, 1)
    yield ("STORE_FAST", second, -1) if pair.endswith("STORE_FAST") else ("LOAD_FAST", second, 1)
