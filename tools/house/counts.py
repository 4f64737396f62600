"""What is counted in the syntax trees, and what has to be named with its reason."""

from __future__ import annotations

import ast
import importlib
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tools.house.source import Module

#: Folders whose values are our own records. `data` looks at users' values, whatever they are.
OF_RECORDS = {"core/", "manager/", "client.py", "launch/", "worker/", "master/"}
#: Built-in classes of which records are made.
_SHAPES = {"list", "tuple", "dict", "bytes"}
_ERRORS = "masterworker.errors."


def sizes(modules: Iterable[Module]) -> dict[str, tuple[int, int, int]]:
    """Return files, lines, and lines of code, by folder."""
    found: dict[str, tuple[int, int, int]] = {}
    for module in modules:
        files, lines, code = found.get(module.folder, (0, 0, 0))
        found[module.folder] = files + 1, lines + module.lines, code + module.code_lines
    return found


def count_globals(modules: Iterable[Module]) -> Counter[str]:
    """Count `global` statements, by module."""
    return Counter(
        module.name for module in modules for node in module.nodes if isinstance(node, ast.Global)
    )


def count_shape_tests(modules: Iterable[Module]) -> Counter[str]:
    """Count tests of a record's class, by module: `isinstance`, `__class__ is`, `type() is`."""
    modules = list(modules)
    own = {
        node.name
        for module in modules
        for node in module.nodes
        if isinstance(node, ast.ClassDef) and not node.name.endswith("Error")
    } | _SHAPES
    return Counter(
        module.name
        for module in modules
        if module.folder in OF_RECORDS
        for node in module.nodes
        if _asks_for_class(node, own)
    )


def _asks_for_class(node: ast.AST, own: set[str]) -> bool:
    if isinstance(node, ast.Compare):
        asked = node.left
        return isinstance(asked, ast.Attribute) and asked.attr == "__class__"
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
        return False
    if node.func.id != "isinstance" or len(node.args) != 2:
        return False
    names = {inner.id for inner in ast.walk(node.args[1]) if isinstance(inner, ast.Name)}
    return not own.isdisjoint(names)


def function_lengths(modules: Iterable[Module]) -> dict[str, int]:
    """Return how many lines of code each function has in its body, by full name.

    The signature does not count: the formatter gives each parameter a line of its own. A function
    inside of another one counts for both.
    """
    found: dict[str, int] = {}
    for module in modules:
        for name, node in _functions_in(module.tree, module.name):
            body = range(node.body[0].lineno, (node.end_lineno or 0) + 1)
            found[name] = max(found.get(name, 0), len(module.code.intersection(body)))
    return found


def _functions_in(
    node: ast.AST, name: str
) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for inner in ast.iter_child_nodes(node):
        if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            full = f"{name}.{inner.name}"
            if not isinstance(inner, ast.ClassDef):
                yield full, inner
            yield from _functions_in(inner, full)
        else:
            yield from _functions_in(inner, name)


def heights(modules: Iterable[Module]) -> dict[str, int]:
    """Return how many classes of ours are above each class of ours, by full name.

    Errors do not count: they are a tree on purpose, which says whose fault each is.
    """
    bases: dict[str, list[str]] = {}
    for module in modules:
        names = _names_in(module)
        for node in module.nodes:
            if isinstance(node, ast.ClassDef):
                above = [names.get(name, f"{module.name}.{name}") for name in _bases_of(node)]
                bases[f"{module.name}.{node.name}"] = above

    def chains(name: str, below: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
        yield below
        for base in bases[name]:
            if base in bases and base not in below:
                yield from chains(base, (*below, base))

    found = {name: max(chains(name), key=len) for name in bases}
    return {
        name: len(chain)
        for name, chain in found.items()
        if not any(above.startswith(_ERRORS) for above in (name, *chain))
    }


def _names_in(module: Module) -> dict[str, str]:
    """Return what the names that a module imports stand for."""
    return {
        alias.asname or alias.name: f"{node.module}.{alias.name}"
        for node in module.nodes
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def _bases_of(node: ast.ClassDef) -> Iterator[str]:
    for base in node.bases:
        plain = base.value if isinstance(base, ast.Subscript) else base
        if isinstance(plain, ast.Name):
            yield plain.id
        elif isinstance(plain, ast.Attribute):
            yield plain.attr


def public_names() -> dict[str, int]:
    """Count the names without an underscore that users see."""
    package = importlib.import_module("masterworker")
    found = {"masterworker": len(package.__all__)}
    for name in ("Master", "Worker"):
        names = set(dir(getattr(package, name))) - set(dir(object))
        found[name] = sum(not each.startswith("_") for each in names)
    return found
