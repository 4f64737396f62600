"""What modules of the user's own set in one another when they are imported.

The code that does it is gone then; it is got once more from where the module was loaded. A worker
may import the one module, and never the other.
"""

from __future__ import annotations

from importlib.machinery import ModuleSpec
from types import CodeType
from typing import TYPE_CHECKING, Any, Final

from masterworker.data.places import MARK
from masterworker.data.settings_in_code import found_at_top
from masterworker.surroundings.meaning import Homes, resolved

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

    from masterworker.data.reading import Found

#: By name: how a module was loaded the last time, which is another object when it is loaded again,
#: and what its code sets at its top; None: nothing.
_known: Final = dict[str, tuple[ModuleSpec | None, "Found | None"]]()


def set_by_imports(homes: Homes) -> Iterator[str]:
    """Return the places that modules set in others. Costs some 100 us for each module, once."""
    for module in homes.modules:
        name, spec = module.__name__, module.__spec__
        known = _known.get(name)
        if known is None or known[0] is not spec:
            _known[name] = known = spec, _found_in(module)
        if known[1] is not None:
            for place in resolved(known[1], vars(module), homes):
                if place.partition(MARK)[0] != name and homes.has(place):
                    yield place


def _found_in(module: ModuleType) -> Found | None:
    loader: Any = getattr(module.__spec__, "loader", None)
    try:
        code = loader.get_code(module.__name__)
    except Exception:  # it has none, or its file is gone
        return None
    return found_at_top(code) if isinstance(code, CodeType) else None
