"""The templates of one supervisor: which one forks a worker, if any, and when there is one."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING, Final

from masterworker.launch.template.decision import reason_against
from masterworker.launch.template.inherited import early, inherited
from masterworker.launch.template.preloaded import Preloaded, key_of
from masterworker.launch.template.supervised import Template
from masterworker.named import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from masterworker.launch.loop import Loop
    from masterworker.launch.preload import Preload
    from masterworker.launch.template.ahead import Ahead
    from masterworker.surroundings.python import Interpreter

logger = logging.getLogger("masterworker.launch")

#: Templates that a supervisor keeps, for workers of different kinds.
MOST: Final = 3
#: After this number of templates that have ended without a worker, no further one is started.
TRIES: Final = 3


class _Kind(NamedTuple):
    """What a template and its workers have in common from their first instant."""

    interpreter: Interpreter
    early: tuple[tuple[str, str], ...]
    inherited: tuple[object, ...]


class Found(NamedTuple):
    """The template for a worker."""

    #: It may not be ready; None: the worker needs none.
    template: Template | None
    #: Another one is about to be ready that has imported what the worker will need.
    is_loading: bool = False


class Templates:
    """The templates of one supervisor, whose thread alone calls this.

    Args:
        loop: Its loop.
        on_change: Called when a template has become ready, or will not be asked any more.
        ahead: A template that has begun already; None: there is none.
    """

    def __init__(
        self, loop: Loop, on_change: Callable[[], None], ahead: Ahead | None = None
    ) -> None:
        self._loop, self._on_change, self._ahead = loop, on_change, ahead
        self._of: dict[_Kind, Template] = {}
        self._fading: list[Template] = []
        self._preloaded = Preloaded(self._open, self._close)
        self._failures = 0
        #: Why workers are not forked from a template; "": they are.
        self.why_not = ""
        self._told = False
        #: The environment that was judged last, and how.
        self._decided: tuple[object, str] = (None, "")
        #: When it was looked what is inherited, and that: workers are started some at a time.
        self._seen: tuple[float, tuple[object, ...]] = (-1.0, ())

    @property
    def why_not_preloaded(self) -> str:
        """Why workers import their libraries themselves; "": no attempt has failed."""
        return self._preloaded.why_not

    def find(
        self, interpreter: Interpreter, environment: dict[str, str], preload: Preload, now: float
    ) -> Found:
        """Return the template for such a worker."""
        if why := self._reason(interpreter, environment):
            self._tell(why)
            return Found(None)
        try:
            if self._seen[0] != now:
                self._seen = now, inherited()
            kind = _Kind(interpreter, early(environment), self._seen[1])
        except OSError as error:
            self._tell(f"the system does not tell what is inherited: {error}")
            return Found(None)
        plain = self._of.get(kind) or self._start(kind, environment, now)
        if plain is None or not (preload := preload.unchanged()).modules:
            return Found(plain)
        key = key_of(kind, environment, preload)
        found = self._preloaded.find(key, environment, now)
        return Found(found or plain, self._preloaded.is_coming(key))

    def due(self) -> float | None:
        """Return when `look` is to be called at the latest; None: not at all."""
        dues = [each.due for each in self._all()]
        dues.append(self._preloaded.due(self._of))
        return min((due for due in dues if due is not None), default=None)

    def hasten(self) -> None:
        """Begin the templates that import what workers need: a worker waits for them."""
        self._preloaded.hasten()

    def look(self, now: float) -> None:
        """End those that owe an answer for too long, and forget those that have ended."""
        for template in self._all():
            template.look(now)
        self._preloaded.look(self._of, now)
        for kind, template in list(self._of.items()):
            if template.has_gone():
                self._close(self._of.pop(kind))
                self._judge(template)
                if self._failures < TRIES:  # so that the next worker need not wait for it
                    self._start(kind, template.environment, now)
        for template in [each for each in self._fading if each.has_gone()]:
            self._fading.remove(template)
            self._close(template)

    def rest(self) -> None:
        """End all of them, without waiting for that: for now there is no worker to fork."""
        self._end_ahead()
        ended = [*self._of.values(), *self._preloaded.release()]
        for template in ended:
            template.end("there is no worker to fork")
        self._fading.extend(ended)
        self._of.clear()

    def close(self) -> None:
        """End all of them. Their workers go on."""
        self._end_ahead()
        for template in self._all():
            self._close(template)
        self._of.clear()
        self._preloaded.release()
        self._fading.clear()

    def _all(self) -> list[Template]:
        return [*self._of.values(), *self._preloaded.all(), *self._fading]

    def _reason(self, interpreter: Interpreter, environment: dict[str, str]) -> str:
        if self._failures >= TRIES:
            return self.why_not
        known, why = self._decided
        if known is not environment:
            why = reason_against(interpreter, environment)
            self._decided = environment, why
        return why

    def _tell(self, why: str) -> None:
        self.why_not = why
        if not self._told:
            self._told = True
            logger.info("each worker is started as a program of its own: %s", why)

    def _start(self, kind: _Kind, environment: dict[str, str], now: float) -> Template | None:
        if len(self._of) >= MOST and not self._make_room():
            return None
        try:
            if (template := self._take_ahead(kind)) is None:
                template = self._open(kind, environment, now)
            else:
                self._listen_to(template)
                self._hear(template, template.fds[0], now)  # it may have been ready for a while
        except OSError as error:  # no more processes, file descriptors, memory, ...
            self._tell(str(error))
            return None
        self._of[kind] = template
        self.why_not = ""
        return template

    def _open(
        self, kind: _Kind, environment: dict[str, str], now: float, *preload: Preload
    ) -> Template:
        template = Template(kind.interpreter, environment, now, self._on_change, *preload)
        self._listen_to(template)
        return template

    def _listen_to(self, template: Template) -> None:
        link, out = template.fds
        self._loop.listen(link, partial(self._hear, template, link))
        self._loop.listen(out, partial(self._read, template, out))

    def _take_ahead(self, kind: _Kind) -> Template | None:
        """Return what has begun already, if it is of this kind; None: nothing is."""
        ahead, self._ahead = self._ahead, None
        return None if ahead is None else ahead.take(kind, self._on_change)

    def _end_ahead(self) -> None:
        ahead, self._ahead = self._ahead, None
        if ahead is not None:
            ahead.end()

    def _make_room(self) -> bool:
        """End the oldest that no worker waits for. False: all are starting, or owe an answer."""
        for kind, template in self._of.items():
            if template.is_idle:
                del self._of[kind]
                template.end("another one has taken its place")
                self._fading.append(template)
                return True
        return False

    def _hear(self, template: Template, link: int, now: float) -> None:
        template.hear(now)
        if template.fds[0] < 0:
            self._loop.forget(link)

    def _read(self, template: Template, out: int, now: float) -> None:  # noqa: ARG002
        if not template.read():
            self._loop.forget(out)

    def _judge(self, template: Template) -> None:
        """Decide whether another one is tried in the place of one that has ended."""
        self._failures = 0 if template.served else self._failures + 1
        if template.is_hopeless:
            self._failures = TRIES
        if self._failures >= TRIES:
            self._tell(f"the template has ended: {template.over}")

    def _close(self, template: Template) -> None:
        for fd in template.fds:
            self._loop.forget(fd)
        template.close()
