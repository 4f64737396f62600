"""Attributes of modules that a program sets: looked at once, and again where they have changed.

There may be thousands, and each call asks whether one of them has changed. So what has been pickled
is kept with a check, which compares identities as long as that says enough: some 0.2 us for most.
"""

from __future__ import annotations

import sys
from functools import partial
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING

from masterworker.data import attributes, marks, places, snapshot
from masterworker.data.batches import Batch, Quick
from masterworker.data.builtin import MISSING
from masterworker.data.definitions import PLACE, Definition
from masterworker.data.fixed import check_of, is_fixed
from masterworker.data.making import compare, define
from masterworker.data.places import MARK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from masterworker.core.task import Payload
    from masterworker.data.byname import Pickled
    from masterworker.data.snapshot import Snapshot


class Looked:
    """An attribute of a module, as it was when it was looked at.

    Args:
        name: Of the attribute, with its module.
        may_be_gone: If there is no such attribute, it has been deleted.
    """

    __slots__ = (
        *("can_be_kept", "definition", "found", "is_true", "kind", "name", "parts", "quick"),
        "refused",
    )

    def __init__(self, name: str, *, may_be_gone: bool = False) -> None:
        value = places.find(name)
        if type(value) is object:
            marks.note(name, value, is_set=True)
        is_gone = value is MISSING and may_be_gone and places.find_home(name) is not MISSING
        self.name = name
        self.kind = type(value).__name__
        #: Its pickle, and what is sent of it; None: there is no such attribute, or it is refused.
        self.found: Pickled | None = None
        self.definition: Definition | None = None
        self.parts: dict[str, Payload] = {}
        #: Why it cannot be sent.
        self.refused: Exception | None = None
        #: It does not depend on what names of the main program mean.
        self.can_be_kept = True
        #: Tells whether it is still what it was.
        self.is_true: Callable[[], bool]
        #: How it is compared together with others; None: by itself only.
        self.quick: Quick | None = None
        is_same = _check_of_identity(name, value)
        if (value is MISSING and not is_gone) or attributes.is_usual_method(name, value):
            self.is_true = is_same
            return
        if is_gone:
            self.definition = define(PLACE, (name,), found := attributes.pickled_gone(), self.parts)
            self.found, self.is_true = found, is_same
            return
        is_function = issubclass(type(value), FunctionType)  # a proxy is asked nothing
        held = None if is_function else snapshot.snapshot_of(value)
        holds_the_same = check_of(value) if is_function else held and held.is_same
        try:
            found = attributes.pickled_as_now(name, objects=True)
            usual = {i: each for i, each in found.objects.items() if marks.is_usual(type(each))}
            self.found = found = found._replace(objects=usual)
        except Exception as error:
            self.refused = attributes.bare(error)
            self.is_true = _check_of_refused(name, value, is_same)
            return
        self.can_be_kept = not (found.needs or found.files or found.hints or found.looks_up)
        self.definition = define(PLACE, (name,), found, self.parts)
        again = partial(attributes.pickled_as_now, name)
        self.is_true = has_same_pickle = compare(PLACE, again, self.definition.digest)
        if holds_the_same is not None:
            self.is_true = lambda: (is_same() and holds_the_same()) or has_same_pickle()
            self.quick = None if held is None else _quick(name, value, held)
        elif is_fixed(value) and not attributes.itself(value):
            self.is_true = lambda: is_same() or has_same_pickle()
            self.quick = _quick(name, value, None)

    def is_same(self) -> bool:
        """Return whether it holds the same objects, where that is seen quickly."""
        return self.quick is not None and Batch([self]).is_true_quickly()

    @property
    def is_set_in_order(self) -> bool:
        """It can be sent, and does not wait for names of the main program."""
        return self.can_be_kept and self.refused is None


class Places:
    """What attributes of modules were when they were last looked at."""

    def __init__(self) -> None:
        self._known: dict[str, Looked] = {}
        #: Those that are known to be small.
        self._small: dict[str, Looked] = {}
        #: Those that are known to be what they were, since a plan is being made.
        self._sure: set[str] = set()
        #: Those that have been seen, or may have been deleted before.
        self._seen: set[str] = set()
        #: Which attribute of a module is too much, so that none of it is sent.
        self._too_much: dict[tuple[str, ...], str] = {}

    def look(self, name: str) -> Looked:
        """Return what an attribute is now. Costs little if it is what it was."""
        known = self._known.get(name)
        if known is None or not self._is_true(known):
            self._known[name] = known = Looked(name, may_be_gone=name in self._seen)
            self._sure.add(name)
            if known.definition is not None:
                self._seen.add(name)
        return known

    def look_at_all(self, names: Iterable[str]) -> list[Looked]:
        """Return what attributes are now, and see to it that they share what they have in common.

        Args:
            names: Of the attributes, in the order in which they are set.
        """
        names = list(names)
        marks.note_places(names)
        found = list(map(self.look, names))
        late = marks.leave_out(each.name for each in found if not each.is_set_in_order)
        again = {name for name in names if late and id(places.find(name)) in late}
        of_each = [(each.name, each.found.objects) for each in found if each.found is not None]
        again |= marks.note_shared(of_each)
        if again:
            for name in again:
                self._known[name] = Looked(name, may_be_gone=name in self._seen)
            found = [self._known[name] for name in names]
        return found

    def begin(self, deleted: Iterable[str] = ()) -> None:
        """A plan is being made: what has been looked at before may have changed.

        Args:
            deleted: What the program may have deleted before it was looked at.
        """
        self._sure.clear()
        self._seen.update(deleted)

    def _is_true(self, known: Looked) -> bool:
        if known.name in self._sure:
            return True
        try:
            found = known.can_be_kept and known.is_true()
        except Exception:  # it cannot be pickled any more
            return False
        if found:
            self._sure.add(known.name)
        return found

    def too_much_of(self, names: tuple[str, ...]) -> str:
        """Return which of a module's attributes is too much to be sent; "": none is."""
        known = self._too_much.get(names, "")
        if known and not attributes.is_small(known):
            return known
        found = next((name for name in names if not self._is_small(name)), "")
        self._too_much[names] = found
        return found

    def _is_small(self, name: str) -> bool:
        known = self._small.get(name)
        if known is not None and self._known.get(name) is known and self._is_true(known):
            return True
        if not attributes.is_small(name):
            return False
        self._small[name] = self.look(name)
        return True


def _quick(name: str, value: object, held: Snapshot | None) -> Quick | None:
    home, _, path = name.partition(MARK)
    module = sys.modules.get(home)
    if type(module) is not ModuleType or vars(module).get(path, MISSING) is not value:
        return None  # of a register a part is looked at
    return Quick(module, path, value, held)


def _check_of_identity(name: str, value: object) -> Callable[[], bool]:
    """Return a check whether an attribute is the same object; quick for those of a module."""
    home, _, path = name.partition(MARK)
    module = sys.modules.get(home)
    if type(module) is not ModuleType or path not in vars(module):
        return partial(attributes.is_same_object, name, value)
    get = vars(module).get
    return lambda: get(path, MISSING) is value and sys.modules.get(home) is module


def _check_of_refused(name: str, value: object, is_same: Callable[[], bool]) -> Callable[[], bool]:
    """Return a check whether an attribute still cannot be sent, as far as that is to be seen."""
    holds_the_same = snapshot.shallow(value)

    def check() -> bool:
        return holds_the_same() if is_same() else attributes.is_refused(name, value)

    return check
