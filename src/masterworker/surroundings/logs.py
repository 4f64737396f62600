"""How a program has set up `logging`: taken over by workers, so that records of tasks are seen.

Levels are taken over, and those handlers that can be made again: for the standard streams, and for
files, to which all processes append. A record is one write, so it arrives whole.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import logging
import os
import sys
from typing import TYPE_CHECKING, Any, Final

from masterworker.named import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger("masterworker.master")

#: Bytes of a record up to which it is written to a file at once.
_BUFFER: Final = 1 << 20
#: Loggers that no program sets up: ours, and those of engines, which set up their own in each
#: process that needs it.
_OF_LIBRARIES: Final = frozenset({"masterworker", "distributed", "ray"})
#: What handlers of files are that begin a new one now and then.
_ROTATING: Final = frozenset(
    {"RotatingFileHandler", "TimedRotatingFileHandler", "WatchedFileHandler"}
)


class Handler(NamedTuple):
    """A handler that can be made again."""

    #: "stderr", "stdout", "null", "file", or "rotating": another file may take its place.
    kind: str
    level: int
    #: Format, format of dates, and style of the formatter; (): the usual one.
    format: tuple[str, str | None, str] | tuple[()] = ()
    #: Name, encoding, and what becomes of characters that cannot be encoded.
    file: tuple[bytes, str | None, str | None] | tuple[()] = ()


class Logger(NamedTuple):
    """What has been set at one logger."""

    name: str
    level: int
    propagate: bool
    disabled: bool
    handlers: list[Handler]


class Logs(NamedTuple):
    """The set-up of `logging`. Plain data."""

    loggers: list[Logger]
    #: The level that `logging.disable` was given.
    disabled: int
    #: Warnings go to the log.
    warnings: bool
    #: Names of levels that the program has added.
    levels: dict[int, str]


_USUAL_LEVELS: Final = {
    0: "NOTSET", 10: "DEBUG", 20: "INFO", 30: "WARNING", 40: "ERROR", 50: "CRITICAL",
}  # fmt: skip
#: What has been said already.
_said: Final = set[str]()


def capture() -> Logs:
    """Describe this process. What cannot be taken over is named in the log, once."""
    root = logging.root
    found = []
    for name, each in [("", root), *sorted(root.manager.loggerDict.items())]:
        if not isinstance(each, logging.Logger) or name.partition(".")[0] in _OF_LIBRARIES:
            continue
        is_usual = each.level == logging.NOTSET and each.propagate and not each.disabled
        if is_usual and not each.handlers and not each.filters:
            continue
        if each.filters:
            _say(f"a filter of {_named(name)}", "do not have it")
        handlers = [made for handler in each.handlers if (made := _describe(handler, name))]
        found.append(Logger(name, each.level, bool(each.propagate), bool(each.disabled), handlers))
    levels = {
        number: name
        for number, name in logging._levelToName.items()
        if _USUAL_LEVELS.get(number) != name
    }
    catches = logging._warnings_showwarning is not None  # type: ignore[attr-defined]
    return Logs(found, root.manager.disable, catches, levels)


def _describe(handler: logging.Handler, name: str) -> Handler | None:
    """Describe a handler; None: it cannot be made again."""
    kind = _kind(handler)
    file: tuple[bytes, str | None, str | None] | tuple[()] = ()
    if kind == "null":
        return Handler(kind, 0)
    if kind in {"file", "rotating"}:
        file = _file(handler)
    formatter = handler.formatter
    style = _style(formatter)
    where = _named(name)
    if not kind:
        if not _is_a_library_s_own(handler, name):
            _say(f"{type(handler).__name__} of {where}", "do not have it")
        return None
    if handler.filters:
        _say(f"a filter of {type(handler).__name__} of {where}", "do not have it")
    if formatter is None:
        return Handler(kind, handler.level, (), file)
    if not style or type(formatter) is not logging.Formatter:
        what = f"{type(formatter).__name__} of {where}"
        _say(what, "format records as logging.Formatter does")
    about = (str(formatter._fmt), formatter.datefmt, style or "%")
    return Handler(kind, handler.level, about, file)


def _is_a_library_s_own(handler: logging.Handler, name: str) -> bool:
    """Return whether a library has given its own logger a handler of its own.

    It does so in workers as well, when it is imported there.
    """
    whose = type(handler).__module__.partition(".")[0]
    return whose == "_pytest" or (bool(name) and whose == name.partition(".")[0])


def _named(name: str) -> str:
    return f"the logger {name!r}" if name else "the root logger"


def _kind(handler: Any) -> str:
    kind = type(handler)
    if kind is logging.NullHandler:
        return "null"
    if kind is logging.FileHandler:
        return "file"
    if kind.__module__ == "logging.handlers" and kind.__name__ in _ROTATING:
        return "rotating"
    if kind is logging.StreamHandler:
        for name in ("stderr", "stdout"):
            if handler.stream in (getattr(sys, name), getattr(sys, f"__{name}__")):
                return name
    return ""


def _file(handler: Any) -> tuple[bytes, str | None, str | None]:
    """Describe a file, and let this process append to it as all others do."""
    if handler.stream is not None:
        with contextlib.suppress(OSError, ValueError):
            fd = handler.stream.fileno()
            fcntl.fcntl(fd, fcntl.F_SETFL, fcntl.fcntl(fd, fcntl.F_GETFL) | os.O_APPEND)
    name = os.fsencode(handler.baseFilename)
    return name, handler.encoding, getattr(handler, "errors", None)


def _style(formatter: logging.Formatter | None) -> str:
    kind: Any = type(getattr(formatter, "_style", None))
    found = [name for name, (known, _) in logging._STYLES.items() if kind is known]
    return found[0] if found else ""


def _say(what: str, workers: str) -> None:
    if what not in _said:
        _said.add(what)
        logger.warning(
            "the main program logs with %s: workers %s. To change that, set it up in them as well "
            "(initializer=)", what, workers,
        )  # fmt: skip


def of_data(stored: Any) -> Logs:
    """Read what has been stored."""
    loggers, *others = stored
    found = [Logger(*each) for each in loggers]
    return Logs(
        [each._replace(handlers=[Handler(*it) for it in each.handlers]) for each in found], *others
    )


# -- in the worker --------------------------------------------------------------------------


def enter(theirs: Logs, *, elsewhere: bool) -> None:
    """Set up the same here.

    What the worker's own code sets up later counts: `basicConfig` begins anew, and of two handlers
    for one stream or file the other one remains.

    Args:
        theirs: Of the master.
        elsewhere: The master is perhaps on another machine, so its files are not touched.
    """
    for number, name in theirs.levels.items():
        logging.addLevelName(number, name)
    for each in theirs.loggers:
        named = logging.getLogger(each.name)
        named.setLevel(each.level)
        named.propagate, named.disabled = each.propagate, each.disabled
        for handler in each.handlers:
            with contextlib.suppress(OSError):  # a folder that is gone, or cannot be written to
                made = _make(handler, named, elsewhere=elsewhere)
                if made is not None:
                    named.addHandler(made)
    logging.disable(theirs.disabled)
    if theirs.warnings:
        logging.captureWarnings(True)
    logging.basicConfig = _anew(logging.basicConfig)


def _anew(configure: Callable[..., None]) -> Callable[..., None]:
    """Let `basicConfig` do what it does in a process where nothing is set up."""

    @functools.wraps(configure)
    def configure_anew(**options: Any) -> None:
        root = logging.root
        taken = [each for each in root.handlers if each in _made]
        if len(taken) == len(root.handlers):
            for each in taken:
                root.removeHandler(each)
        configure(**options)

    return configure_anew


class _Formatter(logging.Formatter):
    """Writes a record in the usual format where it lacks what a filter adds in the master."""

    def format(self, record: logging.LogRecord) -> str:
        """Return its text."""
        try:
            return super().format(record)
        except (KeyError, ValueError):
            return _USUAL_FORMAT.format(record)


_USUAL_FORMAT: Final = logging.Formatter(logging.BASIC_FORMAT)

#: The handlers that were taken over.
_made: Final = list[logging.Handler]()


def _make(handler: Handler, at: logging.Logger, *, elsewhere: bool) -> logging.Handler | None:
    if handler.kind in {"stderr", "stdout"}:
        made: logging.Handler = logging.StreamHandler(getattr(sys, handler.kind))
    elif handler.kind == "null":
        made = logging.NullHandler()
    elif elsewhere:
        return None
    else:
        made = _make_for_file(handler)
    made.setLevel(handler.level)
    if handler.format:
        fmt, dates, style = handler.format
        made.setFormatter(_Formatter(fmt, dates, style, validate=False))  # type: ignore[arg-type]
    made.addFilter(lambda _: not _has_another(at, handler))
    _made.append(made)
    return made


def _make_for_file(handler: Handler) -> logging.FileHandler:
    name, encoding, errors = handler.file  # type: ignore[misc]
    kind: type[logging.FileHandler] = logging.FileHandler
    if handler.kind == "rotating":
        from logging.handlers import WatchedFileHandler  # slow to load

        kind = WatchedFileHandler
    made = kind(os.fsdecode(name), "a", encoding, delay=True, errors=errors)
    made._builtin_open = _open  # type: ignore[attr-defined]
    return made


def _open(file: str, mode: str, **options: Any) -> Any:
    return open(file, mode, _BUFFER, **options)


def _has_another(at: logging.Logger, about: Handler) -> bool:
    """Return whether the worker's own code has set up the same since: a module that it imports."""
    return any(
        each not in _made
        and _kind(each) == about.kind
        and (not about.file or os.fsencode(each.baseFilename) == about.file[0])  # type: ignore[attr-defined]
        for each in at.handlers
    )
