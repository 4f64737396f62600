"""The templates of one supervisor that have imported libraries: which one is there, and when.

No worker waits for an import: as long as such a template is not ready, the ordinary one of the same
kind forks the workers. So one that fails, hangs or is killed meanwhile costs nothing but itself.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

from masterworker.named import NamedTuple
from masterworker.thread_limits import THREADS

if TYPE_CHECKING:
    from collections.abc import Callable

    from masterworker.launch.preload import Preload
    from masterworker.launch.template.supervised import Template

logger = logging.getLogger("masterworker.launch")

#: Templates of this kind that a supervisor keeps.
MOST: Final = 2
#: One begins this long after the first worker that wants it: that one's start, and its own imports,
#: need the processors (seconds).
CALM_SECONDS: Final = 0.5
#: After this number of templates that were ready and have ended without a worker, it is given up.
TRIES: Final = 3


class Key(NamedTuple):
    """What such a template and its workers have in common."""

    #: As templates that import nothing.
    kind: Any
    #: All variables: libraries may read any when they are imported.
    environment: tuple[tuple[str, str], ...]
    preload: Preload


def key_of(kind: Any, environment: dict[str, str], preload: Preload) -> Key:
    """Return which template such a worker needs."""
    variables = sorted(each for each in environment.items() if each[0] not in THREADS)
    return Key(kind, tuple(variables), preload)


class Preloaded:
    """Those templates of one supervisor, whose thread alone calls this.

    Args:
        start: Starts one.
        close: Clears away one that has ended.
    """

    def __init__(
        self,
        start: Callable[[Any, dict[str, str], float, Preload], Template],
        close: Callable[[Template], None],
    ) -> None:
        self._start, self._close = start, close
        self._of: dict[Key, Template] = {}
        #: With the variables, and when it may begin.
        self._wanted: dict[Key, tuple[dict[str, str], float]] = {}
        #: Those that are not tried again, and after how many failures they will be.
        self._given_up: set[Key] = set()
        self._failures: dict[Key, int] = {}
        #: Why the last one was given up; "": none was.
        self.why_not = ""

    def all(self) -> list[Template]:
        """Return all that are there."""
        return list(self._of.values())

    def find(self, key: Key, environment: dict[str, str], now: float) -> Template | None:
        """Return the one that is ready; else there will be one as soon as that disturbs nothing."""
        if key in self._given_up:
            return None
        template = self._of.get(key)
        if template is None:
            self._wanted.setdefault(key, (environment, now + CALM_SECONDS))
        elif template.is_ready and not template.over:
            return template
        return None

    def is_coming(self, key: Key) -> bool:
        """Return whether it is being made, or will be."""
        if (template := self._of.get(key)) is not None:
            return not template.is_ready and not template.over
        return key in self._wanted

    def hasten(self) -> None:
        """Begin those that are wanted without waiting for calm: workers wait for them."""
        self._wanted = {key: (environment, 0.0) for key, (environment, _) in self._wanted.items()}

    def due(self, plain: dict[Any, Template]) -> float | None:
        """Return when `look` is to be called at the latest; None: not at all."""
        if len(self._of) >= MOST:  # until one of these has ended
            return None
        dues = [due for key, (_, due) in self._wanted.items() if _is_idle(plain.get(key.kind))]
        return min(dues, default=None)

    def look(self, plain: dict[Any, Template], now: float) -> None:
        """Start those that are wanted, and judge those that have ended.

        Args:
            plain: The templates that import nothing, by their kinds.
            now: Seconds of the monotonic clock.
        """
        for key, template in list(self._of.items()):
            if template.has_gone():
                self._close(self._of.pop(key))
                self._judge(key, template)
        for key, (environment, due) in list(self._wanted.items()):
            first = plain.get(key.kind)
            if first is None:
                del self._wanted[key]
            elif now >= due and first.is_idle and self._make_room():
                del self._wanted[key]
                self._begin(key, environment, now)

    def release(self) -> list[Template]:
        """Let go of all of them. Returns them."""
        found = self.all()
        self._of.clear()
        self._wanted.clear()
        return found

    def _begin(self, key: Key, environment: dict[str, str], now: float) -> None:
        try:
            self._of[key] = self._start(key.kind, environment, now, key.preload)
        except OSError as error:  # no more processes, file descriptors, memory, ...
            self._give_up(key, str(error))

    def _make_room(self) -> bool:
        if len(self._of) < MOST:
            return True
        for template in self._of.values():
            if template.is_idle:
                template.end("another one takes its place")
                break
        return False

    def _judge(self, key: Key, template: Template) -> None:
        if template.is_ready and not template.is_hopeless:
            failures = 0 if template.served else self._failures.get(key, 0) + 1
            self._failures[key] = failures
            if failures < TRIES:
                return
        self._give_up(key, template.over)

    def _give_up(self, key: Key, why: str) -> None:
        self._given_up.add(key)
        self.why_not = why
        level = logging.WARNING if key.preload.is_given else logging.INFO
        logger.log(level, "each worker imports its libraries itself: %s", why)


def _is_idle(template: Template | None) -> bool:
    return template is not None and template.is_idle
