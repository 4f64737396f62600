"""The source of functions that are called by name, to notice that it has changed.

It is what the function is made of, and what it uses of its own file: functions, classes, plain
constants, and what these use. Comments, docstrings and the layout of lines do not count.
"""

from __future__ import annotations

import ast
import difflib
import inspect
import linecache
import sys
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_DEFINITIONS: Final = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
#: Files that have been read, by their names and first lines: programs call many functions of one.
_trees: dict[tuple[str, int], ast.Module | None] = {}


def source_of(function: Callable[..., Any]) -> str | None:
    """Return the source of a function that is called by name.

    Returns:
        None: there is no source, as of what is written in C.
    """
    kept: Any = inspect.unwrap(function) if callable(function) else function
    tree = _tree_of(kept)
    return None if tree is None else _source(tree, getattr(kept, "__qualname__", ""))


def source_in(path: Path, name: str) -> str | None:
    """Return the source of a function of a file, as `source_of`, without importing that."""
    try:
        return _source(ast.parse(path.read_bytes()), name)
    except (OSError, SyntaxError, ValueError):
        return None


def _source(tree: ast.Module, name: str) -> str | None:
    first = name.split(".", maxsplit=1)[0]
    found = _top_level(tree)
    if first not in found:
        return None
    wanted, seen = [first], {first: True}
    while wanted:
        for used in _names_in(found[wanted.pop()]):
            if used in found and used not in seen:
                seen[used] = True
                wanted.append(used)
    return "\n\n".join(_text(found[each]) for each in found if each in seen)


def difference(name: str, before: str, after: str) -> str:
    """Return what has changed of a function, as `diff` shows it."""
    lines = difflib.unified_diff(
        before.splitlines(),
        after.splitlines(),
        f"{name} in the journal",
        f"{name} now",
        n=1,
        lineterm="",
    )
    return "\n".join(lines)


def _tree_of(function: Any) -> ast.Module | None:
    try:
        file = inspect.getsourcefile(function) or inspect.getfile(function)
    except TypeError:
        return None
    lines = linecache.getlines(file, getattr(sys.modules.get(function.__module__), "__dict__", {}))
    known = file, hash(tuple(lines))
    if known not in _trees:
        try:
            _trees[known] = ast.parse("".join(lines)) if lines else None
        except (SyntaxError, ValueError):
            _trees[known] = None
    return _trees[known]


def _top_level(tree: ast.Module) -> dict[str, ast.stmt]:
    """Return what a file defines: functions, classes, and names for plain constants."""
    found: dict[str, ast.stmt] = {}
    for statement in _statements(tree.body):
        if isinstance(statement, _DEFINITIONS):
            found[statement.name] = statement
        elif isinstance(statement, ast.Assign) and _is_plain(statement.value):
            for target in statement.targets:
                if isinstance(target, ast.Name):
                    found[target.id] = statement
        elif (
            isinstance(statement, ast.AnnAssign)
            and isinstance(statement.target, ast.Name)
            and statement.value is not None
            and _is_plain(statement.value)
        ):
            found[statement.target.id] = statement
    return found


def _statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    for statement in body:
        yield statement
        if isinstance(statement, (ast.If, ast.Try, ast.With)):
            yield from _statements(statement.body)
            yield from _statements(getattr(statement, "orelse", []))


def _is_plain(value: ast.expr) -> bool:
    try:
        ast.literal_eval(value)
    except (ValueError, TypeError, SyntaxError, RecursionError):
        # Arithmetic with constants is one, too: 5 * 60.
        return all(isinstance(each, _PLAIN) for each in ast.walk(value))
    return True


_PLAIN: Final = (ast.BinOp, ast.UnaryOp, ast.Constant, ast.operator, ast.unaryop, ast.Load)


def _names_in(statement: ast.stmt) -> Iterator[str]:
    for node in ast.walk(statement):
        if isinstance(node, ast.Name):
            yield node.id


def _text(statement: ast.stmt) -> str:
    bare = ast.parse(ast.unparse(statement)).body[0]
    for node in ast.walk(bare):
        if isinstance(node, _DEFINITIONS) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(bare)
