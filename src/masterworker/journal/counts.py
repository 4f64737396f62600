"""Counts what a journal has, for the line in the log and for `show`."""

from __future__ import annotations

from masterworker.core.census import JournalCount


class Counts:
    """What a journal has. Counters of a thread each, or too small by a few."""

    def __init__(self) -> None:
        self.runs = 0
        #: The last run has ended in good order.
        self.ended = True
        #: Outcomes: of earlier runs, those of them that were given again, and of this run.
        self.earlier = self.recalled = self.written = 0
        #: Of libraries, in the last run.
        self.versions: dict[str, str] = {}

    def began(self, versions: dict[str, str]) -> None:
        """An earlier run has begun, with these versions of libraries."""
        self.runs, self.ended = self.runs + 1, False
        self.versions = versions

    def changed(self, versions: dict[str, str]) -> str:
        """Return which versions are not those of the last run, and what follows from it.

        So it is said once: the next run compares with this one.
        """
        before = self.versions
        others = [
            f"{name} {before[name]} then, {now} now"
            for name, now in versions.items()
            if before.get(name, now) != now
        ]
        if not others:
            return ""
        text = f"; other versions than in the last run ({'; '.join(others)})"
        if self.has_other_python(versions):
            text += (
                ": lambdas, closures and other functions without a name have other keys in this "
                "Python, so what they are parameters of, or called for, is executed again"
            )
        return text

    def has_other_python(self, versions: dict[str, str]) -> bool:
        """Return whether the code of functions is not what it was in the last run."""
        then, now = (_minor(each.get("python", "")) for each in (self.versions, versions))
        return bool(then) and then != now

    def line(self, size: int) -> str:
        """Return what there is at the start of a run.

        Args:
            size: Of the file (bytes).
        """
        state = "it ended in good order" if self.ended else "the last one did not end"
        return f"{self.earlier} outcomes of {self.runs} runs ({size / 1e6:.1f} MB; {state})"

    def shown(self, name: str, size: int, trouble: str) -> JournalCount:
        """Return what there is now."""
        return JournalCount(
            *(name, self.earlier, self.recalled, self.written, 0),
            *(size, self.ended, trouble),
        )


def _minor(version: str) -> list[str]:
    return version.split(".")[:2] if version else []
