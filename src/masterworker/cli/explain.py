"""`task_manager explain LABEL TASK`: what has happened to a task, and what it waits for."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Final, NoReturn

from masterworker import failed
from masterworker.cli import exit_codes, pool_lines
from masterworker.cli.finding import find
from masterworker.data.record import printable
from masterworker.errors import MasterNotFoundError, NotAllowedError, NotKeptError, UsageError
from masterworker.security.peer import Role
from masterworker.taskid import shown_number, task_number

if TYPE_CHECKING:
    import argparse

    from masterworker.client import Client

#: Numbers of tasks travel as integers of 64 bits.
_LARGEST = (1 << 63) - 1
#: How often a worker is asked what it is doing; each time it has 5 s.
ASKED: Final = 3


def run(label: str, options: argparse.Namespace) -> int:
    """Print a task's story, and how to replay it if it has failed."""
    task = options.words[-1]
    number = _number(task)
    try:
        client = find(label, options.master, wait=options.wait, role=Role.OBSERVER)
    except MasterNotFoundError:
        summary = failed.find(label, task)
        if summary is None:
            raise
        print(f"the job {label!r} does not run any more")
        _tell_failure(summary)
        return exit_codes.OK
    story = client.story(number)
    summary = failed.find(label, task, client.call("instance"))
    doing = _stack(client, number) if options.stack and len(story) > 1 else []
    client.disconnect()
    head, *lines = story
    name = head.removeprefix("task ")
    if summary is None and not (lines and _is_meant(task, name, number)):
        _refuse(label, task, name if lines else "")
    if lines:
        print(f"task {printable(name)} of {label!r}")
        for line in lines:
            print(" ", printable(line, keep="\n\t"))
        if any("waits for a worker" in line for line in lines):
            print(*(f"  {line}\n" for line in pool_lines.lines(label)), sep="", end="")
    for n, line in enumerate(doing):
        print("  " if n else "  at this moment:\n  ", printable(line))
    if summary is not None:
        _tell_failure(summary)
    return exit_codes.OK


def _stack(client: Client, number: int) -> list[str]:
    """Return what the worker that executes a task is doing, or why that is not known, in lines."""
    try:
        for _ in range(ASKED):  # a worker without a supervisor may hear of it late
            if lines := client.stack(number):
                return lines
    except NotAllowedError as error:
        return [str(error)]
    return ["its worker does not answer"]


def _is_meant(task: str, name: str, number: int) -> bool:
    """Return whether a task is the one that was named, by its id or by its number alone."""
    return task == name or task.isdecimal() or (name.isdecimal() and task_number(name) == number)


def _refuse(label: str, task: str, other: str) -> NoReturn:
    """Say that there is no such task, and how the one of that number is called."""
    message = f"{label!r} has no task {printable(task)}: it was never asked for"
    if other:
        message += f"; the one of this number is {printable(shlex.quote(other))}"
    raise NotKeptError(message)


def _number(task: str) -> int:
    try:
        number = task_number(task)
    except ValueError:  # also where Python thinks that it has too many digits
        number = _LARGEST + 1
    if number > _LARGEST:
        raise UsageError(f"{task[:100]!r} is not the id of a task")
    return number


def _tell_failure(summary: failed.Summary) -> None:
    task = summary.task_id
    print(printable(f"task {task} failed at {summary.local_time}: {summary.raised}"))
    known = (
        task if task.isprintable() else str(shown_number(summary.number))
    )  # to be typed, or copied
    print(f"to carry it out here: {shlex.join(['task_manager', 'replay', summary.label, known])}")
