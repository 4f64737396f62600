"""Names that the main program has added to Python's builtins, or has given another meaning."""

from __future__ import annotations

import builtins
from types import BuiltinFunctionType, EllipsisType, NoneType, NotImplementedType
from typing import Final

#: All builtins of this process.
BUILTINS: Final = vars(builtins)
#: In the place of the value of a name that is not defined.
MISSING: Final = object()

_USUAL_CONSTANTS: Final = frozenset((NoneType, EllipsisType, NotImplementedType, bool))


def is_usual(value: object) -> bool:
    """Return whether a value is one that Python itself has among the builtins, or none at all."""
    if value is MISSING or type(value) in _USUAL_CONSTANTS:
        return True
    if isinstance(value, (type, BuiltinFunctionType)):
        return value.__module__ in ("builtins", "_io")
    return type(value).__module__ == "_sitebuiltins"  # `exit` and the like
