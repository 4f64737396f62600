"""The main program's definitions in a worker: fetched once, kept by name, kept up to date.

Each call says which *environment* it needs: what the names that it refers to meant in the master
when it was asked for. Most calls need the same one, so most of the time there is nothing to do.
Where a name means something else than in the call before, it is rebound. What a task or an
initializer has set in a global stays, until the master's own value of that name is another one.

Environments, large definitions, and the elements of arrays are stored at the master under digests
of their content. Nothing here needs cloudpickle, which is slow to load, but for classes.
"""

from __future__ import annotations

import sys
from types import FunctionType
from typing import TYPE_CHECKING, Any, Final

import msgspec

from masterworker.data import caches, mainmodule
from masterworker.data.pickling import loads, share_names
from masterworker.data.rebuilding import begun, show_source
from masterworker.data.segment import bytes_of
from masterworker.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from masterworker.core.task import Payload

#: What a definition is: nothing (the name is not defined), the text of a source, a function or
#: class, the values of one or more names that have parts in common, or what the functions of a name
#: may have remembered (the name is followed by `()`): not beyond a change of what they refer to.
#: An attribute of a module goes by itself, after what `putting.master_has` is told.
ABSENT, SOURCE, DEFINED, VALUES, CACHES, PLACE, MODULES = range(7)
#: How many environments are kept ready.
KEPT: Final = 256


class Definition(msgspec.Struct, array_like=True, gc=False, frozen=True):
    """What some names mean."""

    kind: int
    names: tuple[str, ...]
    #: Of the content, and of all definitions that it refers to as parts of it.
    digest: bytes
    #: A pickle; or under which key that is stored, where it is a large one.
    pickled: bytes = b""
    stored: str = ""
    #: Under which keys large buffers are stored.
    buffers: tuple[str, ...] = ()


class Environment:
    """What calls need that were asked for at one time.

    Args:
        key: Under which it is stored.
        definitions: Their names, and what these mean.
    """

    __slots__ = ("definitions", "key", "meanings")

    def __init__(self, key: str, definitions: list[Definition]) -> None:
        self.key = key
        self.definitions = definitions
        #: The digest for each name.
        self.meanings = {name: each.digest for each in definitions for name in each.names}


class _UnfinishedError(AttributeError):
    """What has to be rebuilt before this refers to this."""


class Resolved:
    """A function that has been rebuilt, and in which environment it is to be called.

    Args:
        function: The function.
        environment: Where its names mean what they did at the call.
        size: Bytes of what it carries besides.
    """

    __slots__ = ("environment", "function", "size")

    def __init__(
        self, function: Callable[..., Any], environment: Environment | None, size: int = 0
    ) -> None:
        self.function = function
        self.environment = environment
        self.size = size


_read = msgspec.msgpack.Decoder(list[Definition]).decode


def keys_in(part: Payload) -> list[str]:
    """Return under which keys is stored what an environment needs; []: this is none."""
    try:
        found = _read(bytes_of(part))
    except (msgspec.MsgspecError, ValueError):
        return []
    apart = [each.stored for each in found if each.stored]
    return [*apart, *(key for each in found for key in each.buffers)]


class _Here:
    """What this process has of the main program's definitions."""

    def __init__(self) -> None:
        #: They are where the functions come from: this is the master's process, or a thread of it.
        self.at_home = True
        #: A master has been made in this process.
        self.has_master = False
        #: Gets what is stored under a key.
        self.fetch: Callable[[str], Payload | None] = _no_store
        #: A program of this process's own, whose classes (and functions) are preferred.
        self.own: dict[str, Any] | None = None
        self.own_functions = False
        #: Which meaning names have been given.
        self.applied: dict[str, bytes] = {}
        self.environments: dict[str, Environment] = {}
        self.entered: Environment | None = None
        #: What is still to be done of the environment that is being entered, by name.
        self.pending: dict[str, Definition] = {}
        #: Whose pickles are being opened, and what of it has to be opened once more.
        self.opening: set[str] = set()
        self.unfinished: list[Definition] = []

    def start_anew(self) -> None:
        """Forget all but the way to the store: another main program takes the place of this one."""
        vars(self).update(vars(_Here()), at_home=False, fetch=self.fetch)


