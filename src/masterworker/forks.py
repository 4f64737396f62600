"""Forks of this process: what they find of it, and how they end.

A program may fork at any moment: `multiprocessing` does, and tasks do. The child has one thread,
and what all others had in hand stays half done for ever. One rule holds there for whatever is ours:

* locks are free (`lock`, `rlock`), since their holders are not there;
* what has a connection, a signal handler or a scheduler lets go of it (`register`): a connection
  of the parent is closed silently, and a scheduler that is only a copy refuses further steps.

A fork that a handler has made, and that comes back from the handler, is no worker: it ends.
"""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import sys
import threading
from _thread import get_ident
from typing import TYPE_CHECKING, Any, Final, NoReturn, Protocol
from weakref import WeakSet

from masterworker.errors import Terminated

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    class Forked(Protocol):
        """Something that lets go of what belongs to the parent."""

        def after_fork(self) -> None:
            """This process is a fork. Must not wait, and finds its own locks free."""


class _Mark:
    """What is true of this process alone, so that a fork finds it changed."""

    #: It is a fork of the one in which the worker runs.
    is_fork = False
    #: Signals with handlers of ours.
    carried: frozenset[int] = frozenset()
    #: The state of NumPy's own generator at the fork; None: it is no fork, or had none.
    numpy_state: object = None


mark: Final = _Mark()

_locks: Final[WeakSet[Any]] = WeakSet()
_things: Final[WeakSet[Forked]] = WeakSet()
#: What each thread that is about to fork blocked before.
_masks: Final[dict[int, Iterable[int]]] = {}


def lock() -> threading.Lock:
    """Make a lock that is free in a fork."""
    made = threading.Lock()
    _locks.add(made)
    return made


@contextlib.contextmanager
def held_off() -> Iterator[None]:
    """Let no thread fork while this one starts a program.

    A start ends when the pipe by which it reports errors is closed everywhere. A fork that has
    inherited it, of a pool of `multiprocessing` say, keeps it open for as long as it lives.
    """
    with _starting:
        yield


def rlock() -> Any:
    """Make a reentrant lock that is free in a fork."""
    made = threading.RLock()
    _locks.add(made)
    return made


def register(thing: Forked) -> None:
    """Call `thing.after_fork()` in each fork, as long as it lives."""
    _things.add(thing)


def refuse() -> NoReturn:
    """Say that a fork cannot do what its parent can.

    Raises:
        Terminated: Always.
    """
    raise Terminated("this is a fork of the master; only the master itself can do this")


class Refusal:
    """In the place of a lock: whatever would be done with it is of no use in a fork."""

    def __enter__(self) -> NoReturn:
        refuse()

    def __exit__(self, *_: object) -> None:
        """Never called."""


def carry(signals: Iterable[int]) -> None:
    """Let these signals reach a fork that is only beginning.

    Python forgets in the child what has come before its first step, so a `terminate()` that
    follows soon after a `start()` would be lost, and a `join()` wait for ever. What has no Python
    handler is not Python's to forget, so this is for signals that have one.
    """
    mark.carried = frozenset(signals)


def begin() -> None:
    """The worker of this process begins, whatever has been forked before."""
    mark.is_fork = False


def leave(error: BaseException | None = None) -> NoReturn:
    """End a fork as Python ends a process, but for what would concern its parent, too."""
    status = 0
    if isinstance(error, SystemExit):
        status = error.code if isinstance(error.code, int) else int(error.code is not None)
    elif error is not None:
        status = 1
        with contextlib.suppress(BaseException):
            import traceback

            traceback.print_exception(error)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(BaseException):
            stream.flush()
    os._exit(status & 0xFF)


def numpy_state() -> object:
    """Return the state of NumPy's own generator, which each fork inherits; None: it has none.

    None as well while another thread draws numbers: it holds the generator's lock then, and in a
    fork it holds it for ever.
    """
    module = sys.modules.get("numpy.random")
    with contextlib.suppress(Exception):  # it is being imported, say
        if module is not None and _is_free(module):
            _, keys, position, *_ = module.get_state()
            return keys.tobytes(), position
    return None


def _is_free(module: Any) -> bool:
    """Tell whether nothing holds the lock of NumPy's own generator."""
    known = module.mtrand._rand._bit_generator.lock
    if not known.acquire(blocking=False):
        return False
    known.release()
    return True


# -- around each fork -----------------------------------------------------------------------


def _before() -> None:
    if _starting.acquire(timeout=LONGEST_START):
        _forking.add(get_ident())
    if gc.isenabled():
        # What it drops may take a lock of ours, and in the child Python and handlers of others
        # allocate before those are free.
        gc.disable()
        _collecting.add(get_ident())
    if mark.carried:
        _masks[get_ident()] = signal.pthread_sigmask(signal.SIG_BLOCK, mark.carried)


def _after_in_parent() -> None:
    _collect_again()
    if get_ident() in _forking:
        _forking.discard(get_ident())
        _starting.release()
    before = _masks.pop(get_ident(), None)
    if before is not None:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _collect_again() -> None:
    if get_ident() in _collecting:
        _collecting.clear()
        gc.enable()


def _after_in_child() -> None:
    _forking.clear()
    mark.is_fork = True
    mark.numpy_state = numpy_state()
    before = _masks.pop(get_ident(), None)
    _masks.clear()
    carry(())
    for each in _locks:
        each._at_fork_reinit()  # as the standard library does it
    _collect_again()
    for thing in list(_things):
        try:
            thing.after_fork()
        except Exception:
            import logging  # what registers itself has it; a template begins before

            logger = logging.getLogger("masterworker.forks")
            logger.exception("a fork could not let go of %r; it goes on", thing)
    if before is not None:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


#: Held while a program is started, and by a thread that forks. A fork waits for it this long
#: (seconds): a signal handler may fork in the thread that holds it.
_starting: Final = lock()
LONGEST_START: Final = 5.0
_forking: Final[set[int]] = set()
#: The thread that forks, and has stopped the collector of garbage meanwhile.
_collecting: Final[set[int]] = set()

os.register_at_fork(
    before=_before, after_in_parent=_after_in_parent, after_in_child=_after_in_child
)
