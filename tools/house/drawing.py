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

#: Where the drawings are: file, and what draws them.
ARCHITECTURE: Final = ROOT / "ARCHITECTURE.md"
MAP: Final = ROOT / "docs" / "map.md"
BEGIN: Final = "<!-- drawn by `make map` from the imports: -->"
STATES: Final = "<!-- drawn by `make map` from the tables of states: -->"
END: Final = "<!-- end of the drawing -->"
_WIDTH: Final = 100


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
    lines = [
        "# Every module, with what it is for",
        "",
        "Drawn by `make map` from the first lines of the docstrings.",
    ]
    by_folder: dict[str, list[Module]] = {}
    for module in modules:
        by_folder.setdefault(module.folder, []).append(module)
    alone = [found[0] for found in by_folder.values() if len(found) == 1]
    groups = {"Files in no folder": alone}
    groups |= {f"`{folder}`": found for folder, found in by_folder.items() if len(found) > 1}
    for title, found in groups.items():
        lines += ["", f"## {title}", "", "| module | what |", "|---|---|"]
        lines += [
            f"| `{module.name.removeprefix('masterworker.')}` | {_in_table(module.summary)} |"
            for module in found
            if module.summary
        ]
    return "\n".join(lines) + "\n"


def _in_table(text: str) -> str:
    return text.replace("|", "\\|")


def drawn(text: str, begin: str, drawing: str) -> str:
    """Return what a text says with this drawing in the place of the one that it has.

    Args:
        text: The text.
        begin: The line above the drawing.
        drawing: The new one.
    """
    before, found, rest = text.partition(begin)
    _, end, after = rest.partition(END)
    if not found or not end:
        raise ValueError(f"there is no place for the drawing: {begin}")
    return f"{before}{begin}\n\n{drawing}\n\n{END}{after}"


def pages(modules: Sequence[Module], imports: Graph) -> dict[Path, str]:
    """Return what the files with drawings should say."""
    architecture = drawn(ARCHITECTURE.read_text(), BEGIN, draw_folders(modules, imports))
    return {
        ARCHITECTURE: drawn(architecture, STATES, draw_states()),
        MAP: draw_modules(modules),
    }
