"""The package's files, parsed once."""

from __future__ import annotations

import ast
import io
import tokenize
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
SOURCE: Final = ROOT / "src"
#: Tokens of lines without code.
_NO_CODE: Final = {
    *(tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE),
    *(tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER),
}
_DOCUMENTED: Final = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True)
class Module:
    """One file of Python source.

    Args:
        name: As it is imported, such as `masterworker.core.task`.
        text: The source.
        is_package: Whether it is the `__init__.py` of a folder.
    """

    name: str
    text: str
    is_package: bool = False

    @cached_property
    def tree(self) -> ast.Module:
        """The syntax tree."""
        return ast.parse(self.text)

    @cached_property
    def nodes(self) -> list[ast.AST]:
        """All nodes of the tree."""
        return list(ast.walk(self.tree))

    @property
    def folder(self) -> str:
        """The folder below the package; its own name for a file in none."""
        parts = self.name.split(".")
        if parts[0] != "masterworker":
            return parts[0]
        if len(parts) == 1:
            return "masterworker"
        return parts[1] + ("/" if len(parts) > 2 or self.is_package else ".py")

    @property
    def summary(self) -> str:
        """The first line of the docstring, without the full stop."""
        return (ast.get_docstring(self.tree) or "").partition("\n")[0].rstrip(".")

    @cached_property
    def lines(self) -> int:
        """All lines."""
        return self.text.count("\n")

    @property
    def code_lines(self) -> int:
        """How many lines there are without blanks, comments and docstrings."""
        return len(self.code)

    @cached_property
    def code(self) -> frozenset[int]:
        """The numbers of these lines."""
        used: set[int] = set()
        for token in tokenize.generate_tokens(io.StringIO(self.text).readline):
            if token.type not in _NO_CODE:
                used.update(range(token.start[0], token.end[0] + 1))
        for node in self.nodes:
            if isinstance(node, _DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
                text = node.body[0]
                used.difference_update(range(text.lineno, (text.end_lineno or 0) + 1))
        return frozenset(used)


def read(top: Path = SOURCE) -> list[Module]:
    """Read all files of Python source below a folder, sorted by name."""
    found = []
    for path in sorted(top.rglob("*.py")):
        parts = path.relative_to(top).with_suffix("").parts
        is_package = parts[-1] == "__init__"
        name = ".".join(parts[:-1] if is_package else parts)
        found.append(Module(name, path.read_text(), is_package))
    return sorted(found, key=lambda module: module.name)
