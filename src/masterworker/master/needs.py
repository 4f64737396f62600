"""What the calls of one master need of its main program, stored as long as they are under way."""

from __future__ import annotations

import logging
import pickle
import re
import weakref
from collections import Counter, deque
from types import BuiltinFunctionType, FunctionType
from typing import TYPE_CHECKING, Any

from masterworker import forks, wire
from masterworker.core.filters import CALL_MARK
from masterworker.data import copied, definitions, layout, mainmodule, methods
from masterworker.data.pickling import dumps_function_by_name, line_of
from masterworker.data.places import MARK, NOTHING
from masterworker.data.protocol import PROTOCOL
from masterworker.data.segment import LARGE, Segment, head_of
from masterworker.errors import UnpicklableError, UsageError
from masterworker.named import NamedTuple
from masterworker.surroundings import writes

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping

    from masterworker.core.task import Payload
    from masterworker.data.byname import Pickled
    from masterworker.data.environment import Environment, Plan
    from masterworker.data.looked import Places
    from masterworker.data.places import Written
    from masterworker.manager import Manager

logger = logging.getLogger("masterworker.master")

#: Most plans and functions that are kept ready.
KEPT = 256
#: A function without a name, and its variables, travel with each call up to this size (bytes).
SMALL = 16 << 10
#: Within this many bytes of a pickle stands what a call refers to.
LOOKED_AT = 1 << 16
_KEY = re.compile(rb"[0-9a-f]{32}")
#: A function that carries more than this is named in the log, once (bytes).
MUCH = 1 << 20


class Hold:
    """Keeps what calls need in the store, as long as a call or future refers to it.

    Args:
        parts: Under which keys that is stored.
        released: Called with them in the end. (In any thread, whatever that has in hand.)
    """

    __slots__ = ("__weakref__", "_parts", "_released")

    def __init__(self, parts: tuple[str, ...], released: deque[tuple[str, ...]]) -> None:
        self._parts = parts
        self._released = released

    def __del__(self) -> None:
        self._released.append(self._parts)


class Travelling(NamedTuple):
    """A function as it travels with its calls."""

    #: The mark of calls, and the function's name, for displays.
    tag: str
    #: Its pickle, or what stands for it.
    pickled: bytes
    #: What has to be stored as long as calls are under way; None: nothing.
    hold: Hold | None


class _Kept(NamedTuple):
    travelling: Travelling
    plan: Plan


