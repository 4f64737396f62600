"""What workers of these tests execute. Imports nothing that a template might have imported."""

from __future__ import annotations

import os
import sys
import threading
from typing import Any


def has(name: str) -> bool:
    return name in sys.modules


def value_of(name: str) -> tuple[Any, bool]:
    import importlib

    had = name in sys.modules
    return importlib.import_module(name).value, had


def threads() -> tuple[Any, ...]:
    loaded = "numpy" in sys.modules
    import numpy as np
    import psutil
    from threadpoolctl import threadpool_info

    numbers = [each["num_threads"] for each in threadpool_info()]
    before = psutil.Process().num_threads()
    matrix = np.ones((500, 500))
    total = float((matrix @ matrix).sum())
    return loaded, numbers, before, psutil.Process().num_threads(), total


_drawn: list[float] = []


def draw() -> tuple[int, float]:
    threading.Event().wait(0.01)
    if not _drawn:
        import numpy as np

        _drawn.append(np.random.random())  # noqa: NPY002  of the hidden generator
    return os.getpid(), _drawn[0]