def _no_store(key: str) -> Payload | None:
    raise UsageError(f"nothing here knows where {key} is stored")


_here = _Here()


def fetch_from(fetch: Callable[[str], Payload | None]) -> None:
    """Say where what is stored can be got."""
    _here.fetch = fetch


def live_in_main() -> dict[str, Any]:
    """Make this process one whose main program is the master's. Returns its empty namespace."""
    namespace = mainmodule.put_in_place()
    _here.start_anew()
    share_names(shared=True)
    return namespace


def live_beside() -> dict[str, Any]:
    """Make this process one that executes a script which is not the master's main program.

    Returns:
        The namespace for the script, which is the main program of this process.
    """
    namespace = mainmodule.put_in_place()
    mainmodule.live_in(mainmodule.new())
    _here.start_anew()
    _here.own = namespace
    return namespace


def live_apart() -> None:
    """Make this process one that has a main program of its own, and does work for a master.

    Classes of that program are preferred to those of the same name in the master's. Where there is
    a master in this process, or it is said already where definitions live, this does nothing.
    """
    if _here.at_home and not _here.has_master:
        mainmodule.live_in(mainmodule.new())
        _here.start_anew()
        _here.own = vars(sys.modules[mainmodule.MAIN])


def has_executed() -> None:
    """A script has been executed here. If it is the master's, its functions stay as they are."""
    if _here.own is None:
        _here.own, _here.own_functions = dict(mainmodule.namespace()), True


def is_master() -> None:
    """There is a master in this process: find its main program."""
    _here.has_master = True
    if _here.at_home:
        mainmodule.look_for_script()


# -- what pickles call ----------------------------------------------------------------------


def resolve(key: str, pickled: bytes, stored: str = "", buffers: tuple[str, ...] = ()) -> Resolved:
    """Rebuild a function that is to be called in an environment.

    Args:
        key: Of the environment.
        pickled: The function; or
        stored: Under which key that is stored.
        buffers: Keys of its large buffers.
    """
    environment = require(key)
    content = pickled or bytes_of(_get(stored))
    views = _views(buffers)
    size = len(content) + sum(map(len, views))
    return Resolved(loads(content, buffers=views), environment, size)


def opened(key: str, pickled: bytes, buffers: Sequence[Any] = ()) -> Any:
    """Rebuild what refers to the main program, in the environment that it needs."""
    require(key)
    return loads(pickled, buffers=buffers)


# -- entering an environment ----------------------------------------------------------------


def require(key: str) -> Environment | None:
    """Enter the environment of a key, which is fetched if need be."""
    if _here.at_home or not key:
        return None
    environment = _here.environments.get(key)
    if environment is None:
        environment = Environment(key, _read(bytes_of(_get(key))))
        if len(_here.environments) >= KEPT:
            _here.environments.pop(next(iter(_here.environments)))
        _here.environments[key] = environment
    enter(environment)
    return environment


def entered() -> Environment | None:
    """Return the environment in which this process is."""
    return _here.entered


def enter(environment: Environment | None) -> None:
    """Let names mean what they mean in an environment. Costs nothing where they do already."""
    if environment is None or environment is _here.entered:
        return
    applied = _here.applied
    if environment.meanings.items() <= applied.items():
        _here.entered = environment
        return
    todo = [d for d in environment.definitions if any(applied.get(n) != d.digest for n in d.names)]
    _here.entered = None
    _here.pending = {name: each for each in todo if each.kind != SOURCE for name in each.names}
    try:
        for each in todo:
            if each.kind == SOURCE or each.names[0] in _here.pending:
                _apply(each)
        while _here.unfinished:
            _apply(_here.unfinished.pop())
    except BaseException:
        for each in _here.unfinished:
            applied.pop(each.names[0], None)
        raise
    finally:
        _here.unfinished.clear()
        begun.clear()
    _here.entered = environment


