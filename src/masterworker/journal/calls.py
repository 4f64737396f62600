"""Calls as a journal knows them: by what is called, and with what."""

from __future__ import annotations

import functools
import hashlib
import inspect
import pickle
from types import FunctionType
from typing import TYPE_CHECKING, Any, Final

from masterworker.errors import JournalError, UsageError
from masterworker.journal.canonical import Canonical
from masterworker.journal.kinds import is_found, named
from masterworker.journal.records import KEY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

#: This many functions have their digests kept ready.
_KEPT: Final = 256
_SIMPLE: Final = frozenset((int, float, str, bytes, bool, type(None)))


#: What to do about it.
SAY: Final = "options(key=...) and map(..., keys=...) take texts in the place of parameters"


class CallDigests:
    """Makes the digests of calls. Thread-safe.

    Args:
        special: Returns the forms of some values; see `Canonical`.
    """

    def __init__(self, special: Callable[[Any], bytes | None]) -> None:
        self._special = special
        #: The digests of functions that are called by name, and of tags, so far.
        self._begun: dict[Any, Any] = {}

    def of(
        self,
        what: str | Callable[..., Any],
        calls: Iterable[Sequence[Any]],
        salt: object = None,
    ) -> list[bytes]:
        """Return the digests of calls of one function, or of tasks of one tag.

        Args:
            what: The function, or the tag.
            calls: The parameters of each.
            salt: What else tells them apart from others.

        Raises:
            UsageError: A parameter cannot be told apart from others; names it.
        """
        to, copy, dumps = None, self._begin(what, salt).copy, pickle.dumps
        digests: list[bytes] = []
        for parameters in calls:
            state = copy()
            if len(parameters) == 1 and parameters[0].__class__ in _SIMPLE:
                state.update(dumps(parameters[0], 4))  # begins as no other form does
            else:
                to = to or Canonical(self._special)
                state.update(self._form(to, what, parameters))
            digests.append(state.digest())
        return digests

    def of_call(
        self,
        function: str | Callable[..., Any],
        args: Sequence[Any],
        kwargs: dict[str, Any],
        salt: object = None,
    ) -> bytes:
        """Return the digest of a call with keywords, as `of`."""
        if not kwargs:
            if len(args) != 1 or args[0].__class__ not in _SIMPLE:
                return self.of(function, (args,), salt)[0]
            state = self._begin(function, salt).copy()
            state.update(pickle.dumps(args[0], 4))  # as in `of`
            return bytes(state.digest())
        to, state = Canonical(self._special), self._begin(function, salt).copy()
        state.update(self._form(to, function, args))
        for name in sorted(kwargs):
            state.update(b"=" + name.encode("utf-8", "surrogatepass") + b"=")
            state.update(self._form(to, function, (kwargs[name],), name))
        return bytes(state.digest())

    def _begin(self, what: str | Callable[..., Any], salt: object) -> Any:
        """Return the digest of what is called, without parameters, to be copied."""
        if what.__class__ is str:
            is_fixed = True
        elif what.__class__ is FunctionType:
            is_fixed = is_found(what) or named(what) is not None
        else:
            is_fixed = named(what) is not None
        if not is_fixed:
            return self._digest(what, salt)
        begun = self._begun.get((what, salt))
        if begun is None:
            if len(self._begun) >= _KEPT:
                self._begun.clear()
            begun = self._begun[what, salt] = self._digest(what, salt)
        return begun

    def _digest(self, what: str | Callable[..., Any], salt: object) -> Any:
        if isinstance(what, str):
            form = b"tag " + what.encode("utf-8", "surrogatepass")
        else:
            try:
                form = b"call " + Canonical(self._special).form(what)
            except JournalError as error:
                raise UsageError(
                    f"function {name_of(what)} has no key in the journal: {error}"
                ) from error
        form += b"\n" + Canonical().form(salt)
        return hashlib.blake2b(form + b"\n", digest_size=KEY)

    def _form(
        self, to: Canonical, what: Any, parameters: Sequence[Any], keyword: str = ""
    ) -> bytes:
        try:
            return to.form(tuple(parameters))
        except JournalError:
            for at, each in enumerate(parameters):
                try:
                    to.form(each)
                except JournalError as error:
                    which = keyword or parameter(what, at)
                    raise UsageError(
                        f"parameter {which} of {name_of(what)} has no key in the journal: {error}. "
                        f"{SAY}"
                    ) from error
            raise


def name_of(what: Any) -> str:
    """Return how a function or tag is called in messages."""
    return f"task {what!r}" if isinstance(what, str) else getattr(what, "__qualname__", repr(what))


def kind_of(what: Any) -> Any:
    """Return what all functions have in common that one definition has made; or a tag itself.

    Neither the function nor what it belongs to is kept by it, and each can be looked up.
    """
    if isinstance(what, str):
        return what
    of = what if isinstance(getattr(what, "__qualname__", None), str) else type(what)
    return getattr(of, "__module__", None), of.__qualname__


def known_as(what: Any) -> Any:
    """Return by what a function is known that is found under a name; None: it is under none.

    Of a method, that is the function: each object of its class has one.
    """
    function = getattr(what, "__func__", what)
    name = getattr(function, "__qualname__", "")
    if not isinstance(name, str) or not name or "<" in name:
        return None
    return function if isinstance(function, _DEFINED) else kind_of(function)


_DEFINED: Final = (FunctionType, type, type(functools.lru_cache(abs)))


def parameter(function: Any, at: int) -> str:
    """Return how a parameter is called."""
    try:
        names = list(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        names = []
    return f"{at + 1} ({names[at]!r})" if at < len(names) else f"{at + 1}"