class Needs:
    """What the calls of one master need. Thread-safe.

    Args:
        manager: Where it is stored.
    """

    def __init__(self, manager: Manager) -> None:
        self._manager = manager
        self._lock = forks.rlock()
        self._released: deque[tuple[str, ...]] = deque()
        self._stored: Counter[str] = Counter()
        self._holds: weakref.WeakValueDictionary[Hashable, Hold] = weakref.WeakValueDictionary()
        self._plans: dict[Hashable, tuple[Plan, Hold | None]] = {}
        self._looked: Places | None = None
        self._functions: dict[Callable[..., Any], _Kept] = {}
        #: Functions that travel by their names, with which nothing can change.
        self.importable: dict[Callable[..., Any], Travelling] = {}
        self._named: set[str] = set()
        self._writes = writes.Writes(self._forget_importable)
        self._kept: list[Hold] = []

    def of_function(self, function: Callable[..., Any]) -> Travelling:
        """Return a function as it travels.

        Costs some 50 ns for each name that it refers to, directly or not, and the time to pickle
        what may have been changed in place: about a millisecond for 10 MB of an array.

        Raises:
            UnpicklableError: It cannot travel; names what is in the way.
            UsageError: It cannot be called.
        """
        changed: Plan | None = None
        plain = isinstance(function, (FunctionType, BuiltinFunctionType, type, mainmodule.CACHED))
        plain = plain and not methods.is_bound(function)  # whose object may change
        if plain:
            if (known := self.importable.get(function)) is not None:
                return known
            if (kept := self._functions.get(function)) is not None:
                if kept.plan.is_true():
                    return kept.travelling
                changed = kept.plan
        tag = call_tag(function)
        if (by_name := dumps_function_by_name(function)) is not None:
            if self._writes.look() != NOTHING:
                from masterworker.data.byname import Pickled

                return self._travelling(tag, function, Pickled(by_name, []))
            travelling = Travelling(tag, by_name, None)
            if plain and len(self.importable) < 4 * KEPT and not self._writes.typed_in:
                self.importable[function] = travelling
            return travelling
        self._writes.look()  # also at marks of modules, which it may hold
        try:
            from masterworker.data.byname import as_function, pickled  # not for most masters

            root = (None if plain else as_function(function)) or pickled(function, share=True)
        except UnpicklableError:
            raise
        except Exception as error:
            from masterworker.data.blame import why  # of use in errors only

            name = getattr(function, "__qualname__", repr(function))
            raise UnpicklableError(
                f"function {name} cannot be pickled: {why(function, error, pickled)}"
            ) from error
        return self._travelling(tag, function, root, changed)

    def of_values(
        self, values: Mapping[str, object], *, fixed: bool
    ) -> tuple[dict[str, Payload], tuple[Hold, ...]]:
        """Pickle named values.

        Args:
            values: The values.
            fixed: Workers that open them cannot change the arrays in them, be they large or small.

        Raises:
            UnpicklableError: Names the value that cannot be pickled, and why.
        """
        found: dict[str, Payload] = {}
        kept: list[Hold | None] = []
        for name, value in values.items():
            try:
                found[name], hold = self.of_value(value, 0 if fixed else LARGE)
            except Exception as error:
                raise UnpicklableError(
                    f"the value {name!r} (a {type(value).__name__}) cannot be pickled, so it "
                    f"cannot be stored: {line_of(error)}"
                ) from error
            kept.append(hold)
        return found, holds(*kept)

    def keep(self, *hold: Hold | None) -> None:
        """Keep what is held as long as the job lasts."""
        self._kept += holds(*hold)

    def of_value(self, value: object, larger_than: int = LARGE) -> tuple[Payload, Hold | None]:
        """Pickle a value as it travels, and what it needs.

        Args:
            value: Anything.
            larger_than: Buffers with more bytes stay out of the pickle.

        Raises:
            Exception: It cannot be pickled.
        """
        from masterworker.data.byname import pickled

        found = pickled(value, larger_than=larger_than, copies=True)
        data, buffers, hold = found.data, found.buffers, None
        if found.needs or found.files:
            plan, hold = self._plan(found)
            outer: list[memoryview] = []
            data = pickle.dumps(
                _Opening(plan.environment.key, found),
                PROTOCOL,
                buffer_callback=lambda buffer: outer.append(buffer.raw()),
            )
            buffers = outer
        if buffers:
            return Segment.of(layout.pack(data, buffers)), hold
        return (data if len(data) <= LARGE else Segment.of([data])), hold

    def _travelling(
        self,
        tag: str,
        function: Callable[..., Any],
        root: Pickled,
        changed: Plan | None = None,
    ) -> Travelling:
        small = not root.buffers and len(root.data) <= SMALL
        written = self._writes.look()
        alone = not root.needs and not root.files and not root.hints
        if small and alone and written == NOTHING:
            return Travelling(tag, root.data, None)
        plan, hold = self._plan(root, written, changed)
        self._warn(tag, plan.environment, root)
        self._name_refused(plan)
        if small:
            args: tuple[Any, ...] = plan.environment.key, root.data
        else:
            from masterworker.data.environment import Environment
            from masterworker.data.stored import root_parts

            stored, buffers, parts = root_parts(root)
            args = plan.environment.key, b"", stored, buffers
            whole = Environment(plan.environment.key, {**plan.environment.parts, **parts})
            hold = self._hold((whole.key, stored, buffers), whole.parts)
        travelling = Travelling(tag, pickle.dumps(_Resolving(args), PROTOCOL), hold)
        if self._writes.typed_in:
            return travelling
        if mainmodule.is_found(function) or (alone and isinstance(function, FunctionType)):
            _keep(self._functions, function, _Kept(travelling, plan))
        return travelling

    def _plan(
        self, found: Pickled, written: Written = NOTHING, changed: Plan | None = None
    ) -> tuple[Plan, Hold | None]:
        """Return what the names in a pickle mean now: not what they do in the plan `changed`."""
        names, files, hints = found.needs, tuple(found.files), frozenset(found.hints)
        about = names, files, hints, found.looks_up, written
        with self._lock:
            known = self._plans.get(about)
            if known is not None and known[0] is not changed and known[0].is_true():
                return known
            from masterworker.data.environment import Plan
            from masterworker.data.looked import Places

            self._looked = self._looked or Places()
            plan = Plan(
                *(names, files, hints),
                looks_up=found.looks_up,
                written=written,
                looked=self._looked,
            )
            environment = plan.environment
            environment.copies = copied.look_at(plan.bindings)
            hold = self._hold(environment.key, environment.parts) if environment.key else None
            _keep(self._plans, about, (plan, hold))
            return plan, hold

    def _hold(self, about: Hashable, parts: dict[str, Payload]) -> Hold:
        """Store parts, as long as what is returned exists."""
        with self._lock:
            self._drop_released()
            known = self._holds.get(about)
            if known is not None:
                return known
            for key, payload in parts.items():
                if not self._stored[key]:
                    self._manager.put(wire.DEFINITIONS, key, payload)
                self._stored[key] += 1
            self._holds[about] = hold = Hold(tuple(parts), self._released)
            return hold

    def _drop_released(self) -> None:
        while self._released:
            for key in self._released.popleft():
                self._stored[key] -= 1
                if not self._stored[key]:
                    del self._stored[key]
                    self._manager.drop(wire.DEFINITIONS, key)

    def _forget_importable(self) -> None:
        """Look once more what the program sets in modules: it has imported one."""
        self.importable, self._functions = {}, {}  # another thread may be using the others

    def _name_refused(self, plan: Plan) -> None:
        """Name once what the main program has set in modules, and workers do not have."""
        for name, kind, error in plan.refused:
            if name not in self._named:
                self._named.add(name)
                logger.warning(
                    "the main program sets %s (a %s), which cannot be sent, so workers do not have "
                    "it: %s. Set it in them as well (initializer=)",
                    name.replace(MARK, "."), kind, line_of(error),
                )  # fmt: skip

    def _warn(self, tag: str, environment: Environment, root: Pickled) -> None:
        """Say once of a function that it carries much, or what should be one only, and which."""
        for name, warning in environment.copies:
            if name not in self._named:
                self._named.add(name)
                logger.warning(warning, tag[1:], name)
        carried = list(environment.sizes)
        if root.size > SMALL:
            carried.append(("its own variables or arguments", root.size, "object"))
        total = sum(size for _, size, _ in carried)
        if total <= MUCH or tag in self._named:
            return
        self._named.add(tag)
        carried.sort(key=lambda each: -each[1])
        what = ", ".join(
            f"{name} ({size / 1e6:,.1f} MB, {kind})" for name, size, kind in carried[:5]
        )
        logger.warning(
            "%s carries %.1f MB to the workers: %s. It is stored once for each machine, and each "
            "call of submit or map looks whether it has changed (some 0.1 ms for a megabyte). To "
            "be rid of that: share() the value and pass it as an argument, or make it in the "
            "workers (initializer=)",
            tag[1:], total / 1e6, what,
        )  # fmt: skip


