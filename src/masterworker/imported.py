"""What is to be done when a module has been imported, without importing it for that."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

    #: Executes what it is given: a module.
    Around = Callable[[Callable[[], None]], None]

#: What is to be called, by the name of the module, and by a key.
_waiting: Final = dict[str, dict[object, "Callable[[ModuleType], None]"]]()


def when_imported(name: str, call: Callable[[ModuleType], None], key: object = None) -> None:
    """Call something with a module: now if it is loaded, else as soon as it is.

    It is called before what has imported the module goes on. An exception that it raises is the
    import's.

    Args:
        name: Of the module.
        call: What is called, once.
        key: What has been said for a module with the same key counts no more; None: itself.
    """
    if name in sys.builtin_module_names:  # costs nothing
        importlib.import_module(name)
    module = sys.modules.get(name)
    if module is not None and not getattr(module.__spec__, "_initializing", False):
        call(module)
        return
    _see_searches()
    _waiting.setdefault(name, {})[call if key is None else key] = call


#: Return what is to execute a module, by its name; None: it is executed as usual.
_watching: Final = list["Callable[[str], Around | None]"]()


def watch_imports(watch: Callable[[str], Around | None]) -> None:
    """Let modules that are looked for from now on be executed by others.

    Args:
        watch: Called with the name of each: returns what executes it; None: nothing special.
    """
    if watch not in _watching:
        _watching.append(watch)
    _see_searches()


def _see_searches() -> None:
    if not any(isinstance(each, _Finder) for each in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


class _Finder:
    """Sees that a module is looked for that is waited for. Other imports cost it one look-up."""

    def find_spec(
        self,
        name: str,
        path: Sequence[str] | None = None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        """Let the other finders find it, and its loader tell when it is loaded."""
        calls = _waiting.pop(name, {})
        around = None if target is not None else _around(name)
        if not calls and around is None:
            return None
        others = [each for each in sys.meta_path if each is not self]
        found = (each.find_spec(name, path, target) for each in others)
        spec = next((each for each in found if each is not None), None)
        if spec is None or not _tell(spec.loader, calls, around):
            if calls:
                _waiting[name] = calls
            return None
        return spec


def _around(name: str) -> Around | None:
    found = (watch(name) for watch in _watching)
    return next((each for each in found if each is not None), None)


def _tell(loader: Any, calls: dict[object, Callable[[ModuleType], None]], around: Any) -> bool:
    """Let a loader tell when it has executed a module; it is false if it cannot.

    It may be none, where there is nothing to execute, or a class, which is one for all modules.
    """
    if loader is None or isinstance(loader, type):
        return False
    execute = loader.exec_module

    def execute_and_tell(module: ModuleType) -> None:
        vars(loader).pop("exec_module", None)
        name = module.__name__
        try:
            if around is None:
                execute(module)
            else:
                around(lambda: execute(module))
        except BaseException:
            _waiting[name] = {**calls, **_waiting.get(name, {})}  # it may work the next time
            raise
        for call in calls.values():
            call(module)

    try:  # for this one: the others see a loader of the class that they know
        loader.exec_module = execute_and_tell
    except (AttributeError, TypeError):
        return False
    return True
