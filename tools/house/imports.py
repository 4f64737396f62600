"""Who imports what: circles, and whitelists, so that a new module is caught."""

from __future__ import annotations

import sys
from functools import cache
from typing import TYPE_CHECKING

import grimp

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

PACKAGES = ("masterworker", "Scientific")
#: What each module imports: modules of ours by full name, all others by their first name.
Graph = dict[str, set[str]]


@cache
def graph(*, typing: bool = True) -> Graph:
    """Read who imports what.

    Args:
        typing: Imports under `if TYPE_CHECKING` count.
    """
    found = grimp.build_graph(
        *PACKAGES,
        include_external_packages=True,
        exclude_type_checking_imports=not typing,
        cache_dir=None,
    )
    ours = {name for name in found.modules if name.partition(".")[0] in PACKAGES}
    return {name: found.find_modules_directly_imported_by(name) for name in ours}


def circles(imports: Graph) -> list[list[str]]:
    """Return the groups of modules that import one another, each sorted."""
    reached = {name: _reach(imports, name) for name in imports}
    groups = {
        tuple(sorted(other for other in reached[name] if name in reached[other]))
        for name in imports
        if name in reached[name]
    }
    return sorted(map(list, groups))


def _reach(imports: Graph, start: str) -> set[str]:
    reached: set[str] = set()
    waiting = [start]
    while waiting:
        for name in imports[waiting.pop()]:
            if name in imports and name not in reached:
                reached.add(name)
                waiting.append(name)
    return reached


def strays(imports: Graph, allowed: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Yield who imports what only others may.

    Args:
        imports: Who imports what.
        allowed: For a module that is not ours the modules and folders that may import it.
    """
    for what, places in allowed.items():
        for name in sorted(name for name, imported in imports.items() if what in imported):
            if not any(_is_in(name, place) for place in places):
                allowed_to = ", ".join(places) or "no module"
                yield f"{name} imports {what}, which rules.toml allows to {allowed_to}"


def idle(imports: Graph, allowed: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Yield entries of the list that allow nothing: the next module there would slip through."""
    for what, places in allowed.items():
        importers = {name for name, imported in imports.items() if what in imported}
        for place in places:
            if not any(_is_in(name, place) for name in importers):
                yield f"rules.toml allows {place} to import {what}, and nothing there does"


def impure(imports: Graph, pure: Sequence[str], allowed: Sequence[str]) -> Iterator[str]:
    """Yield what the pure modules import that is neither one of them nor on their list."""
    for name in sorted(imports):
        if any(_is_in(name, place) for place in pure):
            for what in sorted(imports[name] - set(allowed)):
                if not any(_is_in(what, place) for place in pure):
                    yield f"{name} is pure, and imports {what}"


def undeclared(imports: Graph, dependencies: Sequence[str]) -> Iterator[str]:
    """Yield what is neither of the standard library, nor ours, nor a dependency."""
    known = {*sys.stdlib_module_names, *dependencies, *PACKAGES}
    for name in sorted(imports):
        for what in sorted(imports[name]):
            if what.partition(".")[0] not in known:
                yield f"{name} imports {what}, which is no dependency"


def _is_in(name: str, place: str) -> bool:
    return name == place or name.startswith(f"{place}.")
