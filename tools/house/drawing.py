"""Draws the map of the package: from its imports, its tables, and first lines of docstrings."""

from __future__ import annotations

import textwrap
from graphlib import TopologicalSorter
from typing import TYPE_CHECKING, Final

from tools.house.source import ROOT
from tools.house.states import draw_states

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from tools.house.imports import Graph
    from tools.house.source import Module

#: Where all is drawn.
MAP: Final = ROOT / "docs" / "map.md"
_WIDTH: Final = 100
_HEAD: Final = """# The map

Drawn by `make map` from the code: from the imports, the first lines of the docstrings, and the
tables of states that the machines obey. Nothing in here is written by hand.
"""
_FOLDERS: Final = """## Which folder imports from which

Downwards only; what stands on most of the others is the highest.
"""
_STATES: Final = """## The states of both halves

An event that has no line in a state cannot happen there, and is an error if it does.
"""


def folders(modules: Iterable[Module], imports: Graph) -> dict[str, set[str]]:
    """Return which folders each folder imports from at run time."""
    folder_of = {module.name: module.folder for module in modules}
    found: dict[str, set[str]] = {folder: set() for folder in folder_of.values()}
    for importer, imported in imports.items():
        if importer in folder_of:
            here = folder_of[importer]
            found[here] |= {folder_of[name] for name in imported if name in folder_of} - {here}
    found.pop("masterworker", None)  # its `__init__`: the public names, each imported when used
    return {folder: below - {"masterworker"} for folder, below in found.items()}


def floors(below: dict[str, set[str]]) -> list[list[str]]:
    """Return the folders by how many others they stand on, the highest first.

    Raises:
        graphlib.CycleError: Two folders import from one another.
    """
    height: dict[str, int] = {}
    for folder in TopologicalSorter(below).static_order():
        height[folder] = 1 + max((height[other] for other in below[folder]), default=0)
    return [
        sorted(folder for folder, own in height.items() if own == level)
        for level in range(max(height.values()), 0, -1)
    ]


def draw_folders(modules: Sequence[Module], imports: Graph) -> str:
    """Draw the floors, and what each folder imports from."""
    below = folders(modules, imports)
    lines = []
    for level in floors(below):
        for folder in level:
            on = ", ".join(sorted(below[folder])) or "nothing of ours"
            first = f"{folder:<24} -> "
            lines += textwrap.wrap(on, _WIDTH, initial_indent=first, subsequent_indent=" " * 28)
        lines.append("")
    return "```\n" + "\n".join(lines[:-1]) + "\n```"


def draw_modules(modules: Sequence[Module]) -> str:
    """List every module with what it is for."""
    lines = []
    by_folder: dict[str, list[Module]] = {}
    for module in modules:
        by_folder.setdefault(module.folder, []).append(module)
    alone = [found[0] for found in by_folder.values() if len(found) == 1]
    groups = {"Files in no folder": alone}
    groups |= {f"`{folder}`": found for folder, found in by_folder.items() if len(found) > 1}
    for title, found in groups.items():
        lines += [f"## {title}", "", "| module | what |", "|---|---|"]
        lines += [
            f"| `{module.name.removeprefix('masterworker.')}` | {_in_table(module.summary)} |"
            for module in found
            if module.summary
        ]
        lines.append("")
    return "\n".join(lines[:-1])


def _in_table(text: str) -> str:
    return text.replace("|", "\\|")


def pages(modules: Sequence[Module], imports: Graph) -> dict[Path, str]:
    """Return what the files with drawings should say."""
    parts = [_HEAD, _FOLDERS, draw_folders(modules, imports), "", _STATES, draw_states()]
    return {MAP: "\n".join([*parts, "", draw_modules(modules)]) + "\n"}
