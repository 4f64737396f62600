"""Failures by kind: what is alike but for its numbers counts as one."""

from __future__ import annotations

import re
from typing import Final

#: Kinds that are counted by themselves.
KINDS: Final = 100
OTHERS: Final = "others"
#: Tasks and hosts that are named.
TASKS: Final = 3
NAMED_HOSTS: Final = 10
#: Longest text and traceback (characters): of the latter the end says more.
TEXT: Final = 200
TRACEBACK: Final = 6000

_NUMBERS: Final = re.compile(r"0x[0-9a-fA-F]+|\d+")


class FailureKind:
    """Failures that are alike."""

    __slots__ = (
        *("first", "hosts", "last", "number", "order", "tag", "tasks", "text", "traceback"),
        "type",
    )

    def __init__(self, order: int, tag: str, name: str, text: str, now: float) -> None:
        self.order, self.tag, self.type, self.text = order, tag, name, text
        self.number = 0
        self.first = self.last = now
        self.hosts: list[str] = []
        self.tasks: list[int] = []
        self.traceback = ""


class FailureKinds:
    """The failures of one job."""

    def __init__(self) -> None:
        self.kinds: dict[tuple[str, str, str], FailureKind] = {}

    def add(
        self, tag: str, what: tuple[str, str, str], task_id: int, host: str, now: float
    ) -> None:
        """A task has failed.

        Args:
            tag: Its tag, as users see it.
            what: Type, message and traceback.
            task_id: Which one.
            host: Where.
            now: When.
        """
        name, message, traceback = what
        line = message.partition("\n")[0][:TEXT]
        key = (tag, name[:TEXT], _NUMBERS.sub("#", line))
        if key not in self.kinds and len(self.kinds) >= KINDS:
            key, tag, name, line, traceback = (OTHERS, OTHERS, ""), OTHERS, OTHERS, "", ""
        kind = self.kinds.get(key)
        if kind is None:
            kind = FailureKind(len(self.kinds) + 1, tag[:TEXT], name[:TEXT], line, now)
            kind.traceback = traceback[-TRACEBACK:]
            self.kinds[key] = kind
        kind.number += 1
        kind.last = now
        if len(kind.tasks) < TASKS:
            kind.tasks.append(task_id)
        if host not in kind.hosts and len(kind.hosts) < NAMED_HOSTS:
            kind.hosts.append(host)
