"""Writes a file as a whole, or not at all."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from masterworker.errors import UsageError
from masterworker.machine import random_name

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO


@contextlib.contextmanager
def written(out: str) -> Iterator[BinaryIO]:
    """Open a file that takes the place of another one when all has been written.

    Args:
        out: Its path. What is there and is no file is left alone.

    Raises:
        UsageError: It cannot be written; says why in one sentence.
    """
    path = Path(out)
    part = path.with_name(f"{path.name[:100]}.{random_name()[:8]}.part")
    try:
        if path.exists() and not path.is_file():
            raise UsageError(f"{out} is there and is no file: name another one")
        try:
            with part.open("xb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        finally:
            with contextlib.suppress(OSError):
                part.unlink()
    except (OSError, ValueError) as error:
        if isinstance(error, UsageError):
            raise
        why = (error.strerror if isinstance(error, OSError) else "") or str(error)
        raise UsageError(f"{out} cannot be written: {why}") from None
