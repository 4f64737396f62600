"""What code refers to, its bytes, and its source: the master's half. `rebuilding` has the other."""

from __future__ import annotations

import linecache
import marshal
import os
import stat
import sys
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import TYPE_CHECKING, Any, Final

from masterworker.data import mainmodule

if TYPE_CHECKING:
    from collections.abc import Iterable

#: Of how many functions the code is remembered.
KEPT: Final = 2000
#: Marshalled without references between its parts, so that the same code has the same bytes.
_FORMAT: Final = 2 if sys.version_info < (3, 14) else marshal.version

#: What reads or sets globals; and in the body of a class, where a name may be the class's own.
_GLOBAL: Final = frozenset(("LOAD_GLOBAL", "STORE_GLOBAL", "DELETE_GLOBAL"))
_IN_CLASS: Final = frozenset(("LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"))
_OF_CLASS: Final = "STORE_NAME"

#: What finds globals by names that are texts; `sys.modules[__name__]` has two words.
_LOOK_UP: Final = frozenset(("globals", "eval", "exec", mainmodule.MAIN))
_OWN_MODULE: Final = frozenset(("modules", "__name__"))

#: By code and file, since code of two files can be equal.
_names: dict[tuple[CodeType, str], tuple[str, ...]] = {}
_bytes: dict[tuple[CodeType, str], bytes] = {}
#: Text of a source, by its name; with size and time of its file, if it has one.
_sources: dict[str, tuple[object, str]] = {}


def global_names(code: CodeType) -> tuple[str, ...]:
    """Return the names of the globals that code reads or sets, also in functions inside it."""
    known = _names.get((code, code.co_filename))
    if known is None:
        import dis  # not loaded by masters whose functions can be imported

        steps = [(each.opname, each.argval) for each in dis.get_instructions(code)]
        found = {name: None for step, name in steps if step in _GLOBAL}
        own = {name for step, name in steps if step == _OF_CLASS}
        found.update((name, None) for step, name in steps if step in _IN_CLASS and name not in own)
        for constant in code.co_consts:
            if isinstance(constant, CodeType):
                found.update(dict.fromkeys(global_names(constant)))
        known = tuple(found)
        _remember(_names, code, known)
    return known


def _remember(known: dict[tuple[CodeType, str], Any], code: CodeType, value: object) -> None:
    if len(known) >= KEPT:
        known.clear()
    known[code, code.co_filename] = value


def dump(code: CodeType) -> bytes:
    """Return code as bytes for the same version of Python."""
    known = _bytes.get((code, code.co_filename))
    if known is None:
        known = marshal.dumps(code, _FORMAT)
        _remember(_bytes, code, known)
    return known


def looks_names_up(code: CodeType) -> bool:
    """Return whether code may find globals whose names are not in it: with `eval`, say."""
    words = _attribute_names(code)
    return not words.isdisjoint(_LOOK_UP) or words >= _OWN_MODULE


def looks_for_subclasses(code: CodeType) -> bool:
    """Return whether code may find classes that it does not name, by a base class of theirs."""
    return "__subclasses__" in _attribute_names(code)


def submodules(code: CodeType, values: Iterable[object]) -> list[str]:
    """Return the names of modules that code reaches through packages that have been imported.

    `import concurrent.futures` makes the name `concurrent` only. That package alone is not
    what the code means by `concurrent.futures`.
    """
    found: list[str] = []
    for value in values:
        if isinstance(value, ModuleType) and hasattr(value, "__path__"):
            prefix = value.__name__ + "."
            words = _attribute_names(code)
            found += [
                name
                for name in sys.modules.copy()
                if name.startswith(prefix) and words.issuperset(name[len(prefix) :].split("."))
            ]
    return sorted(found)


def _attribute_names(code: CodeType) -> set[str]:
    words = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            words |= _attribute_names(constant)
    return words


def annotation_names(obj: Any) -> set[str]:
    """Return the names in annotations that are texts: what `typing.get_type_hints` looks up."""
    found: set[str] = set()
    annotations = getattr(obj, "__dict__", {}).get("__annotations__") or {}
    if isinstance(obj, FunctionType):
        annotations = obj.__annotations__
    for annotation in tuple(annotations.values()):
        _add_names(annotation, found)
    return found


def _add_names(annotation: Any, found: set[str]) -> None:
    """Add the names that a text refers to, a text in it, or the texts in `list["Name"]`."""
    text = getattr(annotation, "__forward_arg__", annotation)
    if isinstance(text, str):
        try:
            code = compile(text, "", "eval")
        except (SyntaxError, ValueError):
            return
        found.update(code.co_names)
        inner: Iterable[Any] = code.co_consts
    else:
        inner = getattr(annotation, "__args__", ())
    for each in inner if isinstance(inner, tuple) else ():
        _add_names(each, found)


# -- sources --------------------------------------------------------------------------------


def source_of(filename: str) -> str:
    """Return the text of a source, as this process sees it; "" where there is none.

    A file is read again when it has changed. Cells of notebooks are in the cache of `linecache`.
    """
    try:
        about = Path(filename).stat()
        mark: object = about.st_size, about.st_mtime_ns
    except (OSError, ValueError):
        mark = len(linecache.cache.get(filename, ()))
    known = _sources.get(filename)
    if known is not None and known[0] == mark:
        return known[1]
    text = _standard_input() if filename == "<stdin>" else "".join(linecache.getlines(filename))
    if len(_sources) >= KEPT:
        _sources.clear()
    _sources[filename] = mark, text
    return text


def _standard_input() -> str:
    """Return the program that came from standard input, where that is a file."""
    try:
        about = os.fstat(0)
        if not stat.S_ISREG(about.st_mode):
            return ""
        return os.pread(0, about.st_size, 0).decode()
    except (OSError, UnicodeDecodeError):
        return ""
