"""Which libraries a template imports before it forks workers: few, known, and installed."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING

from masterworker.errors import UsageError
from masterworker.named import NamedTuple
from masterworker.surroundings import reloads
from masterworker.surroundings.installed import imported, is_installed, package_of

if TYPE_CHECKING:
    from collections.abc import Iterable

logger = logging.getLogger("masterworker.launch")


class Module(NamedTuple):
    """A module that is to be imported."""

    name: str
    #: File of the package that it belongs to; "": wherever it is found.
    origin: str = ""


class Preload(NamedTuple):
    """What the template of some workers imports."""

    modules: tuple[Module, ...] = ()
    #: The caller has named them, and else they are what the program has imported.
    is_given: bool = False

    def unchanged(self) -> Preload:
        """Leave out packages of which this process has loaded a module again since."""
        if not (again := reloads.loaded_again()):
            return self
        tops = {package_of(name) for name in again}
        kept = tuple(each for each in self.modules if package_of(each.name) not in tops)
        return self._replace(modules=kept)


def check(names: Iterable[str] | None) -> tuple[str, ...] | None:
    """Check what is to be preloaded; None: what the program has imported.

    Raises:
        UsageError: They are no names of modules.
    """
    if names is None:
        return None
    if isinstance(names, str):
        raise UsageError(f"preload is a list of modules, as in preload=[{names!r}], not a text")
    try:
        found = tuple(names)
    except TypeError:
        raise UsageError(f"preload is a list of modules, not {names!r}") from None
    for name in found:
        if not isinstance(name, str) or not all(part.isidentifier() for part in name.split(".")):
            raise UsageError(f"preload: {name!r} is not the name of a module")
    return found


def choose(names: Iterable[str] | None, *, is_given: bool = True) -> Preload:
    """Decide what templates of this process import.

    Args:
        names: Modules that the caller has named; None: what this process has imported of
            `surroundings.installed.SAFE`.
        is_given: A user has named them, and is told what is left out.
    """
    is_given = is_given and names is not None
    found, left_out = [], []
    for name in imported() if names is None else names:
        origin = _origin(package_of(name))
        if is_installed(origin):
            found.append(Module(name, origin))
        elif is_given:
            left_out.append(name)
    if left_out:
        logger.warning("not preloaded, since only installed libraries are: %s", ", ".join(left_out))
    return Preload(tuple(found), is_given)


def _origin(package: str) -> str:
    """Return the file of a package as this process has it, or would find it; "": none."""
    module = sys.modules.get(package)
    spec = getattr(module, "__dict__", {}).get("__spec__")
    if module is None:
        from importlib.util import find_spec

        try:
            spec = find_spec(package)
        except (ImportError, ValueError, AttributeError):  # odd finders, half-made modules
            return ""
    origin = getattr(spec, "origin", None)
    return origin if isinstance(origin, str) else ""
