"""Libraries that cannot be measured, each in its own way; see `benchmarks.libraries`."""

from __future__ import annotations

import os
import threading
from typing import Any


class Right:
    """Executes everything at once, and is as good as a library can be."""

    module = package = ""

    def start(self, workers: int) -> None: ...

    def stop(self) -> None: ...

    def call(self, function: Any, item: Any) -> Any:
        return function(item)


class Wrong(Right):
    def call(self, function: Any, item: Any) -> Any:
        return function(item) + 1


class Raising(Right):
    def call(self, function: Any, item: Any) -> Any:
        raise ValueError("what a pity")


class Dying(Right):
    def call(self, function: Any, item: Any) -> Any:
        os._exit(3)


class Hanging(Right):
    def call(self, function: Any, item: Any) -> Any:
        threading.Event().wait()


class NeverEnding(Right):
    def stop(self) -> None:
        threading.Event().wait()


class Missing(Right):
    module = "no_such_module"
