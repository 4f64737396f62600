"""A module that programs change: of no use for anything else."""

LEVEL = 0


class Thing:
    """Something with a method."""

    def answer(self) -> int:
        """Return what it is."""
        return 1
