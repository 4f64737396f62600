"""No search for garbage while modules are loaded: what they define stays."""

from __future__ import annotations

import gc


class unsearched:  # noqa: N801  used as a function
    """Within this, Python does not search for garbage, which takes a tenth of a master's start."""

    __slots__ = ("_was_on",)

    def __enter__(self) -> None:
        self._was_on = gc.isenabled()
        gc.disable()

    def __exit__(self, *_: object) -> None:
        if not self._was_on:
            return
        # What is new would be searched as soon as that is allowed: it becomes old without. Nothing
        # is lost by that, but the program's own garbage of this moment goes with the next old one.
        if not gc.get_freeze_count():
            gc.freeze()
            gc.unfreeze()
        gc.enable()
