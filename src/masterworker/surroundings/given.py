"""What the program gives to functions of libraries, which may change it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from masterworker.data import places
from masterworker.surroundings.meaning import Homes, has_state, place_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from masterworker.data.reading import Found

#: Functions that change nothing of what they are given, or give it to workers.
_CHANGING_NOTHING: Final = frozenset(
    (
        *("print", "len", "str", "repr", "int", "float", "bool", "sum", "min", "max", "sorted"),
        *("list", "tuple", "dict", "set", "frozenset", "isinstance", "issubclass", "hasattr"),
        *("getattr", "id", "type", "range", "enumerate", "zip", "any", "all", "abs", "round"),
        *("format", "callable", "hash", "iter", "reversed", "vars", "dir", "bytes", "copy"),
        *("deepcopy", "dumps", "dump", "join", "info", "debug", "warning", "error", "append"),
        *("submit", "map", "imap", "imap_unordered", "starmap", "apply", "apply_async", "share"),
        *("delayed", "partial", "Parallel", "array", "asarray", "get", "extend", "update"),
    )
)


def given_away(found: Found | None, namespace: dict[str, Any], homes: Homes) -> Iterator[str]:
    """Return the places of what code gives to functions of libraries, which may change it."""
    for callee, _, given in found.passes if found is not None else ():
        base, path = callee
        if (path[-1] if path else base) in _CHANGING_NOTHING:
            continue
        place = place_of(*given, namespace, homes)
        if place and homes.has(place):
            value = places.find(place)
            if places.is_container(value) or has_state(value):
                yield place
