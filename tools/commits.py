"""Whether commits say why: one that changes the source has a body.

`python -m tools.commits main..HEAD` judges the commits of a range, `--message FILE` the one that is
being made (`make hooks`).
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

#: What such a commit does is all in its title: nothing but names has changed.
MECHANICAL: Final = "Rename: "
LONGEST_TITLE: Final = 100


def faults(message: str, files: Iterable[str]) -> Iterator[str]:
    """Yield what a message lacks.

    Args:
        message: With or without the comments that git puts into an editor.
        files: What the commit changes, as paths below the top folder.
    """
    lines = [line for line in message.splitlines() if not line.startswith("#")]
    title, *rest = lines or [""]
    if not title.strip():
        yield "the title is missing"
    if len(title) > LONGEST_TITLE:
        yield f"the title has more than {LONGEST_TITLE} characters"
    if rest and rest[0].strip():
        yield "the line after the title is not empty"
    body = "\n".join(rest).strip()
    changes_source = any(file.startswith("src/") for file in files)
    if changes_source and not body and not title.startswith(MECHANICAL):
        yield "src/ changes, and no body says why"


def _git(*arguments: str) -> str:
    return subprocess.run(
        ["git", *arguments],  # noqa: S607  # the user's own git
        check=True,
        capture_output=True,
        text=True,
    ).stdout


def _judged(arguments: list[str]) -> Iterator[str]:
    match arguments:
        case ["--message", path]:
            files = _git("diff", "--cached", "--name-only").splitlines()
            yield from faults(Path(path).read_text(), files)
        case [commits]:
            for commit in _git("rev-list", "--no-merges", commits).split():
                files = _git("show", "--format=", "--name-only", commit).splitlines()
                for fault in faults(_git("show", "-s", "--format=%B", commit), files):
                    yield f"{commit[:10]}: {fault}"
        case _:
            yield __doc__ or ""


def main(arguments: list[str]) -> int:
    """Print what is wrong. Return the exit code."""
    errors = list(_judged(arguments))
    for error in errors:
        print(f"commit message: {error}", file=sys.stderr)
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
