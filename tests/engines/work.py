"""What tasks of the contract do: a module that every process of an engine can import."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path
from typing import Any

import masterworker


class Strange(Exception):
    """An exception that cannot be made again from its arguments."""

    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"{one} and {two}")
        self.sum = one + two


class Unpicklable:
    """A result that cannot be sent."""

    def __reduce__(self) -> Any:
        raise RuntimeError("not this one")


def square(x: int) -> int:
    return x * x


def add(*numbers: int, start: int = 0) -> int:
    return sum(numbers, start)


def fail(text: str) -> None:
    raise ValueError(text)


def fail_with_cause() -> None:
    try:
        raise KeyError("first")
    except KeyError as error:
        raise OSError("second") from error


def fail_strangely() -> None:
    raise Strange(1, 2)


def fail_for(x: int, bad: int) -> int:
    if x == bad:
        raise ValueError(f"not {x}")
    return x


def leave(status: int) -> None:
    raise SystemExit(status)


def unpicklable() -> Unpicklable:
    return Unpicklable()


def end_process(x: int, bad: int) -> int:
    if x == bad:
        os.kill(os.getpid(), signal.SIGKILL)
    return x


def wait(seconds: float) -> float:
    threading.Event().wait(seconds)
    return seconds


def hold(started: str, gate: str) -> None:
    """Say that this has begun, and go on when a file is there."""
    Path(started).touch()
    pause = threading.Event()
    while not Path(gate).exists():
        pause.wait(0.01)


def count_up(path: str) -> int:
    """Return how many times this was called."""
    with Path(path).open("a") as file:
        file.write("x")
    return Path(path).stat().st_size


def fail_until(path: str, number: int) -> int:
    if count_up(path) < number:
        raise OSError("not yet")
    return number


def note(path: str, what: object) -> None:
    with Path(path).open("a") as file:
        file.write(f"{what}\n")


def total(values: Any) -> Any:
    return sum(values)


def nested(number: int) -> int:
    worker = masterworker.current_worker()
    futures = [worker.submit(square, i) for i in range(number)]
    return sum(future.result() for future in futures)


def nested_map(number: int) -> int:
    return sum(masterworker.current_worker().map(square, range(number)))


def twice_nested(number: int) -> int:
    worker = masterworker.current_worker()
    return sum(future.result() for future in [worker.submit(nested, number) for _ in range(3)])


def nested_failure() -> str:
    try:
        masterworker.current_worker().submit(fail, "inside").result()
    except ValueError as error:
        return str(error)
    return "nothing was raised"


def random_numbers() -> list[float]:
    generator = masterworker.task_rng("random")
    return [generator.random() for _ in range(3)]


def environment() -> dict[str, Any]:
    return {"pid": os.getpid(), "thread": threading.current_thread().name}


def start_thread(x: int) -> int:
    found: list[int] = []
    thread = threading.Thread(target=lambda: found.append(x + 1))
    thread.start()
    thread.join()
    return found[0]


HANDLERS: dict[str, Any] = {"square": square}
