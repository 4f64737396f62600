"""What calls need of the main program, as it is now: made once, and again when it has changed.

From the names that a function refers to one comes to other functions and classes, and from these to
further names. What all of them mean is an *environment*: definitions, each with a digest of its
content. Whether it is still true is asked at each call. Names are compared by identity, which costs
some 50 ns each, as long as what they mean cannot change. Lists, dictionaries, arrays and the like
are pickled again, and their digest is compared: about a millisecond for 10 MB of an array.

Values that have parts in common are one definition, so that they have them in common in the worker.
"""

from __future__ import annotations

import contextlib
from collections import deque
from functools import partial
from types import FunctionType
from typing import TYPE_CHECKING, Final

import msgspec
from xxhash import xxh3_128_digest, xxh3_128_hexdigest

from masterworker.data import attributes, mainmodule, marks, snapshot, sourcecode, views
from masterworker.data.batches import checks_of
from masterworker.data.builtin import BUILTINS, MISSING, is_usual
from masterworker.data.byname import Pickled, pickled
from masterworker.data.definitions import ABSENT, CACHES, DEFINED, PLACE, SOURCE, VALUES, Definition
from masterworker.data.fixed import check_of, is_fixed
from masterworker.data.groups import reached, together
from masterworker.data.looked import Places
from masterworker.data.making import INLINE, compare, define, modules_of
from masterworker.data.places import NOTHING, Written, is_place
from masterworker.data.stored import payload_of
from masterworker.errors import UnpicklableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from masterworker.core.task import Payload

#: All names that workers have been told.
_sent: Final = set[str]()


class Environment:
    """What calls need that are asked for now.

    Args:
        key: Under which it is stored; "" if nothing is needed.
        parts: What is to be stored, by key.
        sizes: Names that carry much, with the number of bytes, and the class of the value.
    """

    def __init__(
        self,
        key: str,
        parts: dict[str, Payload],
        sizes: Sequence[tuple[str, int, str]] = (),
    ) -> None:
        self.key = key
        self.parts = parts
        self.sizes = sizes
        #: Names of what a program may rely on there being one of, and what to say of it.
        self.copies: Sequence[tuple[str, str]] = ()