class _Opening:
    """Pickled as a call of `definitions.opened`."""

    def __init__(self, key: str, found: Pickled) -> None:
        self._sent = key, found.data, [pickle.PickleBuffer(each) for each in found.buffers]

    def __reduce__(self) -> tuple[Any, ...]:
        return definitions.opened, self._sent


class _Resolving:
    """Pickled as a call of `definitions.resolve`."""

    def __init__(self, args: tuple[Any, ...]) -> None:
        self._args = args

    def __reduce__(self) -> tuple[Any, ...]:
        return definitions.resolve, self._args


def stored_for(payload: Payload, manager: Manager) -> dict[str, Payload]:
    """Return what a call refers to, of what is stored, by key. Costs some 50 us for a call."""
    found: dict[str, Payload] = {}
    todo = [each.decode() for each in _KEY.findall(head_of(payload, LOOKED_AT))]
    while todo:
        key = todo.pop()
        part = None if key in found else manager.get(wire.DEFINITIONS, key)
        if part is not None:
            found[key] = part
            todo += definitions.keys_in(part)
    return found


def _keep(kept: dict[Any, Any], key: Hashable, value: object) -> None:
    """Remember something; the oldest is forgotten."""
    kept.pop(key, None)
    if len(kept) >= KEPT:
        kept.pop(next(iter(kept)))
    kept[key] = value


def holds(*each: Hold | None) -> tuple[Hold, ...]:
    """Return those that there are."""
    return tuple(hold for hold in each if hold is not None)


def call_tag(function: Callable[..., Any]) -> str:
    """Return the tag of a call: the mark, and the function's name, for status displays.

    Raises:
        UsageError: It cannot be called.
    """
    name = getattr(function, "__name__", None)
    if isinstance(name, str) and callable(function):
        return CALL_MARK + name
    if not callable(function):
        raise UsageError(f"{function!r} is not a function")
    return CALL_MARK + type(function).__name__  # a partial, or an object with __call__
