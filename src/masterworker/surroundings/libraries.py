"""What a program has set in libraries by calls, and their functions rely on.

A library that a worker has not loaded yet is set when it is: none is loaded for its settings.
"""

from __future__ import annotations

import contextlib
import sys
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from masterworker.imported import when_imported
from masterworker.surroundings import science

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

#: Options that cannot be sent, and have been named.
_named: Final = set[str]()


def capture() -> dict[str, Any]:
    """Return what has been set, by module; what is as it was at the beginning is left out."""
    found = {}
    for name, (look, _) in KNOWN.items():
        about = None
        if (module := sys.modules.get(name)) is not None:
            with contextlib.suppress(Exception):  # of another version, or just being imported
                about = look(module)
        if about not in (None, {}):
            found[name] = about
    return found


def enter(theirs: dict[str, Any]) -> None:
    """Set the same here, in each as soon as it is loaded."""
    for name, about in theirs.items():
        if name in KNOWN:
            when_imported(name, partial(_set, KNOWN[name][1], about))


def _set(how: Callable[[Any, Any], None], about: Any, module: ModuleType) -> None:
    try:
        how(module, about)
    except Exception as error:  # of another version
        import logging

        text = "what the main program has set in %s could not be set here: %s"
        logging.getLogger("masterworker.cli").warning(text, module.__name__, error)


def _changed(of: str, values: Any, usual: Any) -> dict[str, Any]:
    """Return which options have been set, but for those that cannot be sent, which are named."""
    found = {}
    for name, value in values.items():
        if science.is_plain(value):
            if value != usual.get(name, _changed):
                found[name] = value
        elif value is not usual.get(name) and value != usual.get(name):
            _name_once(f"{of} {name}")
    return found


def _name_once(option: str) -> None:
    if option not in _named:
        _named.add(option)
        import logging

        logging.getLogger("masterworker.master").warning(
            "the main program has set the option %s to something that cannot be sent, so workers "
            "do not have it: set it in them as well (initializer=)",
            option,
        )


_USUAL_PRINTING: Final = {
    "edgeitems": 3, "threshold": 1000, "floatmode": "maxprec", "precision": 8, "suppress": False,
    "linewidth": 75, "nanstr": "nan", "infstr": "inf", "sign": "-", "legacy": False,
    "formatter": None, "override_repr": None,
}  # fmt: skip


def _numpy(numpy: Any) -> dict[str, Any]:
    return _changed("numpy", numpy.get_printoptions(), _USUAL_PRINTING)


def _enter_numpy(numpy: Any, options: dict[str, Any]) -> None:
    numpy.set_printoptions(**options)


def _pandas(pandas: Any) -> dict[str, Any]:
    known = sys.modules["pandas._config.config"].__dict__["_registered_options"]
    usual = {name: option.defval for name, option in known.items()}
    found = {name: pandas.get_option(name) for name in known if name not in _OBSOLETE}
    return _changed("pandas", found, usual)


#: Options of pandas of which one may not even ask.
_OBSOLETE: Final = frozenset({"mode.use_inf_as_na", "mode.use_inf_as_null"})


def _enter_pandas(pandas: Any, options: dict[str, Any]) -> None:
    for name, value in options.items():
        pandas.set_option(name, value)


def _matplotlib(matplotlib: Any) -> dict[str, Any]:
    now, usual = (dict(dict.items(each)) for each in (matplotlib.rcParams, matplotlib.rcParamsOrig))
    for each in (now, usual):  # a `Cycler`, which is set by its text as well
        each["axes.prop_cycle"] = repr(each["axes.prop_cycle"])
    return _changed("matplotlib", now, usual)


def _enter_matplotlib(matplotlib: Any, parameters: dict[str, Any]) -> None:
    matplotlib.rcParams.update(parameters)


def _precision(mpmath: Any) -> int | None:
    return None if mpmath.mp.prec == 53 else int(mpmath.mp.prec)


def _enter_precision(mpmath: Any, bits: int) -> None:
    mpmath.mp.prec = bits


def _start_method(multiprocessing: Any) -> str | None:
    found: str | None = multiprocessing.get_start_method(allow_none=True)
    return found


def _enter_start_method(multiprocessing: Any, method: str) -> None:
    multiprocessing.set_start_method(method, force=True)


def _timeout(socket: Any) -> float | None:
    found: float | None = socket.getdefaulttimeout()
    return found


def _enter_timeout(socket: Any, seconds: float) -> None:
    socket.setdefaulttimeout(seconds)


def _field_size(csv: Any) -> int | None:
    found = int(csv.field_size_limit())
    return None if found == 131072 else found


def _enter_field_size(csv: Any, size: int) -> None:
    csv.field_size_limit(size)


def _stack_size(threading: Any) -> int | None:
    found = int(threading.stack_size())  # to ask is to set it to the usual one
    if found:
        threading.stack_size(found)
    return found or None


def _enter_stack_size(threading: Any, size: int) -> None:
    threading.stack_size(size)


def _is_on(faulthandler: Any) -> bool | None:
    return faulthandler.is_enabled() or None


def _switch_on(faulthandler: Any, _: bool) -> None:
    if not faulthandler.is_enabled():
        faulthandler.enable()


def _frames(tracemalloc: Any) -> int | None:
    return int(tracemalloc.get_traceback_limit()) if tracemalloc.is_tracing() else None


def _trace(tracemalloc: Any, frames: int) -> None:
    if not tracemalloc.is_tracing():
        tracemalloc.start(frames)


#: What looks at a module, and what sets it there.
KNOWN: Final[dict[str, tuple[Callable[[Any], Any], Callable[[Any, Any], None]]]] = {
    "numpy": (_numpy, _enter_numpy),
    "pandas": (_pandas, _enter_pandas),
    "matplotlib": (_matplotlib, _enter_matplotlib),
    "mpmath": (_precision, _enter_precision),
    "multiprocessing": (_start_method, _enter_start_method),
    "socket": (_timeout, _enter_timeout),
    "csv": (_field_size, _enter_field_size),
    "threading": (_stack_size, _enter_stack_size),
    "faulthandler": (_is_on, _switch_on),
    "tracemalloc": (_frames, _trace),
    **science.KNOWN,
}
