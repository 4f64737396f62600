"""Names that the main program has added to Python's builtins, or has given another meaning."""

from __future__ import annotations

import builtins
from types import BuiltinFunctionType, EllipsisType, NoneType, NotImplementedType
from typing import Any, Final

#: All builtins of this process.
BUILTINS: Final = vars(builtins)
#: In the place of the value of a name that is not defined.
MISSING: Final = object()

_USUAL_CONSTANTS: Final = frozenset((NoneType, EllipsisType, NotImplementedType, bool))


def is_usual(value: Any) -> bool:
    """Return whether a value is one that Python itself has among the builtins, or none at all."""
    kind = type(value)  # a proxy may say that it is something else, or raise
    if value is MISSING or kind in _USUAL_CONSTANTS:
        return True
    if issubclass(kind, (type, BuiltinFunctionType)):
        return value.__module__ in ("builtins", "_io")
    return kind.__module__ == "_sitebuiltins"  # `exit` and the like
