"""Being a template that imports libraries, and a worker that has them from the start.

What an import does to the process beside defining modules would be seen by each worker, from its
first task on, whether that imports the library or not. So the process is compared before and
after: a template that is not as it was is not used.
"""

from __future__ import annotations

import _locale
import contextlib
import ctypes
import gc
import os
import signal
import sys
import threading
import time
import warnings
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

from masterworker.launch.template import clone
from masterworker.surroundings.installed import is_installed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from masterworker.launch.preload import Module

#: Lines of `/proc/self/status` that an import must leave as they are.
_LINES: Final = ("Umask", "SigBlk", "SigIgn", "Cpus_allowed")
#: Signals that the C library handles itself, from the first thread on.
_OF_C_LIBRARY: Final = 1 << (32 - 1) | 1 << (33 - 1)
_OPEN: Final = "/proc/self/fd"
#: What sets the number of threads of a library, by a part of the library's name; and where the
#: library looks for that number when it is loaded, before it takes that of the processors.
_SETTERS: Final = {
    "openblas": ("openblas_set_num_threads", "scipy_openblas_set_num_threads"),
    "mkl_rt": ("MKL_Set_Num_Threads",),
    "libblis": ("bli_thread_set_num_threads",),
}
_VARIABLES: Final = {
    "openblas": ("OPENBLAS_NUM_THREADS", "GOTO_NUM_THREADS", "OMP_NUM_THREADS"),
    "mkl_rt": ("MKL_NUM_THREADS", "OMP_NUM_THREADS"),
    "libblis": ("BLIS_NUM_THREADS", "OMP_NUM_THREADS"),
}
#: Parts of the names of OpenMP's libraries. They keep the number of threads of threads to come
#: where no function reaches it.
_OPENMP: Final = ("libgomp", "libiomp", "libomp")


class _Loaded:
    """What this process, or the template that it is a fork of, has imported for its tasks."""

    def __init__(self) -> None:
        #: Files of modules with what they were, and since when they must not have changed.
        self.files: list[tuple[str, tuple[int, ...]]] = []
        self.since = 0
        #: Packages, and the files that they begin with.
        self.packages: dict[str, str] = {}
        self.setters: list[tuple[str, Callable[[int], object]]] = []
        self.has_openmp = False
        #: Filters of warnings that the libraries have set.
        self.filters: list[Any] = []


_loaded: Final = _Loaded()


# -- in the template ------------------------------------------------------------------------


def load(modules: Sequence[Module], *, optional: bool) -> str:
    """Import modules.

    Args:
        modules: Which ones.
        optional: Parts of packages that are not there are left out.

    Returns:
        Why no worker can be a fork of this process now; "": it can.
    """
    us, before, known, filters = os.getpid(), _state(), set(sys.modules), list(warnings.filters)
    _loaded.since = time.time_ns()
    why = next(_import_all(modules, optional=optional), "")
    if os.getpid() != us:
        os._exit(0)  # a fork that an import has made has come back from it
    why = why or _changed(before) or next(_generators(), "")
    if not why:
        _loaded.filters = [each for each in warnings.filters if each not in filters]
        _note_files(name for name in sys.modules.copy() if name not in known)
        _find_setters()
    return why


def _import_all(modules: Sequence[Module], *, optional: bool) -> Iterator[str]:
    for name, origin in modules:
        package, _, part = name.partition(".")
        try:
            if package not in _loaded.packages:
                found = getattr(find_spec(package), "origin", None) or ""
                if not is_installed(found) or (origin and origin != found):
                    yield f"{package} is not found where the program has it"
                    return
                _loaded.packages[package] = found
            import_module(name)
        except ModuleNotFoundError as error:
            if not (optional and part):
                yield f"importing {name} has failed: {error}"
                return
        except BaseException as error:
            yield f"importing {name} has failed: {type(error).__name__}: {error}"
            return


def _state() -> dict[str, Any]:
    """Describe what an import must leave as it is."""
    with open("/proc/self/status", encoding="ascii", errors="replace") as file:  # noqa: PTH123
        status = dict(line.split(":", 1) for line in file.read().splitlines())
    with open("/proc/self/limits", encoding="ascii", errors="replace") as file:  # noqa: PTH123
        limits = file.read()
    descriptors = {}
    for number in os.listdir(_OPEN):  # noqa: PTH208  workers go without pathlib
        with contextlib.suppress(OSError):  # of the listing itself
            descriptors[number] = os.readlink(f"{_OPEN}/{number}")  # noqa: PTH115
    folder = ""
    with contextlib.suppress(OSError):
        folder = os.getcwd()  # noqa: PTH109
    return {
        "signals, umask or processors": [status.get(each) for each in _LINES],
        "signals that are handled": int(status.get("SigCgt", "0"), 16) & ~_OF_C_LIBRARY,
        "handlers of signals": {n: signal.getsignal(n) for n in signal.valid_signals()},
        "limits": (limits, os.getpriority(os.PRIO_PROCESS, 0)),
        "files that are open": descriptors,
        "the folder": folder,
        "the environment": dict(os.environ),
        "the import path": list(sys.path),
        "the locale": _locale.setlocale(_locale.LC_ALL, None),
        "the streams": (sys.stdin, sys.stdout, sys.stderr),
    }


