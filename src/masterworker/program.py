"""The slave program: what a worker executes that was started from the label alone.

The master stores it as plain data (source text, folders); a worker gets it, goes to the master's
folder, and executes it (`worker.script`).
"""

from __future__ import annotations

import os
import stat
import sys
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from masterworker.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

#: Under this name it is stored.
KEY = "program"

#: Executes calls of functions only; no source.
GENERIC = "generic"
#: Source text that starts a slave process itself.
SCRIPT = "script"
#: A pickled worker class, for main programs whose source nobody can read.
CLASS = "class"


class Program(NamedTuple):
    """A slave program and its surroundings on the master's side."""

    kind: str
    source: str
    #: Name of the source's file, for tracebacks.
    filename: str
    #: Name of the package that it belongs to; "" for none.
    package: str
    folder: str
    #: Folders to import from: first the user's own, then those of the Python installation.
    own_paths: list[str]
    other_paths: list[str]
    #: What `sys.argv` is to be.
    argv: list[str]
    pickled: bytes = b""
    #: User ids that the folders belong to on the master's machine.
    owners: list[int] = []  # noqa: RUF012  never changed
    #: Name of the class that the script gives for its workers; "" where it gives none.
    worker_class: str = ""
    #: It is the master's own main program.
    is_main: bool = False

    def encode(self) -> bytes:
        """Make the stored form."""
        return msgspec.msgpack.encode(self)

    @property
    def digest(self) -> str:
        """What distinguishes this program from another version of it; "" for `GENERIC`."""
        if self.kind == GENERIC:
            return ""
        import hashlib

        return hashlib.sha256(self.source.encode() + self.pickled).hexdigest()


def decode(stored: bytes) -> Program:
    """Read the stored form."""
    return Program(*msgspec.msgpack.decode(stored))


def _path(name: str | os.PathLike[str] = "") -> Path:
    from pathlib import Path  # slow to load, and workers on the master's machine need none

    return Path(name)


def _surroundings(
    kind: str, source: str = "", filename: str = "", package: str = "", pickled: bytes = b""
) -> Program:
    paths = [str(_path(p).absolute()) for p in sys.path]
    own = [p for p in paths if not _is_standard(p)]
    other = [p for p in paths if _is_standard(p)]
    folder = str(_path().absolute())
    argv = [filename] if kind == SCRIPT else list(sys.argv)
    owners = sorted({_path(p).stat().st_uid for p in [folder, *own] if _path(p).is_dir()})
    return Program(kind, source, filename, package, folder, own, other, argv, pickled, owners)


def _is_standard(path: str) -> bool:
    """Tell whether a folder is part of a Python installation or environment."""
    parts = _path(path).parts
    return path.endswith(".zip") or any(p.startswith("python3") for p in parts)


def generic() -> Program:
    """Make the program of workers that execute calls of functions."""
    return _surroundings(GENERIC)


def of_class(pickled: bytes) -> Program:
    """Make the program of a worker class that travels by value."""
    return _surroundings(CLASS, pickled=pickled)


def of_main() -> Program | None:
    """Make a program of this process's main script; None: its source cannot be read.

    Works for `python script.py` and `python -m package.module`; not in a notebook, and not when
    the main program comes from standard input.
    """
    main = sys.modules["__main__"]
    spec = getattr(main, "__spec__", None)
    filename = getattr(spec, "origin", None) or getattr(main, "__file__", None)
    if filename is None or not _path(filename).is_file():
        return None
    script = of_file(filename, getattr(spec, "parent", None) or "")
    # its top level reads the arguments in a slave, too
    return script._replace(argv=list(sys.argv), is_main=True)


def of_file(filename: str | os.PathLike[str], package: str = "") -> Program:
    """Make a program of a script.

    Raises:
        UsageError: It cannot be read.
    """
    path = _path(filename).absolute()
    try:
        source = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"the slave script {filename} cannot be read: {error}") from None
    program = _surroundings(SCRIPT, source, str(path), package)
    folder = str(path.parent)
    if package or folder in program.own_paths:
        return program
    return program._replace(own_paths=[*program.own_paths, folder])


def of_source(source: str, folder: str | None = None) -> Program:
    """Make a program of the text of a script that has no file.

    Args:
        source: The text.
        folder: Where it is executed; None: where this process is.
    """
    program = _surroundings(SCRIPT, source, "<slave code>")
    if folder is None:
        return program
    own = [path for path in program.own_paths if path != folder]
    return program._replace(folder=folder, own_paths=[*own, folder])


def of_module(name: str) -> Program:
    """Make a program that starts a slave process with the handlers of a module.

    Raises:
        UsageError: It is not the name of a module.
    """
    if not all(part.isidentifier() for part in name.split(".")):
        raise UsageError(f"{name!r} is not the name of a module")
    source = (
        f"from {name} import *\n"
        "from Scientific.DistributedComputing.MasterSlave import startSlaveProcess\n"
        "startSlaveProcess()\n"
    )
    return _surroundings(SCRIPT, source, f"<slave of {name}>")


def enter(program: Program, *, elsewhere: bool = False) -> str:
    """Make this process's folder and import paths like the master's, as far as they exist here.

    Args:
        program: The master's.
        elsewhere: The master is perhaps on another machine. What has the same name here may be
            anybody's, so only folders that nobody else can fill are entered and imported from.

    Returns:
        What differs, in one line; "" if nothing does.
    """
    told, folder = "", program.folder
    if elsewhere and _path(folder).is_dir() and not _is_believed(folder, program.owners):
        told = f"others can write to {folder} here, which is the master's folder"
    else:
        try:
            os.chdir(folder)
        except OSError:
            told = f"the master's folder {folder} does not exist here"
    if told:
        told += f"; staying in {_some_folder()}"
    front = [p for p in program.own_paths if p not in sys.path]
    back = [p for p in program.other_paths if p not in sys.path and _path(p).exists()]
    if elsewhere:
        front = [p for p in front if _is_believed(p, program.owners)]
        back = [p for p in back if _is_believed(p, program.owners)]
    sys.path[:0] = front
    sys.path += back
    return told


def _is_believed(path: str, owners: list[int]) -> bool:
    """Tell whether what is in a folder can be by us, the system, or its owner at the master only.

    Groups are believed: projects share folders in this way.
    """
    try:
        found = _path(path).stat()
    except OSError:
        return False
    return found.st_uid in {os.getuid(), 0, *owners} and not found.st_mode & stat.S_IWOTH


def _some_folder() -> Path:
    """Return the folder that this process is in; go somewhere if that one is gone as well."""
    try:
        return _path().absolute()
    except OSError:
        import tempfile  # hardly ever needed, and slow to load

        os.chdir(tempfile.gettempdir())
        return _path().absolute()