class Plan:
    """An environment, and how to see whether it is still what names mean.

    Args:
        names: Names to begin with.
        files: Sources of code that is not in the environment.
        hints: Names that such code may look up.
        looks_up: Such code may find further names.
        written: Attributes of modules that the program sets.
        looked: What such attributes were before.

    Raises:
        UnpicklableError: Names what cannot be sent, and why.
    """

    def __init__(
        self,
        names: Iterable[str],
        files: Iterable[str] = (),
        hints: Iterable[str] = (),
        *,
        looks_up: bool = False,
        written: Written = NOTHING,
        looked: Places | None = None,
    ) -> None:
        self._main = mainmodule.namespace()
        marks.note_marks(mainmodule.MAIN, self._main)
        #: What each name is bound to.
        self.bindings: list[tuple[str, object]] = []
        #: What names mean that the main program leaves to the builtins.
        self._builtins: list[tuple[str, object]] = []
        self._watches_names = False
        #: What has to be looked at, besides: whether it is what it was.
        self._checks: list[Callable[[], bool]] = []
        self._definitions: list[Definition] = []
        self._modules = modules_of(written)
        self._parts: dict[str, Payload] = {}
        self._sizes: list[tuple[str, int, str]] = []
        self._files = dict.fromkeys(files)
        self._values: dict[str, Pickled] = {}
        #: Which other definitions are parts of what a name means.
        self._made_of: dict[str, Iterable[str]] = {}
        #: Which names the code of what a name means refers to, besides.
        self._needs: dict[str, Iterable[str]] = {}
        #: Names with functions that remember their results.
        self._cached: list[str] = []
        #: Attributes of modules that cannot be sent, the class of each, and why.
        self.refused: list[tuple[str, str, Exception]] = []
        needs, more = self._add_places(written, looked or Places())
        self._build([*names, *needs], [*hints, *more])
        if looks_up:
            self._watch_names()
        self.environment = self._finish()

    def is_true(self) -> bool:
        """Return whether all names mean what they did when this was made."""
        get = self._main.get
        for name, value in self.bindings:
            if get(name, MISSING) is not value:
                return False
        builtin = BUILTINS.get
        for name, value in self._builtins:
            if builtin(name, MISSING) is not value:
                return False
        try:
            return all(check() for check in self._checks)
        except Exception:  # it cannot be pickled any more: the next plan says so
            return False

    # -- making it --------------------------------------------------------------------------

    def _build(self, names: Iterable[str], more: Iterable[str]) -> None:
        todo, hints = deque(names), deque(["__file__", *more])
        seen: set[str] = set()
        left_out: set[str] = set()
        hinted: dict[str, set[str]] = {}
        while todo or hints:
            hint = not todo  # what only hints lead to may be missing
            name = hints.popleft() if hint else todo.popleft()
            if name in seen or name in mainmodule.OF_MODULES:
                continue
            value = self._main.get(name, MISSING)
            if hint and value is MISSING:
                continue
            self.bindings.append((name, value))
            seen.add(name)
            try:
                found = self._add(name, value)
            except Exception as error:
                if hint:
                    left_out.add(name)
                    continue
                raise UnpicklableError(_cannot(name, value, error)) from error
            if hint:
                hinted[name] = set(found.parts)
            self._note(name, found)
            (hints if hint else todo).extend(found.needs)
            hints.extend(found.hints)
        self._leave_out(left_out, hinted)
        self._add_values()

    def _watch_names(self) -> None:
        """Let a name that the main program gets, or loses, be a change."""
        if not self._watches_names:
            self._watches_names = True
            known = set(self._main)
            self._checks.append(lambda: self._main.keys() == known)
            for name in _sent - known:  # which workers may have, and find
                if is_place(name):
                    continue
                self._definitions.append(Definition(ABSENT, (name,), b""))

    def _leave_out(self, names: set[str], hinted: dict[str, set[str]]) -> None:
        """Leave out what only hints lead to, and has parts that cannot be sent."""
        count = -1
        while len(names) > count:
            count = len(names)
            names |= {name for name, parts in hinted.items() if not parts.isdisjoint(names)}
        if names:
            self._definitions = [d for d in self._definitions if names.isdisjoint(d.names)]
            self._values = {name: each for name, each in self._values.items() if name not in names}

    def _note(self, name: str, found: Pickled) -> None:
        """Note what a name leads to."""
        self._needs[name] = found.needs
        if found.looks_up:
            self._watch_names()
        if found.has_caches:
            self._cached.append(name)
        self._files.update(dict.fromkeys(found.files))

    def _add_places(self, written: Written, looked: Places) -> tuple[list[str], list[str]]:
        """Add attributes of modules; of a module's own all, or none.

        Returns:
            Names that they need, and hints.
        """
        looked.begin(written.deleted)
        names = dict.fromkeys(written.named)
        for name in written.setters:
            del names[name]
            names[attributes.as_state(name)] = None
        for own in written.own:
            if too_much := looked.too_much_of(own):
                self._checks.append(attributes.check_of_too_much(too_much))
            else:
                names.update(dict.fromkeys(own))
        needs: list[str] = []
        hints: list[str] = []
        found = looked.look_at_all(names)
        self._checks += checks_of(found)
        for each in found:
            if each.refused is not None:
                self.refused.append((each.name, each.kind, each.refused))
            if each.definition is None or each.found is None:
                continue
            self._definitions.append(each.definition)
            self._parts.update(each.parts)
            if not each.can_be_kept:
                self._made_of[each.name] = each.found.parts
                self._note(each.name, each.found)
                needs += each.found.needs
                hints += each.found.hints
            if each.found.size > INLINE:
                self._sizes.append((each.name, each.found.size, each.kind))
        return needs, hints

    def _add(self, name: str, value: object) -> Pickled:
        """Add what a name means; values are put aside until it is known what they share."""
        if value is MISSING:
            return self._add_builtin(name)
        if not self._is_defined(name, value):
            return self._add_value(name, value)
        again = partial(pickled, value, itself=(value,), share=True)
        found = again()
        if isinstance(value, type):  # whose source is looked for in the file of its module
            self._files[str(self._main.get("__file__", ""))] = None
        digest = self._add_definition(DEFINED, (name,), found)
        self._checks.append(check_of(value) or compare(DEFINED, again, digest))
        return found

    def _add_builtin(self, name: str) -> Pickled:
        """Add a name that the main program does not define; it may have added it to the builtins.

        What cannot be sent is not defined in workers, such as what an interactive shell adds.
        """
        value = BUILTINS.get(name, MISSING)
        self._builtins.append((name, value))
        if not is_usual(value):
            with contextlib.suppress(Exception):
                return self._add_value(name, value)
        self._definitions.append(Definition(ABSENT, (name,), b""))
        return Pickled(b"", [])

    def _add_value(self, name: str, value: object) -> Pickled:
        found = pickled(marks.by_name(value), itself=_by_value([value]), objects=_can_change(value))
        if (owner := views.owner_of(value)) is not None:
            found = found._replace(objects={**found.objects, id(owner): owner})
        self._values[name] = found
        return found

    def _is_defined(self, name: str, value: object) -> bool:
        """Return whether a name means a function or class of the main program."""
        if _has_variables(value):
            return False
        if isinstance(value, FunctionType) and value.__globals__ is self._main:
            return value.__qualname__ == name
        if mainmodule.is_found(value):
            return value.__qualname__ == name  # type: ignore[attr-defined,no-any-return]
        return mainmodule.own_name(value) == name

    def _add_values(self) -> None:
        for names in together({name: each.objects for name, each in self._values.items()}):
            values = tuple(map(self._value, names))
            named = views.joined(tuple(map(marks.by_name, values)))
            again = partial(pickled, named, itself=_by_value(values))
            digest = self._add_definition(VALUES, names, again())
            checks = [_check_of(value) for value in values if _can_change(value)]
            if None in checks:
                checks = [compare(VALUES, again, digest)]
            self._checks += filter(None, checks)
        self._values.clear()  # which holds what was made for pickling

    def _value(self, name: str) -> object:
        return self._main[name] if name in self._main else BUILTINS.get(name)

    def _add_definition(self, kind: int, names: tuple[str, ...], found: Pickled) -> bytes:
        definition = define(kind, names, found, self._parts)
        self._definitions.append(definition)
        self._made_of.update(dict.fromkeys(names, found.parts))
        if found.size > INLINE:
            value = self._value(names[0])
            self._sizes.append((", ".join(names), found.size, type(value).__name__))
        return definition.digest

    def _finish(self) -> Environment:
        for name in self._files:
            if name and (text := sourcecode.source_of(name)):
                self._add_definition(SOURCE, (name,), Pickled(text.encode(errors="replace"), []))
        if not self._definitions:
            return Environment("", {})
        _sent.update(name for each in self._definitions for name in each.names)
        encoded = msgspec.msgpack.encode(self._modules + self._with_parts())
        key = xxh3_128_hexdigest(encoded)
        return Environment(key, {**self._parts, key: payload_of(encoded)}, self._sizes)

    def _with_parts(self) -> list[Definition]:
        """Return the definitions with digests that cover their parts, too.

        A value that holds a function is another one when that function is.
        """
        if not any(self._made_of.values()) and not self._cached:
            return self._in_order(self._definitions)
        digests = {name: each.digest for each in self._definitions for name in each.names}

        def digest_of(names: Iterable[str]) -> bytes:
            return xxh3_128_digest(b"".join(sorted(digests.get(name, b"") for name in names)))

        found = []
        for each in self._definitions:
            if not any(self._made_of.get(name) for name in each.names):
                found.append(each)
                continue
            leads_to = reached(each.names, self._made_of)
            if len(leads_to) > len(each.names):
                digest = xxh3_128_digest(each.digest + digest_of(leads_to))
                each = msgspec.structs.replace(each, digest=digest)  # noqa: PLW2901
            found.append(each)
        caches = [
            Definition(CACHES, (f"{name}()",), digest_of(reached((name,), self._needs)))
            for name in self._cached
        ]
        return self._in_order(found) + caches

    def _in_order(self, definitions: list[Definition]) -> list[Definition]:
        """Put each definition after those that it needs, as far as that is possible.

        To open a pickle may be to execute code of the program: of `__setstate__`, of `__hash__`.
        """
        first = [each for each in definitions if each.kind == SOURCE]
        first += [each for each in definitions if each.kind == PLACE and not self._needs_any(each)]
        ordered = {id(each): each for each in first}
        others = [each for each in definitions if id(each) not in ordered]
        by_name = {name: each for each in others for name in each.names}
        seen: set[str] = set()
        todo = [(each, False) for each in reversed(others)]
        while todo:
            definition, is_met = todo.pop()
            if is_met:
                ordered.setdefault(id(definition), definition)
            elif seen.isdisjoint(definition.names):
                seen.update(definition.names)
                todo.append((definition, True))
                for name in definition.names:
                    needs = self._needs.get(name, ())
                    todo += [(by_name[each], False) for each in needs if each in by_name]
        return list(ordered.values())

    def _needs_any(self, definition: Definition) -> bool:
        return any(self._needs.get(name) for name in definition.names)


def _by_value(values: Iterable[object]) -> tuple[object, ...]:
    """Return which of the values of globals are functions with variables of their own."""
    return tuple(each for each in values if _has_variables(each))


def _has_variables(value: object) -> bool:
    """Return whether this is a function of the main program with variables to share."""
    if not isinstance(value, FunctionType) or value.__module__ != mainmodule.MAIN:
        return False
    return bool(value.__closure__)


def _can_change(value: object) -> bool:
    """Return whether the value of a global can change; a function with variables goes by value."""
    return _has_variables(value) or not is_fixed(value)


def _check_of(value: object) -> Callable[[], bool] | None:
    """Return a quick check of a value that can change; None: it has to be pickled again."""
    return check_of(value) if isinstance(value, FunctionType) else snapshot.check_of(value)


def _cannot(name: str, value: object, error: Exception) -> str:
    from masterworker.data.blame import why  # of use in errors only

    return (
        f"{name!r} (a {type(value).__name__}) of the main program, to which the function refers, "
        f"cannot be sent to a worker: {why(value, error, pickled)}"[:900]
    )
