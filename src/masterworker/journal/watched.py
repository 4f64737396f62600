"""Watching whether values have the same key in a worker as in the master.

A value whose form is another one in another process, or after it was pickled, has another key in
the next run: its tasks would be executed again, without a word. So the parameters of the first task
of each kind travel with what the master has made of them, and the worker that unpickles them makes
the same, and compares. Where that differs, one warning says so.
"""

from __future__ import annotations

import logging
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from masterworker.errors import JournalError
from masterworker.journal.canonical import Canonical, digest_of
from masterworker.named import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

logger = logging.getLogger("masterworker.journal")

#: Parts of a value by which the class is found that makes the difference.
MOST_PARTS: Final = 100


class Seen(NamedTuple):
    """What a process has made of a value."""

    digest: bytes
    #: Class and digest of each part that is an object, from inside to outside.
    parts: tuple[tuple[str, bytes], ...]


class _Watching:
    """Values are looked at in this process."""

    is_on = True


_watching: Final = _Watching()


@contextmanager
def looking_away() -> Iterator[None]:
    """Compare nothing in this process meanwhile: values are rebuilt for another purpose."""
    _watching.is_on = False
    try:
        yield
    finally:
        _watching.is_on = True


class Parameters(tuple[Any, ...]):  # noqa: SLOT001  a tuple can have none
    """Parameters that are compared where they are unpickled; there they are a tuple."""

    what: str
    seen: tuple[tuple[str, Seen | None], ...]

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return compared, (tuple(self), self.what, self.seen)


class Names(dict[str, Any]):
    """Parameters by name that are compared where they are unpickled; there they are a dict."""

    what: str
    seen: tuple[tuple[str, Seen | None], ...]

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return compared, (dict(self), self.what, self.seen)


def watched(parameters: Sequence[Any], what: str, names: Iterable[str]) -> Parameters:
    """Return parameters that are compared where they are unpickled.

    Args:
        parameters: Of one call.
        what: What is called, for the warning.
        names: Of the parameters.
    """
    made = Parameters(parameters)
    made.what = what
    made.seen = tuple((name, look(value)) for name, value in zip(names, parameters, strict=True))
    return made


def watched_names(parameters: dict[str, Any], what: str) -> Names:
    """Do the same with parameters by name."""
    made = Names(parameters)
    made.what = what
    made.seen = tuple((repr(name), look(value)) for name, value in parameters.items())
    return made


def compared(values: Any, what: str, seen: Sequence[tuple[str, Seen | None]]) -> Any:
    """Return parameters, and warn where one has another key here. Never raises."""
    if _watching.is_on:
        try:
            each = values.values() if isinstance(values, dict) else values
            for value, (name, there) in zip(each, seen, strict=True):
                if there is not None:
                    _compare(value, what, name, Seen(*there))
        except Exception:
            logger.exception("parameters of %s could not be looked at", what)
    return values


def look(value: Any) -> Seen | None:
    """Look at a value; None: it has no form, or one that only the master knows."""
    to = _Noting(_only_there)
    try:
        form = to.form(value)
    except JournalError:
        return None
    return Seen(digest_of(form), tuple(to.parts_seen[:MOST_PARTS]))


def _compare(value: Any, what: str, name: str, there: Seen) -> None:
    here = look(value)
    if here is not None and here.digest == there.digest:
        return
    kind = type(value)
    culprit = f"{kind.__module__}.{kind.__qualname__}".removeprefix("builtins.")
    known = Counter(map(tuple, there.parts))
    for part in () if here is None else here.parts:
        known[part] -= 1
        if known[part] < 0:
            culprit = part[0]
            break
    logger.warning(
        "the journal cannot know parameter %s of %s again: a value of class %s has another key in "
        "a worker than in the master, so the next run would execute its tasks once more. "
        "options(key=...) and map(..., keys=...) take texts in the place of parameters",
        *(name, what, culprit),
    )


class _Noting(Canonical):
    """Notes the objects that a value is made of."""

    def __init__(self, special: Callable[[Any], bytes | None]) -> None:
        super().__init__(special)
        self.parts_seen: list[tuple[str, bytes]] = []

    def _reduced(self, value: Any, kind: type) -> bytes:
        form = super()._reduced(value, kind)
        self.parts_seen.append((f"{kind.__module__}.{kind.__qualname__}", digest_of(form)))
        return form


def _only_there(value: Any) -> None:
    if hasattr(value, "state_id"):
        raise JournalError("it is stored by the master")
