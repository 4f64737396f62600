"""Which names belong together, by what their values have in common, and by what leads to what."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def together(parts: dict[str, Iterable[int]]) -> list[tuple[str, ...]]:
    """Put names together whose values have parts in common."""
    groups: list[tuple[list[str], set[int]]] = []
    for name, own in parts.items():
        names, all_parts = [name], set(own)
        apart = []
        for group in groups:
            if not group[1].isdisjoint(own):
                names += group[0]
                all_parts |= group[1]
            else:
                apart.append(group)
        groups = [*apart, (names, all_parts)]
    return [tuple(sorted(names)) for names, _ in groups]


def reached(names: Iterable[str], leads_to: Mapping[str, Iterable[str]]) -> set[str]:
    """Return names, and all others to which they lead."""
    found, todo = set(names), list(names)
    while todo:
        new = set(leads_to.get(todo.pop(), ())) - found
        found |= new
        todo += new
    return found
