"""What is asked of a pool: `Slurm("--time=1:00:00 -c 8", max=20)` and its like, checked."""

from __future__ import annotations

import math
import re
import shlex
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from masterworker.checking import whole_number
from masterworker.errors import UsageError
from masterworker.named import TypedDict

if TYPE_CHECKING:
    from collections.abc import Iterable

#: Seconds without a task after which workers of a batch job leave.
IDLE: Final = 60.0
#: Jobs of a pool that wait in the queue at once, at most.
BACKLOG: Final = 4
#: Most jobs of one pool.
MOST: Final = 100_000
#: Longest name of a pool.
_LONGEST_NAME: Final = 40


class Commands(Struct, frozen=True):
    """How a batch system that masterworker does not know is spoken to; see `template`."""

    submit: str
    list: str
    cancel: str
    #: A regular expression that finds the id of a new job in what `submit` prints.
    pattern: str
    pending: tuple[str, ...] = ("PENDING", "PD", "Q", "qw")
    running: tuple[str, ...] = ("RUNNING", "R", "r")


class Pool(Struct, frozen=True, kw_only=True):
    """Workers that are started elsewhere for one job."""

    #: "slurm", ..., or "ssh".
    system: str
    #: The user's own options of the command that submits, or of ssh.
    options: tuple[str, ...] = ()
    #: Of ssh: the machines, and how many workers each has; 0: one for each processor.
    hosts: tuple[tuple[str, int], ...] = ()
    name: str = ""
    #: Jobs that are there always, and at most.
    min: int = 0
    max: int = 10
    backlog: int = BACKLOG
    #: Nodes of each job.
    nodes: int = 1
    #: Workers on each node: a number, or "auto" for one for each processor that is allotted.
    workers: str = "auto"
    #: The interpreter there.
    python: str = ""
    #: Lines of shell before it, as the user wrote them.
    setup: tuple[str, ...] = ()
    idle: float = IDLE
    #: Of ssh: workers connect to the master's own address, not through the ssh connection.
    direct: bool = False
    commands: Commands | None = None


class BatchOptions(TypedDict, total=False):
    """What can be said of a pool in a batch system; see `batch_pool`."""

    min: int
    max: int
    name: str
    workers: int | str
    nodes: int
    python: str
    setup: Iterable[str]
    idle: float
    backlog: int


def batch_pool(  # noqa: PLR0913  as many as can be said of one
    system: str,
    options: str | Iterable[str] = "",
    *,
    min: int = 0,  # noqa: A002  the word that users know
    max: int = 10,  # noqa: A002
    name: str = "",
    workers: int | str = "auto",
    nodes: int = 1,
    python: str = "",
    setup: Iterable[str] = (),
    idle: float = IDLE,
    backlog: int = BACKLOG,
    commands: Commands | None = None,
) -> Pool:
    """Check what is said of a pool in a batch system.

    Args:
        system: Which one.
        options: Of the command that submits; they are not changed.
        min: Jobs that are there always.
        max: Jobs at once, at most: those that wait and those that run.
        name: By which `show` names it.
        workers: On each node; "auto": one for each processor that is allotted.
        nodes: Of each job.
        python: The interpreter there; "": the path of this one.
        setup: Lines of shell before it.
        idle: Seconds without a task after which workers leave.
        backlog: Jobs that may wait in the queue at once.
        commands: How a system is spoken to that is not known.

    Raises:
        UsageError: It makes no sense; says what to write.
    """
    least = whole_number(min, "min= of a pool is a number of jobs from 0 on", 0, MOST)
    most = whole_number(max, "max= of a pool is a number of jobs from 1 on", 1, MOST)
    if least > most:
        raise UsageError(f"min={least} of a pool is more than max={most}")
    seconds = _seconds(idle)
    return Pool(
        system=system,
        options=words(options),
        name=checked_name(name or system),
        min=least,
        max=most,
        backlog=whole_number(backlog, "backlog= of a pool is a number from 1 on", 1, MOST),
        nodes=whole_number(nodes, "nodes= of a pool is a number from 1 on", 1, MOST),
        workers=number_of_workers(workers),
        python=checked_line(python, "python="),
        setup=lines(setup),
        idle=seconds,
        commands=commands,
    )


def check_commands(commands: Commands) -> None:
    """Check how a batch system is spoken to that masterworker does not know.

    Raises:
        UsageError: Something is missing, or cannot be read.
    """
    for name, must in (("submit", "{script}"), ("list", ""), ("cancel", "{jobs}")):
        parts = words(checked_line(getattr(commands, name), f"{name}="))
        has_it = any(must in part for part in parts) if must == "{script}" else must in parts
        if not parts or (must and not has_it):
            raise UsageError(f"{name}= is a command{f' with the word {must}' if must else ''}")
    try:
        re.compile(commands.pattern)
    except (re.error, TypeError) as error:
        raise UsageError(
            f"pattern={commands.pattern!r} is no regular expression: {error}"
        ) from None


