"""Large arguments that several calls of one `Parallel` have in common: each is stored once.

An argument is known by its identity, as joblib does it: what it holds when it is first sent is what
all calls get. It is stored as long as the program or a call refers to it, at most to the end of the
`Parallel` call, so that a loop over many large pieces does not pile them up.
"""

from __future__ import annotations

import sys
import weakref
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from masterworker import forks
from masterworker.joblib.batch import Stand, changeable, own, parts

if TYPE_CHECKING:
    from collections.abc import Callable

    from masterworker.master import Master
    from masterworker.master.shared import Shared

#: Arguments of these types are what they are.
_PLAIN: Final = frozenset((int, float, str, bool, type(None), complex))
#: Lists, tuples and dictionaries in arguments are looked through to this depth, ...
DEPTH: Final = 2
#: ... if they are no longer than this.
LENGTH: Final = 64


class Entry:
    """One value that is stored.

    Args:
        value: The value.
        shared: It, stored; None: workers find it in a file.
        stand: What is sent in its place.
    """

    __slots__ = ("shared", "stand", "users", "value")

    def __init__(self, value: object, shared: Shared | None, stand: object) -> None:
        self.value: Callable[[], object] = weakref.ref(value)
        self.shared = shared
        self.stand = stand
        #: Number of batches under way that have it.
        self.users = 0

    @property
    def is_over(self) -> bool:
        """No call has it, and none will."""
        return self.users == 0 and self.value() is None

    def drop(self) -> None:
        """Forget the value, here and in the workers."""
        if self.shared is not None:
            self.shared.__exit__(None, None, None)  # suppresses the end of the job


class SharedArguments:
    """The large arguments of one call of `Parallel`. Thread-safe.

    Args:
        master: Whose workers get them.
        larger_than: Only values of more bytes; None: none.
        mode: joblib's `mmap_mode`: "r" gives all calls the same memory, which cannot be written to;
            with "c", and with "r+" or "w+", each call may change a copy of its own.
        only_here: All workers are on this machine, so that they find its files.
    """

    def __init__(
        self, master: Master, larger_than: int | None, mode: str | None, *, only_here: bool
    ) -> None:
        self._master = master
        self._larger_than = sys.maxsize if larger_than is None else larger_than
        self._is_on = larger_than is not None and mode is not None
        self._make = own if mode == "r" else changeable
        self._only_here = only_here
        self._entries: dict[int, Entry] = {}
        self._lock = forks.rlock()

    def replace(self, calls: list[Any]) -> tuple[list[Any], list[Entry]]:
        """Return calls with what stands for their large arguments, and the values that they use.

        Args:
            calls: (function, positional arguments, keyword arguments).

        Raises:
            UnpicklableError: A large argument cannot be sent.
        """
        used: list[Entry] = []
        found = []
        for function, args, kwargs in calls:
            for arg in args:
                if arg.__class__ not in _PLAIN:
                    args = self._replace_in(args, used, DEPTH)  # noqa: PLW2901
                    break
            if kwargs:
                kwargs = self._replace_in(kwargs, used, DEPTH)  # noqa: PLW2901
            if function.__class__ is partial:
                function = partial(  # noqa: PLW2901
                    function.func,
                    *self._replace_in(function.args, used, DEPTH),
                    **self._replace_in(function.keywords, used, DEPTH),
                )
            found.append((function, args, kwargs))
        return found, used

    def release(self, used: list[Entry]) -> None:
        """Calls are done that used these values."""
        if not used:
            return
        with self._lock:
            for entry in used:
                entry.users -= 1
            self._sweep()

    def clear(self) -> None:
        """The call of `Parallel` is done: forget all values."""
        with self._lock:
            entries, self._entries = self._entries, {}
        for entry in entries.values():
            entry.drop()

    # -- inside -----------------------------------------------------------------------------

    def _replace_in(self, value: Any, used: list[Entry], depth: int) -> Any:
        """Return a container with what stands for the large values in it; itself if none are."""
        if isinstance(value, dict):
            new = {key: self._replaced(each, used, depth) for key, each in value.items()}
            return new if any(new[key] is not value[key] for key in value) else value
        made = [self._replaced(each, used, depth) for each in value]
        if all(a is b for a, b in zip(made, value, strict=True)):
            return value
        return made if isinstance(value, list) else tuple(made)

    def _replaced(self, value: Any, used: list[Entry], depth: int) -> Any:
        kind = value.__class__
        if kind in _PLAIN:
            return value
        if kind is list or kind is tuple or kind is dict:
            inside = depth and len(value) <= LENGTH
            return self._replace_in(value, used, depth - 1) if inside else value
        return self._stand_for(value, used) if kind.__module__ != "builtins" else value

    def _stand_for(self, value: Any, used: list[Entry]) -> Any:
        in_file = self._in_file(value)
        if in_file is None and not (self._is_on and size(value) > self._larger_than):
            return value
        with self._lock:
            entry = self._entries.get(id(value))
            if entry is None or entry.value() is not value:
                if entry is not None:
                    self._sweep()
                entry = self._store(value, in_file)
                self._entries[id(value)] = entry
            entry.users += 1
            used.append(entry)
            return entry.stand

    def _store(self, value: Any, in_file: Stand | None) -> Entry:
        if in_file is not None:
            return Entry(value, None, in_file)
        flags = getattr(value, "flags", None)
        whole = value if getattr(flags, "forc", True) else value.copy()  # else it cannot be mapped
        shared = self._master.share(value=whole)
        return Entry(value, shared, Stand(self._make, shared.value))

    def _in_file(self, value: Any) -> Stand | None:
        """Return what opens the file that an array is mapped from; None: it is in none."""
        numpy = sys.modules.get("numpy")
        if numpy is None or not isinstance(value, numpy.ndarray) or value.base is None:
            return None
        # As loky's workers get it: results may be written there.
        from joblib._memmapping_reducer import _get_backing_memmap, _reduce_memmap_backed

        backing = _get_backing_memmap(value)
        if not isinstance(backing, numpy.memmap) or backing.filename is None:
            return None
        if not self._only_here and backing.mode in ("r", "c"):
            return None  # other machines may not have the file; they need not
        make, args = _reduce_memmap_backed(value, backing)
        return Stand(make, *args)

    def _sweep(self) -> None:
        for key, entry in list(self._entries.items()):
            if entry.is_over:
                del self._entries[key]
                entry.drop()


def size(value: Any) -> int:
    """Return the number of bytes of an array, a sparse matrix or a table; 0: it is none of these.

    These can be opened by several calls without one seeing what another does to its object.
    """
    numpy = sys.modules.get("numpy")
    if numpy is None:
        return 0
    if isinstance(value, numpy.ndarray):
        return 0 if value.dtype.hasobject else int(value.nbytes)
    module = value.__class__.__module__
    if module.startswith("scipy.sparse"):
        return sum(part.nbytes for part in parts(value))
    if module.startswith("pandas.") and hasattr(value, "memory_usage"):
        used = value.memory_usage()
        return int(used if isinstance(used, int) else numpy.sum(used))
    return 0