def _changed(before: dict[str, Any]) -> str:
    pause = threading.Event()
    for _ in range(100):  # one that was waited for may need a moment to be gone
        if (number := clone.threads()) == 1:
            break
        pause.wait(0.01)
    else:
        return f"importing them has left {number} threads"
    with contextlib.suppress(ChildProcessError):
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        return "importing them has started a process"
    after = _state()
    for what, value in before.items():
        if after[what] != value:
            return f"importing them has changed {what}"
    return ""


def _generators() -> Iterator[str]:
    """Find random generators that each worker would have in the same state."""
    loaded: Any = sys.modules
    kinds: tuple[type, ...] = ()
    known = set()
    if "random" in loaded:
        random = loaded["random"]
        kinds += (random.Random,)
        known.add(id(random._inst))
    if "numpy.random.mtrand" in loaded:
        numpy, hidden = loaded["numpy.random"], loaded["numpy.random.mtrand"]._rand
        kinds += (numpy.Generator, numpy.RandomState, numpy.BitGenerator)
        known |= {id(hidden), id(hidden._bit_generator)}
    for each in gc.get_objects():
        kind = type(each)
        if not issubclass(kind, kinds) or kind.__name__ == "SystemRandom":
            continue
        if id(each) not in known:
            yield "importing them has made a random generator"


def _note_files(names: Iterator[str]) -> None:
    for name in names:
        file = getattr(sys.modules.get(name), "__dict__", {}).get("__file__")
        if isinstance(file, str) and (found := _look_at(file)):
            _loaded.files.append((file, found))


def _look_at(file: str) -> tuple[int, ...]:
    try:
        found = os.stat(file)  # noqa: PTH116
    except OSError:
        return ()
    return found.st_mtime_ns, found.st_size, found.st_ino


def _find_setters() -> None:
    with open("/proc/self/maps", encoding="utf-8", errors="surrogateescape") as file:  # noqa: PTH123
        paths = {line.partition("/")[2].rstrip("\n") for line in file if ".so" in line}
    for path in sorted(paths):
        name = path.rpartition("/")[2].lower()
        _loaded.has_openmp |= name.startswith(_OPENMP)
        for part, functions in _SETTERS.items():
            if part in name:
                library = ctypes.CDLL(f"/{path}")  # it is loaded already
                for function in functions:
                    for ending in ("", "64_", "_64"):
                        with contextlib.suppress(AttributeError):
                            _loaded.setters.append((part, getattr(library, function + ending)))


# -- in the worker --------------------------------------------------------------------------


def fits(environment: Mapping[str, str], processors: int) -> bool:
    """Return whether a worker with these variables may have what the template has imported.

    Args:
        environment: Its variables.
        processors: How many of these it may use.
    """
    if _loaded.has_openmp and _number(("OMP_NUM_THREADS",), environment, processors) != 1:
        return False
    return all(now == _look_at(path) and now[0] < _loaded.since for path, now in _loaded.files)


def use_threads(environment: Mapping[str, str], processors: int) -> None:
    """Let numerical libraries use the number of threads that they would have chosen."""
    for part, setter in _loaded.setters:
        fallback = 1 if part == "libblis" else processors
        number = min(_number(_VARIABLES[part], environment, fallback), processors)
        if number != 1:
            setter(number)


def is_as_found() -> bool:
    """Return whether this process would find the packages where its template has found them.

    To be asked once it imports from where its tasks do.
    """
    for package, origin in _loaded.packages.items():
        for finder in sys.meta_path:
            spec = finder.find_spec(package, None)
            if spec is not None:
                if spec.origin != origin:
                    return False
                break
    return True


def restore_filters() -> None:
    """Filter the warnings of the libraries as those do, once the program's filters are in force."""
    for each in reversed(_loaded.filters):
        if each not in warnings.filters:
            warnings.filters.insert(0, each)  # type: ignore[attr-defined]
            warnings._filters_mutated()  # type: ignore[attr-defined]


def _number(names: Sequence[str], environment: Mapping[str, str], fallback: int) -> int:
    for name in names:
        text = environment.get(name, "").partition(",")[0].strip()
        if text.isdecimal() and int(text) > 0:
            return int(text)
    return fallback
