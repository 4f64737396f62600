"""Which Python executes a worker, and with which options.

A worker on this machine is started with the options of the program that launches it, one on
another machine with those that change what a program means: assertions, warnings, text encoding.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Final

from masterworker.errors import WorkerStartError
from masterworker.named import NamedTuple
from masterworker.surroundings import folders

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Names the interpreter that is to be started for workers.
VARIABLE: Final = "MASTERWORKER_PYTHON"
#: In the environment of a process that is to become a worker, until it is one.
STARTING: Final = "MASTERWORKER_STARTING"
HASH_SEED: Final = "PYTHONHASHSEED"
_WARNINGS: Final = "PYTHONWARNINGS"

#: Options without a value, and the flag that counts them.
_LETTERS: Final = {
    "d": "debug", "B": "dont_write_bytecode", "S": "no_site", "v": "verbose", "q": "quiet",
    "b": "bytes_warning", "O": "optimize",
}  # fmt: skip
#: ... of which these mean something for one machine or terminal only.
_LOCAL_LETTERS: Final = "dSvq"
#: Options after -X that are about files of this machine, or only print.
_LOCAL_X: Final = frozenset({"pycache_prefix", "importtime", "showrefcount", "frozen_modules"})

#: The main program has called `freeze_support`, so its executable can become a worker.
freeze_supported = False


class Interpreter(NamedTuple):
    """What is started for a worker."""

    executable: str = sys.executable
    options: tuple[str, ...] = ()
    #: What it imports from when it begins; (): what it finds by itself.
    path: tuple[str, ...] = ()
    #: It is an application, which becomes a worker by `freeze_support`.
    frozen: bool = False


def interpreter(options: Sequence[str], path: Sequence[str]) -> Interpreter:
    """Say what is to be started for a worker of this process.

    Args:
        options: Of the interpreter.
        path: Where this process imports from.

    Raises:
        WorkerStartError: There is no Python interpreter that could be one.
    """
    chosen, frozen = executable(), is_frozen()
    own = chosen == sys.executable and not frozen
    return Interpreter(chosen, tuple(options), tuple(path) if own else (), frozen)


def own_interpreter() -> Interpreter:
    """Say what is to be started for a worker that has what this process has at this moment.

    Raises:
        WorkerStartError: There is no Python interpreter that could be one.
    """
    path = folders.standard_first(folders.import_path(folders.here()))
    return interpreter(inherited_options(), path)


def is_frozen() -> bool:
    """Return whether the executable is an application, which would begin from its start again."""
    if os.environ.get(VARIABLE):
        return False
    # PyInstaller, cx_Freeze, py2app; PyOxidizer; Nuitka
    made = getattr(sys, "frozen", False) or getattr(sys, "oxidized", False)
    main = getattr(sys.modules.get("__main__"), "__dict__", {})  # not its own `__getattr__`
    return bool(made) or "__compiled__" in main or _is_host()


def _is_host() -> bool:
    """Return whether another program has Python inside: it is not called as interpreters are."""
    name = os.path.basename(sys.executable)
    names = f"{name} {os.path.basename(os.path.realpath(sys.executable))}".lower()
    return not any(part in names for part in ("python", "pypy", "graalpy"))


def executable() -> str:
    """Return what is to be started for a worker.

    Raises:
        WorkerStartError: There is no Python interpreter that could be one.
    """
    chosen = os.environ.get(VARIABLE)
    if chosen:
        return chosen
    cure = (
        f"set {VARIABLE} to a Python {sys.version_info.major}.{sys.version_info.minor} that has "
        "masterworker, or start workers yourself (task_manager worker LABEL)"
    )
    if not sys.executable:
        raise WorkerStartError(
            "this program does not know its Python interpreter (sys.executable is empty), so no "
            f"worker can be started: {cure}"
        )
    if is_frozen() and not freeze_supported:
        raise WorkerStartError(
            f"this program is frozen: {sys.executable} is the application itself, not Python, so "
            "as a worker it would be the application once more: call "
            f"masterworker.freeze_support() first of all in its main program, or {cure}"
        )
    return sys.executable


def inherited_options() -> list[str]:
    """Return the options of this interpreter, for workers that inherit its environment."""
    words = _letters("".join(_LETTERS))
    flags = sys.flags
    if flags.isolated:
        words.append("-I")
    else:
        words += ["-E"] * flags.ignore_environment + ["-s"] * flags.no_user_site
        words += ["-P"] * flags.safe_path
    words += _x_options(frozenset())
    return words + [f"-W{given}" for given in _warnings(inherited=not flags.ignore_environment)]


def portable_options() -> list[str]:
    """Return what workers on other machines are started with, which do not inherit anything."""
    words = _letters("".join(letter for letter in _LETTERS if letter not in _LOCAL_LETTERS))
    words += _x_options(_LOCAL_X)
    given = sys._xoptions
    if "utf8" not in given:
        words.append(f"-Xutf8={sys.flags.utf8_mode}")
    if sys.flags.dev_mode and "dev" not in given:
        words.append("-Xdev")
    return words + [f"-W{given}" for given in _warnings(inherited=False)]


def understood(given: Sequence[str]) -> list[str]:
    """Leave out what is none of `portable_options`: it comes from another process."""
    letters = {letter for letter in (*_LETTERS, "u") if letter not in _LOCAL_LETTERS}
    return [
        word
        for word in given
        if word[:2] in {"-X", "-W"}
        or (word[:1] == "-" and len(word) > 1 and {*word[1:]} <= letters)
    ]


def _letters(which: str) -> list[str]:
    counts = {letter: int(getattr(sys.flags, _LETTERS[letter])) for letter in which}
    counts["B"] = int(sys.dont_write_bytecode)  # programs switch it themselves as well
    words = [f"-{letter * count}" for letter, count in counts.items() if count]
    if getattr(sys.__stdout__, "write_through", False):
        words.append("-u")
    return words


def _x_options(but: frozenset[str]) -> list[str]:
    given = {name: value for name, value in sys._xoptions.items() if name not in but}
    return [f"-X{name}" if value is True else f"-X{name}={value}" for name, value in given.items()]


def _warnings(*, inherited: bool) -> list[str]:
    """Return what was said with -W.

    Args:
        inherited: Leave out what comes from the environment, which the worker has as well.
    """
    given = list(sys.warnoptions)
    if sys.flags.dev_mode and given[:1] == ["default"]:  # it comes with -X dev
        del given[0]
    if sys.flags.bytes_warning and given[-1:] and given[-1].endswith("::BytesWarning"):
        del given[-1]  # it comes with -b
    variables = os.environ.get(_WARNINGS, "")
    known = variables.split(",") if variables and inherited else []
    return given[len(known) :] if known == given[: len(known)] else given


def hash_seed(of_job: str) -> str:
    """Return what PYTHONHASHSEED is to be in all workers of a job.

    Args:
        of_job: A random text of this job, in hexadecimal digits: without a seed of the user's own
            the workers agree with each other, though not with the master, whose own is a secret.
    """
    given = os.environ.get(HASH_SEED, "")
    return given if given.isdecimal() else str(1 + int(of_job[:7], 16))
