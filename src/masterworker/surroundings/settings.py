"""What a program has set in the interpreter, and its functions rely on."""

from __future__ import annotations

import _locale  # the other half of `locale`, without the tables that it loads
import contextlib
import gc
import re
import sys
import warnings
from typing import Any, Final

from masterworker.named import NamedTuple
from masterworker.surroundings import libraries, logs

#: A text in a filter of warnings: none, as it is, or a regular expression and its flags.
Pattern = None | str | tuple[str, int]


class Settings(NamedTuple):
    """Settings of an interpreter. Plain data."""

    #: `warnings.filters`: action, message, category as "module:name", module, line.
    filters: list[tuple[str, Pattern, str, Pattern, int]]
    recursion_limit: int
    #: Most digits of an integer that are converted; see `sys.set_int_max_str_digits`.
    int_digits: int
    #: By category, as `setlocale` understands it; "": the program has left it alone.
    locale: str
    switch_interval: float
    #: Of the decimal context: precision, rounding, least and greatest exponent, capitals, clamp,
    #: and the names of its traps; (): the usual one.
    decimal: tuple[int, str, int, int, int, int, list[str]] | tuple[()] = ()
    #: What NumPy does with floating-point errors; {}: the usual.
    numpy: dict[str, str] = {}  # noqa: RUF012  never changed
    #: Whether garbage is collected by itself, and from when on.
    garbage: tuple[bool, tuple[int, ...]] = (True, ())
    #: What has been set by calls of libraries.
    libraries: dict[str, Any] = {}  # noqa: RUF012  never changed
    #: How `logging` is set up.
    logs: logs.Logs = logs.Logs([], 0, False, {})


#: NumPy's defaults.
_USUAL: Final = {"divide": "warn", "over": "warn", "under": "ignore", "invalid": "warn"}


def capture() -> Settings:
    """Describe this process."""
    return Settings(
        [_encode(each) for each in warnings.filters],
        sys.getrecursionlimit(),
        sys.get_int_max_str_digits(),
        _locale.setlocale(_locale.LC_ALL, None),
        sys.getswitchinterval(),
        _decimal(),
        _numpy(),
        (gc.isenabled(), gc.get_threshold()),
        libraries.capture(),
        logs.capture(),
    )


def of_data(stored: Any) -> Settings:
    """Read what has been stored."""
    found = Settings(*stored)
    return found._replace(logs=logs.of_data(found.logs))


def enter(theirs: Settings) -> None:
    """Take them over, as far as that can be done here."""
    known: Any = warnings.filters
    if known != (found := [_decode(*each) for each in theirs.filters]):
        known[:] = found
        warnings._filters_mutated()  # type: ignore[attr-defined]  # as its own functions do
    with contextlib.suppress(RecursionError):
        sys.setrecursionlimit(theirs.recursion_limit)
    sys.set_int_max_str_digits(theirs.int_digits)
    sys.setswitchinterval(theirs.switch_interval)
    if theirs.decimal:
        _enter_decimal(theirs.decimal)
    if theirs.numpy:
        _enter_numpy(theirs.numpy)
    is_enabled, thresholds = theirs.garbage
    gc.set_threshold(*thresholds or gc.get_threshold())
    (gc.enable if is_enabled else gc.disable)()
    libraries.enter(theirs.libraries)
    if theirs.locale != _locale.setlocale(_locale.LC_ALL, None):
        with contextlib.suppress(Exception):  # not every machine has every language
            _locale.setlocale(_locale.LC_ALL, theirs.locale)


def _decimal() -> Any:
    decimal: Any = sys.modules.get("decimal")
    if decimal is None:
        return ()
    context = decimal.getcontext()
    traps = [trap.__name__ for trap, is_set in context.traps.items() if is_set]
    described = (
        context.prec, context.rounding, context.Emin, context.Emax, context.capitals,
        context.clamp, sorted(traps),
    )  # fmt: skip
    usual = (28, "ROUND_HALF_EVEN", -999999, 999999, 1, 0)
    ordinary = ["DivisionByZero", "InvalidOperation", "Overflow"]
    return () if described == (*usual, ordinary) else described


def _enter_decimal(theirs: Any) -> None:
    import decimal

    *numbers, traps = theirs
    names = ("prec", "rounding", "Emin", "Emax", "capitals", "clamp")
    signals = [getattr(decimal, name) for name in traps]
    decimal.setcontext(decimal.Context(**dict(zip(names, numbers, strict=True)), traps=signals))


def _numpy() -> dict[str, str]:
    numpy: Any = sys.modules.get("numpy")
    with contextlib.suppress(AttributeError):  # it is being imported just now
        found = dict(numpy.geterr()) if numpy is not None else _USUAL
        return {} if found == _USUAL else found
    return {}


def _enter_numpy(theirs: dict[str, str]) -> None:
    with contextlib.suppress(ImportError):
        import numpy as np

        np.seterr(**theirs)  # type: ignore[arg-type]


class _ByName(type):
    """Stands for a category of warnings whose module is not loaded, and perhaps never will be."""

    def __subclasscheck__(cls, subclass: type) -> bool:
        """Return whether a category is the one that is meant, or derived from it."""
        return any(_name(each) == cls.__qualname__ for each in subclass.__mro__)


def _name(category: type) -> str:
    return f"{category.__module__}:{category.__qualname__}"


def _encode(given: Any) -> tuple[str, Pattern, str, Pattern, int]:
    action, message, category, module, line = given
    name = category.__qualname__ if isinstance(category, _ByName) else _name(category)
    return action, _pattern(message), name, _pattern(module), line


def _pattern(given: Any) -> Pattern:
    return (given.pattern, given.flags) if isinstance(given, re.Pattern) else given


def _decode(
    action: str, message: Any, category: str, module: Any, line: int
) -> tuple[str, Any, type[Warning], Any, int]:
    home, _, name = category.partition(":")
    found: Any = sys.modules.get(home)
    for part in name.split("."):
        found = getattr(found, part, None)
    if not (isinstance(found, type) and issubclass(found, Warning)):
        found = _ByName(category, (Warning,), {})
    return action, _compiled(message), found, _compiled(module), line


def _compiled(given: Any) -> Any:
    return given if given is None or isinstance(given, str) else re.compile(given[0], given[1])
