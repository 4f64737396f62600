"""The slave program: what a worker executes that was started from the label alone.

The master stores it as plain data (source text, folders); a worker gets it, goes to the master's
folder, and executes it (`worker.script`).
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import msgspec

from masterworker.errors import UsageError
from masterworker.named import NamedTuple
from masterworker.surroundings import common, folders

if TYPE_CHECKING:
    import os

    from masterworker.surroundings.common import Surroundings

#: Under this name it is stored.
KEY = "program"

#: Executes calls of functions only; no source.
GENERIC = "generic"
#: Source text that starts a slave process itself.
SCRIPT = "script"
#: A pickled worker class, for main programs whose source cannot be read.
CLASS = "class"


class Program(NamedTuple):
    """A slave program and its surroundings on the master's side."""

    kind: str
    source: str
    #: Name of the source's file, for tracebacks.
    filename: str
    #: Name of the package that it belongs to; "" for none.
    package: str
    surroundings: Surroundings
    pickled: bytes = b""
    #: Name of the class that the script gives for its workers; "" where it gives none.
    worker_class: str = ""
    #: It is the master's own main program.
    is_main: bool = False

    @property
    def folder(self) -> str:
        """Where it is executed."""
        return self.surroundings.folder

    def in_folder(self, folder: str) -> Program:
        """Return the same program, to be executed in another folder."""
        return self._replace(surroundings=self.surroundings._replace(folder=folder))

    def encode(self) -> bytes:
        """Make the stored form."""
        plain = self._replace(surroundings=self.surroundings.as_data())  # type: ignore[arg-type]
        return msgspec.msgpack.encode(plain._replace(filename=folders.as_bytes(self.filename)))  # type: ignore[arg-type]

    @property
    def digest(self) -> str:
        """What distinguishes this program from another version of it; "" for `GENERIC`."""
        if self.kind == GENERIC:
            return ""
        import hashlib

        return hashlib.sha256(self.source.encode() + self.pickled).hexdigest()


def decode(stored: bytes) -> Program:
    """Read the stored form.

    Raises:
        UsageError: Another version of masterworker has written it.
    """
    try:
        program = Program(*msgspec.msgpack.decode(stored))
        return program._replace(
            filename=folders.as_text(program.filename),  # type: ignore[arg-type]
            surroundings=common.of_data(program.surroundings),
        )
    except (TypeError, ValueError, AttributeError) as error:
        raise UsageError(
            f"the stored program was written by another version of masterworker: {error}"
        ) from None


def _make(
    kind: str, source: str = "", filename: str = "", package: str = "", pickled: bytes = b""
) -> Program:
    argv = [filename] if kind == SCRIPT else None
    return Program(kind, source, filename, package, common.capture(argv), pickled)


def generic() -> Program:
    """Make the program of workers that execute calls of functions."""
    return _make(GENERIC, package=_main_package())


def of_class(pickled: bytes) -> Program:
    """Make the program of a worker class that travels by value."""
    return _make(CLASS, package=_main_package(), pickled=pickled)


def _main_package() -> str:
    """Return the package that the main program belongs to, for its relative imports; "": none."""
    return str(getattr(sys.modules["__main__"], "__package__", None) or "")


def of_main() -> Program | None:
    """Make a program of this process's main script; None: its source cannot be read.

    Works for `python script.py` and `python -m package.module`; not in a notebook, and not when
    the main program comes from standard input.
    """
    from pathlib import Path  # slow to load, and workers need none

    main = sys.modules["__main__"]
    spec = getattr(main, "__spec__", None)
    filename = getattr(spec, "origin", None) or getattr(main, "__file__", None)
    if filename is None or not Path(filename).is_file():
        return None
    script = of_file(filename, getattr(spec, "parent", None) or "")
    ours = script.surroundings._replace(argv=list(sys.argv))  # its top level reads them, too
    return script._replace(surroundings=ours, is_main=True)


def of_file(filename: str | os.PathLike[str], package: str = "") -> Program:
    """Make a program of a script.

    Raises:
        UsageError: It cannot be read.
    """
    from importlib.util import decode_source
    from pathlib import Path

    path = Path(filename).absolute()
    try:
        source = decode_source(path.read_bytes())
    except (OSError, SyntaxError, UnicodeDecodeError) as error:
        raise UsageError(f"the slave script {filename} cannot be read: {error}") from None
    program = _make(SCRIPT, source, str(path), package)
    folder, ours = str(path.parent), program.surroundings
    if package or folder in ours.path:
        return program
    return program._replace(surroundings=ours._replace(path=[*ours.path, folder]))


def of_source(source: str, folder: str | None = None) -> Program:
    """Make a program of the text of a script that has no file.

    Args:
        source: The text.
        folder: Where it is executed; None: where this process is.
    """
    program = _make(SCRIPT, source, "<slave code>")
    if folder is None:
        return program
    ours = program.surroundings
    path = [*(entry for entry in ours.path if entry != folder), folder]
    return program._replace(surroundings=ours._replace(path=path)).in_folder(folder)


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
    return _make(SCRIPT, source, f"<slave of {name}>")
