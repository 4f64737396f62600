"""Puts modules of JavaScript into one script, for a file that loads nothing.

Each becomes a function that is called at once and returns what the module exports, so names of one
do not meet those of another one. It knows the forms in which our own modules import and export.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from masterworker.errors import InternalError

if TYPE_CHECKING:
    from collections.abc import Callable

_IMPORT: Final = re.compile(r'^import \{([^}]*)\} from "\./(\w+)\.js";$', re.MULTILINE)
_EXPORT: Final = re.compile(r"^export (?=(?:async )?(?:function|const) (\w+))", re.MULTILINE)
_OTHER: Final = re.compile(r"^(?:import|export)\b.*", re.MULTILINE)


def bundled(first: str, read: Callable[[str], str]) -> str:
    """Return one script of a module and of all that it imports.

    Args:
        first: The name of the module.
        read: Returns the text of a module.

    Raises:
        InternalError: A module imports or exports in another form.
    """
    parts: dict[str, str] = {}
    _add(first, read, parts, ())
    return '"use strict";\n' + "\n".join(parts.values())


def _add(
    name: str, read: Callable[[str], str], parts: dict[str, str], around: tuple[str, ...]
) -> None:
    if name in around:
        raise InternalError(f"{name}.js imports itself, by way of others")
    if name in parts:
        return
    text = read(name)
    for _, other in _IMPORT.findall(text):
        _add(other, read, parts, (*around, name))
    text = _IMPORT.sub(r"const {\1} = module_\2;", text)
    names = ", ".join(_EXPORT.findall(text))
    text = _EXPORT.sub("", text)
    if wrong := _OTHER.search(text):
        raise InternalError(f"{name}.js cannot be put into a report: {wrong.group()}")
    parts[name] = f"const module_{name} = (() => {{\n{text}\nreturn {{ {names} }};\n}})();"
