"""Names, once, what a program sets by calls of libraries of which workers take nothing over."""

from __future__ import annotations

import logging
import sys
from types import CodeType, FunctionType, ModuleType
from typing import TYPE_CHECKING, Any, Final

from masterworker.surroundings import folders, libraries

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

logger = logging.getLogger("masterworker.master")

#: Functions with such names set something in their process.
_SETTING: Final = ("set_", "enable_", "disable_", "use_", "register", "add_type")
#: Libraries of which enough is taken over, or in which such functions set nothing of the kind.
_APART: Final = frozenset(
    (
        *(name.partition(".")[0] for name in libraries.KNOWN),
        *("seaborn", "scipy", "masterworker", "Scientific", "IPython", "pdb", "ipdb", "pudb"),
        *("pytest", "tqdm", "distributed", "joblib"),
    )
)
#: Functions of the standard library that set what cannot be read again.
_OF_PYTHON: Final = ("codecs.register", "mimetypes.add_type")
_named: Final = set[str]()
_known: Final = dict[int, tuple[CodeType, tuple[tuple[str, ...], ...]]]()


def name_settings(codes: Iterable[CodeType], namespace: dict[str, Any]) -> None:
    """Name functions of libraries that code calls by name, and that set something.

    Args:
        codes: What the main program executes now, without the functions that it defines.
        namespace: Its globals.
    """
    for code in codes:
        for path in _paths_in(code):
            found = _setting(path, namespace)
            if found and found not in _named:
                _named.add(found)
                logger.warning(
                    "the main program calls %s, which may set something in its own process only: "
                    "call it in the workers as well, if their tasks rely on it (initializer=)",
                    found,
                )


def _paths_in(code: CodeType) -> tuple[tuple[str, ...], ...]:
    """Return the names, with attributes, that look like functions which set something."""
    if not any(name.startswith(_SETTING) for name in code.co_names):
        return ()
    known = _known.get(id(code))
    if known is None:
        _known[id(code)] = known = code, tuple(dict.fromkeys(_read(code)))
    return known[1]


def _read(code: CodeType) -> Iterator[tuple[str, ...]]:
    import dis  # not loaded by masters whose programs call nothing of the kind

    path: tuple[str, ...] = ()
    for step in dis.get_instructions(code):
        if step.opname in ("LOAD_ATTR", "LOAD_METHOD") and path:
            path = (*path, str(step.argval))
        elif step.opname not in ("CACHE", "EXTENDED_ARG"):
            if path and path[-1].startswith(_SETTING):
                yield path
            is_name = step.opname in ("LOAD_NAME", "LOAD_GLOBAL")
            path = (str(step.argval),) if is_name else ()


def _setting(path: tuple[str, ...], namespace: dict[str, Any]) -> str:
    """Return the name of a function of a library; "": it is something else."""
    found: Any = namespace.get(path[0])
    for name in path[1:]:
        if type(found) is not ModuleType:
            return ""
        found = vars(found).get(name)
    name = f"{getattr(found, '__module__', '')}.{path[-1]}".removeprefix("_")
    if name in _OF_PYTHON:
        return name
    if type(found) is not FunctionType:
        return ""
    home = str(found.__module__)
    module = sys.modules.get(home)
    top = home.partition(".")[0]
    file = getattr(module, "__file__", None)
    is_library = isinstance(file, str) and folders.is_standard(file)
    if not is_library or top in _APART or top in sys.stdlib_module_names:
        return ""
    return f"{home}.{found.__qualname__}"
