"""What an engine is given: a call that needs nothing of ours where it is opened, until it runs.

So masterworker missing there, or another version of it or of Python, is found by the call itself,
and said in one sentence. What it is opened with is `eval`, which each Python has. The ticket is
inside of the object: engines show arguments in logs and on dashboards, and of this its class alone.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from masterworker.version import __version__
from masterworker.wire.hello import python_version

#: Length of the part of a supervisor's name that the master chooses. The rest is made when it
#: begins: an engine may begin a pilot once more where a process of its own was lost.
NAME: Final = 16
#: The class that is there on the other side. It has the text of no module, so it is made by a text.
_SOURCE: Final = """
class MasterworkerPilot:
    def __init__(self, order, version, python):
        self.order, self.version, self.python = order, version, python
    def __call__(self):
        import socket, sys
        python = "%d.%d" % sys.version_info[:2]
        where = "%s (Python %s, %s)" % (socket.gethostname(), python, sys.executable)
        cure = "install the same there: pip install masterworker==%s" % self.version
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
            from masterworker.engine.pilots.inside import run
        except ImportError as error:
            return "%s has a masterworker that is not whole (%s): %s" % (where, error, cure)
        return run(self.order)
"""
_EXPRESSION: Final = (
    f"(lambda names: exec({_SOURCE!r}, names) or names['MasterworkerPilot'])"
    "({'__name__': '__main__'})"
)


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What a pilot is told. It holds a secret, so it is shown nowhere."""

    ticket: str = ""
    #: Of its supervisor, the first part, by which the master knows its workers.
    name: str = ""
    max_tasks: int | None = None
    idle_timeout: float | None = None
    #: Seconds from its start.
    lifetime: float | None = None
    initializer: str = ""
    memory_limit: int | None = None
    start_timeout: float | None = None
    output: str = "marked"
    #: Libraries that its workers have from the start; None: those that the master has chosen.
    preload: tuple[str, ...] | None = None
    verbose: bool = False

    def __repr__(self) -> str:
        return f"<Order of {self.name}>"


class _Class:
    """Stands for the class, and is pickled as what makes it."""

    def __call__(self, *arguments: Any) -> Any:
        raise NotImplementedError

    def __reduce__(self) -> tuple[Any, ...]:
        return eval, (_EXPRESSION,)


class Pilot:
    """The call. It returns 0 when its worker has left in good order, else why it has not.

    Args:
        order: What it is told.
    """

    def __init__(self, order: Order) -> None:
        self._order = msgspec.json.encode(order)
        self.__name__ = self.__qualname__ = "masterworker_pilot"  # some engines ask for it

    def __call__(self) -> int | str:
        """Be a pilot in this process, where the engine pickles nothing."""
        from masterworker.engine.pilots.inside import run

        return run(self._order)

    def __reduce__(self) -> tuple[Any, ...]:
        return _Class(), (self._order, __version__, python_version())
