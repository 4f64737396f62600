"""The text of a batch script: what the user wants before it, and then this very interpreter."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from masterworker.pools.pool import Pool


def text(pool: Pool, command: Sequence[str], directives: Sequence[str] = ()) -> str:
    """Return a script that becomes a command: so signals of the batch system reach that itself.

    Args:
        pool: Its lines of setup come first, as the user wrote them.
        command: Each word is one word, whatever is in it.
        directives: Comments that the batch system reads.
    """
    shell = "#!/bin/bash -l" if pool.setup else "#!/bin/sh"  # `module` is of login shells
    return "\n".join([shell, *directives, *pool.setup, f"exec {shlex.join(command)}", ""])
