"""What an engine is given: a call that needs nothing of ours where it is opened, until it runs.

So masterworker missing there, or another version of it or of Python, is found by the call itself,
and said in one sentence. What it is opened with is `eval`, which each Python has. What it is given
is inside of the object: engines show arguments in logs and on dashboards, and of this its class
alone.
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any, Final

from masterworker.version import __version__
from masterworker.wire.hello import python_version

if TYPE_CHECKING:
    from collections.abc import Callable

#: The class that is there on the other side. It has the text of no module, so it is made by a text.
_SOURCE: Final = """
class MasterworkerCall:
    def __init__(self, module, name, given, version, python):
        self.module, self.name, self.given = module, name, given
        self.version, self.python = version, python
    def __call__(self, *further):
        import importlib, socket, sys
        python = "%d.%d" % sys.version_info[:2]
        where = "%s (Python %s, %s)" % (socket.gethostname(), python, sys.executable)
        cure = ("install the same there: %s -m pip install masterworker==%s"
                % (sys.executable, self.version))
        if python != self.python:
            return ("%s has another Python than the master, %s: pickled code is not understood "
                    "across versions, so let the engine run Python %s, and %s"
                    % (where, self.python, self.python, cure))
        try:
            from masterworker.version import __version__ as version
        except ImportError:
            return ("%s has no masterworker, the master has %s: %s" % (where, self.version, cure))
        if version != self.version:
            return ("%s has masterworker %s, the master has %s: %s"
                    % (where, version, self.version, cure))
        try:
            module = importlib.import_module(self.module)
        except ImportError as error:
            return "%s has a masterworker that is not whole (%s): %s" % (where, error, cure)
        return getattr(module, self.name)(*self.given, *further)
"""
_NAMES: Final[dict[str, Any]] = {"__name__": "__main__"}
exec(_SOURCE, _NAMES)  # noqa: S102  a text of ours
#: The same class, where this module is there already: the text need not be read again.
Opened: Final = _NAMES["MasterworkerCall"]
_EXPRESSION: Final = (
    f"getattr(__import__('sys').modules.get({__name__!r}), 'Opened', None) or "
    f"(lambda names: exec({_SOURCE!r}, names) or names['MasterworkerCall'])"
    "({'__name__': '__main__'})"
)


def cure(version: object) -> str:
    """Return what is to be done in this process's surroundings, which lack a version."""
    return f"install the same there: {sys.executable} -m pip install masterworker=={version}"


class _Class:
    """Stands for the class, and is pickled as what makes it."""

    def __call__(self, *arguments: Any) -> Any:
        raise NotImplementedError

    def __reduce__(self) -> tuple[Any, ...]:
        return eval, (_EXPRESSION,)


class Call:
    """A call of a function of ours in a process of an engine.

    It returns a sentence, as text, where that process cannot call it.

    Args:
        name: What engines call it that ask for a name.
        module: Of the function.
        function: Its name.
        given: Its first arguments.
    """

    def __init__(self, name: str, module: str, function: str, *given: Any) -> None:
        self._module, self._function, self._given = module, function, given
        self.__name__ = self.__qualname__ = name  # some engines ask for it

    def __call__(self, *further: Any) -> Any:
        """Call it in this process, where the engine pickles nothing."""
        function = getattr(importlib.import_module(self._module), self._function)
        return function(*self._given, *further)

    def __reduce__(self) -> tuple[Any, ...]:
        versions = __version__, python_version()
        return _Class(), (self._module, self._function, self._given, *versions)


def as_function(name: str) -> Callable[..., Any]:
    """Return a function that calls its first argument with the others.

    For engines that take functions only. Nothing of ours is needed where it is opened: what is of
    no module is sent by value.

    Args:
        name: What it is called.
    """
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(f"def {name}(call, *args):\n    return call(*args)\n", names)  # noqa: S102
    made: Callable[..., Any] = names[name]
    return made
