"""The slave program as it was published: the data items `slave_code` and `cwd`.

A program can read them, and store them itself. What it stores is what slaves execute that are
started afterwards.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from masterworker import program, wire
from masterworker.data.pickling import dumps_payload
from masterworker.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from masterworker.master.engine import MasterEngine

#: The source text that a slave executes, and the folder in which it does.
CODE: Final = "slave_code"
FOLDER: Final = "cwd"


class SlaveCode:
    """Keeps the stored program of a job and the two data items in step.

    Args:
        job: The job.
    """

    def __init__(self, job: MasterEngine) -> None:
        self._job = job
        self._program: program.Program | None = None
        self._folder: str | None = None

    def store(self, what: program.Program) -> None:
        """Store a program, and the data items that describe it."""
        self._job.program.store(what)
        self._program, self._folder = what, what.folder
        if what.kind == program.SCRIPT:
            self._show(CODE, what.source)
        self._show(FOLDER, what.folder)

    def _show(self, name: str, item: str) -> None:
        self._job.manager.put(wire.DATA, name, dumps_payload(item))

    def follow(self, items: Mapping[str, Any]) -> None:
        """Take note of data items that are stored, or deleted (None), if they are these.

        Raises:
            UsageError: One of them cannot be used.
        """
        if not items.keys() & {CODE, FOLDER}:
            return
        code, folder = items.get(CODE, ""), items.get(FOLDER, self._folder)
        if not isinstance(code, str | None):
            raise UsageError(f"slave_code is the text of a script, not {type(code).__name__}")
        if not isinstance(folder, str | os.PathLike | None):
            raise UsageError(f"cwd is the name of a folder, not {type(folder).__name__}")
        self._folder = None if folder is None else str(Path(folder).absolute())
        if code is None:
            self._program = None
            self._job.program.forget()
            return
        what = program.of_source(code, self._folder) if CODE in items else self._program
        if what is not None:
            self._program = what.in_folder(self._folder or str(Path.cwd()))
            self._job.program.store(self._program)
