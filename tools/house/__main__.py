"""Prints sizes and counts, and fails if a rule is broken.

python -m tools.house           look
python -m tools.house --draw    draw docs/map.md anew
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from tools.house import counts, drawing, imports, rules, source

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


def table(modules: Sequence[source.Module], bounds: dict[str, int]) -> Iterator[str]:
    """Yield the sizes of all folders as lines."""
    yield f"{'':<26}{'files':>6}{'lines':>8}{'code':>8}{'at most':>9}"
    totals = [0, 0, 0]
    for folder, (files, lines, code) in counts.sizes(modules).items():
        totals = [totals[0] + files, totals[1] + lines, totals[2] + code]
        bound = bounds.get(folder, bounds["folder"])
        yield f"{folder:<26}{files:>6}{lines:>8,}{code:>8,}{bound:>9,}"
    yield f"{'all':<26}{totals[0]:>6}{totals[1]:>8,}{totals[2]:>8,}{bounds['all']:>9,}"


def figures(modules: Sequence[source.Module]) -> Iterator[str]:
    """Yield the counts as lines."""
    towers = sum(height > 1 for height in counts.heights(modules).values())
    yield f"`global` statements: {counts.count_globals(modules).total()}"
    yield f"tests of a record's class: {counts.count_shape_tests(modules).total()}"
    yield f"classes with two or more of ours above them (errors aside): {towers}"
    lengths = counts.function_lengths(modules)
    longest = sorted(lengths, key=lengths.__getitem__, reverse=True)[:5]
    yield "longest functions: " + ", ".join(f"{name} ({lengths[name]})" for name in longest)
    for name, number in counts.public_names().items():
        yield f"public names of {name}: {number}"


def main(arguments: list[str]) -> int:
    """Print, or draw. Return the exit code."""
    modules, rulebook = source.read(), rules.load()
    at_run_time = imports.graph(typing=False)
    pages = drawing.pages(modules, at_run_time)
    if arguments == ["--draw"]:
        for path, text in pages.items():
            path.write_text(text)
        return 0
    print(*table(modules, rulebook["lines"]), "", *figures(modules), "", sep="\n")
    errors = list(rules.broken(modules, rulebook))
    errors += [
        f"{path.name}: a drawing is not that of the imports and tables; run `make map`"
        for path, text in pages.items()
        if not path.exists() or path.read_text() != text
    ]
    for error in errors:
        print(f"house: {error}", file=sys.stderr)
    for word in rules.idle(modules, rulebook):
        print(f"house: to be removed: {word}", file=sys.stderr)
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