def find(qualname: str) -> Any:
    """Return what the main program has under a name; what is still to be rebuilt is, first.

    Raises:
        AttributeError: It has nothing there.
    """
    name = qualname.partition(".")[0]
    pending = _here.pending.get(name)
    if pending is not None:
        _apply(pending)
    elif name in _here.opening and name not in begun:
        raise _UnfinishedError(f"{name} of the main program is not rebuilt yet")
    return mainmodule.find(qualname)


class Further:
    """What a further call has of the main program; opened in the environment of this one.

    Args:
        opener: `resolve` for a function, `opened` for anything else.
        pickled: Its pickle.
    """

    def __init__(self, opener: Callable[..., Any], pickled: bytes) -> None:
        self._call = opener, pickled

    def __reduce__(self) -> tuple[Any, ...]:
        opener, pickled = self._call
        key = "" if _here.entered is None or _here.at_home else _here.entered.key
        return opener, (key, pickled)


class ByName:
    """Pickled as a call of `find`."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __reduce__(self) -> tuple[Any, ...]:
        return find, (self._name,)


def _apply(definition: Definition) -> None:
    """Give names their meaning."""
    names, kind = definition.names, definition.kind
    for name in names:
        _here.pending.pop(name, None)
    if kind == SOURCE:
        show_source(names[0], _content(definition).decode())
    elif kind == ABSENT:
        for name in names:
            if name in _here.applied:
                mainmodule.namespace().pop(name, None)
    elif kind == CACHES:
        if names[0] in _here.applied:
            caches.clear(mainmodule.namespace().get(names[0][:-2]))
    elif kind in (PLACE, MODULES):
        from masterworker.data import putting  # many programs set nothing in modules

        content, views = _content(definition), _views(definition.buffers)
        if kind == MODULES:
            putting.master_has(*msgspec.msgpack.decode(content))
        else:
            putting.put(names, lambda: loads(content, buffers=views))
    elif kind == DEFINED:
        _define(names[0], definition)
    else:
        _set(names, definition)
    _here.applied.update(dict.fromkeys(names, definition.digest))


def _define(name: str, definition: Definition) -> None:
    """Give a name its function or class: the one of this process's own program, if it has one."""
    mine = None if _here.own is None else _here.own.get(name)
    kinds = (type, FunctionType, mainmodule.CACHED) if _here.own_functions else (type,)
    if isinstance(mine, kinds) and name not in _here.applied:
        mainmodule.namespace()[name] = mine
        return
    before = mainmodule.namespace().get(name)
    _here.opening.add(name)
    try:
        mainmodule.namespace()[name] = _open(definition)
    except BaseException as error:
        if isinstance(error, _UnfinishedError) and name in begun:
            _here.unfinished.append(definition)  # a metaclass that knows its classes
            return
        mainmodule.namespace()[name] = before  # not what has only been begun
        raise
    finally:
        _here.opening.discard(name)
    begun.pop(name, None)


def _set(names: tuple[str, ...], definition: Definition) -> None:
    """Give names their values, except those that this process had set before the first came."""
    namespace = mainmodule.namespace()
    _here.opening.update(names)
    try:
        values = _open(definition)
    finally:
        _here.opening.difference_update(names)
    for name, value in zip(names, values, strict=True):
        set_here = name in namespace and name not in _here.applied and _here.own is None
        if not set_here:
            namespace[name] = value


def _open(definition: Definition) -> Any:
    try:
        return loads(_content(definition), buffers=_views(definition.buffers))
    except Exception as error:
        names = " and ".join(map(repr, definition.names))
        error.add_note(f"while this worker rebuilt {names} of the main program")
        raise


def _views(keys: tuple[str, ...]) -> list[memoryview]:
    """Return large buffers, which can be written to without an effect elsewhere."""
    return [
        memoryview(bytearray(each)) if isinstance(each, bytes) else each.open(writable=True)
        for each in map(_get, keys)
    ]


def _content(definition: Definition) -> bytes:
    return definition.pickled or bytes_of(_get(definition.stored))


def _get(key: str) -> Payload:
    found = _here.fetch(key)
    if found is None:
        raise UsageError("what this task refers to is not stored any more: its master has ended?")
    return found