def ssh_pool(
    hosts: str,
    *,
    name: str = "",
    python: str = "",
    setup: Iterable[str] = (),
    options: str | Iterable[str] = "",
    direct: bool = False,
) -> Pool:
    """Check what is said of workers on other machines through ssh.

    Args:
        hosts: "hostA*4,hostB*8"; a host alone has one worker for each processor.
        name: By which `show` names it.
        python: The interpreter there; "": the path of this one.
        setup: Lines of shell before it.
        options: For ssh, as "-p 2222 -i key".
        direct: Workers connect to the master's address; else through the ssh connection.

    Raises:
        UsageError: It makes no sense; says what to write.
    """
    return Pool(
        system="ssh",
        options=words(options),
        hosts=read_hosts(hosts),
        name=checked_name(name or "ssh"),
        python=checked_line(python, "python="),
        setup=lines(setup),
        direct=bool(direct),
    )


def read_hosts(text: str) -> tuple[tuple[str, int], ...]:
    """Read "hostA*4,hostB": hosts, and how many workers each has (0: one for each processor).

    Raises:
        UsageError: It is written otherwise.
    """
    if not isinstance(text, str) or not text.strip():
        raise UsageError('name the machines, as in "hostA*4,hostB*8"')
    found: dict[str, int] = {}
    for part in text.split(","):
        host, star, number = (word.strip() for word in part.partition("*"))
        if (
            not host
            or host.startswith("-")
            or any(not c.isprintable() or c.isspace() for c in host)
        ):
            raise UsageError(f"{part.strip()!r} names no machine: write it like hostA*4")
        if star and not (number.isdecimal() and len(number) < 6 and int(number)):
            raise UsageError(f"{part.strip()!r} says no number of workers: write it like {host}*4")
        if host in found:
            raise UsageError(f"the machine {host!r} is named twice")
        found[host] = int(number) if star else 0
    return tuple(found.items())


def words(options: str | Iterable[str]) -> tuple[str, ...]:
    """Return options as separate words: a text as a shell would divide it, or as they are given.

    Raises:
        UsageError: A quote is not closed, or one of them is no text.
    """
    try:
        given = shlex.split(options) if isinstance(options, str) else list(options)
    except (ValueError, TypeError) as error:
        raise UsageError(f"the options {options!r} cannot be read: {error}") from None
    return tuple(checked_line(word, "an option") for word in given)


def checked_name(name: str) -> str:
    """Return the name of a pool.

    Raises:
        UsageError: It cannot be one.
    """
    if not isinstance(name, str) or not name.isprintable() or not 0 < len(name) <= _LONGEST_NAME:
        raise UsageError(f"a pool's name has 1 to {_LONGEST_NAME} printable characters: {name!r}")
    return name


def checked_line(text: str, what: str) -> str:
    """Return a text of one line.

    Raises:
        UsageError: It has several, or is none.
    """
    if (
        not isinstance(text, str)
        or any(end in text for end in "\n\r\0")
        or any("\ud800" <= character <= "\udfff" for character in text)
    ):
        raise UsageError(f"{what} is one line of text, not {text!r}")
    return text


def lines(setup: Any) -> tuple[str, ...]:
    """Return lines of shell.

    Raises:
        UsageError: They are no lines.
    """
    given = [setup] if isinstance(setup, str) else setup
    try:
        return tuple(checked_line(line, "a line of setup=") for line in given)
    except TypeError:
        raise UsageError(
            f'setup= is a list of lines, as ["module load x"], not {setup!r}'
        ) from None


def number_of_workers(workers: int | str) -> str:
    """Return the number of workers on each node, as `-n` of `task_manager worker` reads it.

    Raises:
        UsageError: It is none.
    """
    if workers == "auto":
        return "auto"
    text = str(workers)
    if isinstance(workers, bool) or not (text.isdecimal() and len(text) < 6 and int(text)):
        raise UsageError(f'workers= of a pool is a number from 1 on, or "auto", not {workers!r}')
    return text


def _seconds(idle: float) -> float:
    if isinstance(idle, bool) or not isinstance(idle, int | float) or not math.isfinite(idle):
        raise UsageError(f"idle= of a pool is a number of seconds, not {idle!r}")
    if idle < 1:
        raise UsageError(f"idle= of a pool is a number of seconds from 1 on, not {idle!r}")
    return float(idle)
